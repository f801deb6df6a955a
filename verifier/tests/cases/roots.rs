//! Where trust begins, and how it goes on.

use tuf::{Checksum, Gun, Version};
use verifier::{
    Anchor, Check, Freshness, ImageReference, Pattern, Plan, Policy, Reason, RequestContext, Seen,
    TrustRoots, VouchedRoot, verify,
};

use crate::support::{Authority, GUN, Key, Publisher, now, refused, sign};

fn gun() -> Gun {
    Gun::parse(GUN).unwrap()
}

fn tofu(scope: &str) -> Anchor {
    Anchor::Tofu {
        scope: Pattern::parse(scope).unwrap(),
    }
}

/// What is kept, as it comes back from a file.
fn reread(seen: &Seen) -> Seen {
    serde_json::from_str(&serde_json::to_string(seen).unwrap()).unwrap()
}

#[test]
fn pins_are_met_by_the_key_that_signed() {
    let publisher = Publisher::new();
    let (bare, listed) = (publisher.root.bare_id(), publisher.root.id());
    assert_ne!(bare, listed);
    assert!(
        publisher
            .verify(&Anchor::root_keys([bare.as_str()]).unwrap(), None)
            .is_ok()
    );
    assert!(
        publisher
            .verify(&Anchor::cert_ids([listed.as_str()]).unwrap(), None)
            .is_ok()
    );
    let other = Key::ecdsa().id();
    let both = Anchor::root_keys([other.as_str(), bare.as_str()]).unwrap();
    assert!(publisher.verify(&both, None).is_ok());
    for wrong in [
        Anchor::root_keys([listed.as_str()]),
        Anchor::cert_ids([bare.as_str()]),
        Anchor::root_keys([other.as_str()]),
    ] {
        let sentence = refused(publisher.verify(&wrong.unwrap(), None), Reason::AnchorMismatch);
        assert!(
            sentence.contains(&bare) || sentence.contains(&listed),
            "{sentence}"
        );
    }
    assert!(Anchor::root_keys([]).is_err());
    assert!(Anchor::root_keys([""]).is_err());
    assert!(Anchor::cert_ids([bare.to_uppercase().as_str()]).is_err());
}

#[test]
fn a_pinned_key_that_is_listed_but_did_not_sign_meets_nothing() {
    let mut publisher = Publisher::new();
    let pinned = Key::certificate(GUN);
    let mut body = publisher.root_body();
    let public = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(pinned.public.public())
    };
    body["keys"][pinned.id()] =
        serde_json::json!({ "keytype": "ecdsa-x509", "keyval": { "private": null, "public": public } });
    body["roles"]["root"] =
        serde_json::json!({ "keyids": [publisher.root.id(), pinned.id()], "threshold": 1 });
    body["version"] = serde_json::json!(1);
    let anchor = Anchor::root_keys([pinned.bare_id().as_str()]).unwrap();
    publisher.roots = vec![sign(&body, &[&publisher.root])];
    refused(publisher.verify(&anchor, None), Reason::AnchorMismatch);
    // Nor does a signature in its name.
    let mut forged: serde_json::Value = serde_json::from_slice(&publisher.roots[0]).unwrap();
    let mut signature = forged["signatures"][0].clone();
    signature["keyid"] = pinned.id().into();
    forged["signatures"].as_array_mut().unwrap().push(signature);
    publisher.roots = vec![forged.to_string().into()];
    refused(publisher.verify(&anchor, None), Reason::AnchorMismatch);
    publisher.roots = vec![sign(&body, &[&pinned])];
    assert!(publisher.verify(&anchor, None).is_ok());
}

#[test]
fn the_pin_follows_the_chain() {
    let mut publisher = Publisher::new();
    let anchor = publisher.anchor();
    publisher.rotate_root();
    publisher.rotate_root();
    assert_eq!(publisher.verify(&anchor, None).unwrap().root_version(), 3);
    // What comes before the root that is pinned is of no interest.
    let newest = publisher.anchor();
    let mut documents = publisher.documents();
    documents.roots[0] = "not a root".into();
    assert!(verify(&gun(), &newest, &documents, None, now()).is_ok());
    refused(
        verify(&gun(), &anchor, &documents, None, now()),
        Reason::AnchorMismatch,
    );
}

#[test]
fn a_step_needs_both_the_old_and_the_new_key() {
    let by_old: fn(&mut Publisher, &Key) = |publisher, old| publisher.add_root(&[old]);
    let by_new: fn(&mut Publisher, &Key) = |publisher, _| {
        let new = publisher.root.clone();
        publisher.add_root(&[&new]);
    };
    for (step, reason) in [(by_old, Reason::Signatures), (by_new, Reason::BrokenRootChain)] {
        let mut publisher = Publisher::new();
        let anchor = publisher.anchor();
        let old = std::mem::replace(&mut publisher.root, Key::certificate(GUN));
        step(&mut publisher, &old);
        refused(publisher.verify(&anchor, None), reason);
    }
}

#[test]
fn versions_of_roots_have_no_gaps_and_no_repetitions() {
    let mut publisher = Publisher::new();
    let anchor = publisher.anchor();
    publisher.rotate_root();
    publisher.rotate_root();
    let documents = publisher.documents();
    for order in [&[0, 2][..], &[0, 1, 1, 2], &[0, 0, 1, 2], &[1, 0, 2]] {
        let mut changed = documents.clone();
        changed.roots = order
            .iter()
            .map(|&index| documents.roots[index].clone())
            .collect();
        let denial = verify(&gun(), &anchor, &changed, None, now()).unwrap_err();
        assert_eq!(
            denial.reason,
            Reason::BrokenRootChain,
            "{order:?}: {}",
            denial.sentence
        );
    }
    let mut none = documents.clone();
    none.roots.clear();
    refused(
        verify(&gun(), &anchor, &none, None, now()),
        Reason::InvalidDocument,
    );
    // The newest is held back: the snapshot names it.
    let mut held_back = documents;
    held_back.roots.pop();
    refused(
        verify(&gun(), &anchor, &held_back, None, now()),
        Reason::Inconsistent,
    );
}

#[test]
fn trust_goes_on_from_what_was_seen() {
    let mut publisher = Publisher::new();
    let anchor = publisher.anchor();
    let seen = reread(&publisher.seen());
    publisher.rotate_root();
    publisher.rotate_root();
    publisher.publish();
    let repository = publisher.verify(&anchor, Some(&seen)).unwrap();
    assert_eq!(repository.root_version(), 3);
    let seen = reread(repository.seen());
    // Roots that follow suffice, and so does the newest alone.
    for first in 0..3 {
        let mut documents = publisher.documents();
        documents.roots.drain(..first);
        assert!(
            verify(&gun(), &anchor, &documents, Some(&seen), now()).is_ok(),
            "{first}"
        );
    }
    publisher.rotate_root();
    let mut documents = publisher.documents();
    documents.roots.drain(..3);
    assert!(verify(&gun(), &anchor, &documents, Some(&seen), now()).is_ok());
    publisher.rotate_root();
    let mut documents = publisher.documents();
    documents.roots.drain(..4);
    refused(
        verify(&gun(), &anchor, &documents, Some(&seen), now()),
        Reason::BrokenRootChain,
    );
}

#[test]
fn a_repository_that_was_made_anew_has_a_reason_of_its_own() {
    let mut old = Publisher::new();
    let anchor = old.anchor();
    old.rotate_root();
    let seen = reread(old.verify(&anchor, None).unwrap().seen());
    let mut new = Publisher::new();
    for _ in 0..3 {
        // Even if it meets the anchor of a policy that was changed for it.
        for anchor in [&anchor, &new.anchor(), &tofu("**")] {
            let sentence = refused(new.verify(anchor, Some(&seen)), Reason::RootReset);
            assert!(sentence.contains("countersign anchor accept"), "{sentence}");
        }
        new.rotate_root();
    }
    // Made anew with the same root key, the roots differ all the same.
    let mut again = Publisher::new();
    again.root = old.root.clone();
    again.roots.clear();
    let root = again.root.clone();
    again.add_root(&[&root]);
    refused(again.verify(&anchor, Some(&seen)), Reason::RootReset);
    // A new root that follows the first of the old repository but not the last.
    let mut fork = old.clone();
    fork.roots.pop();
    fork.root = Key::certificate(GUN);
    let forged = fork.root.clone();
    fork.add_root(&[&forged]);
    refused(fork.verify(&anchor, Some(&seen)), Reason::RootReset);
    // The step after the root that was seen.
    let mut stolen = old.clone();
    stolen.root = Key::certificate(GUN);
    let forged = stolen.root.clone();
    stolen.add_root(&[&forged]);
    refused(stolen.verify(&anchor, Some(&seen)), Reason::RootReset);
}

#[test]
fn an_older_root_and_a_second_one_of_the_same_version_are_told_apart() {
    let mut publisher = Publisher::new();
    let anchor = publisher.anchor();
    let old = publisher.clone();
    publisher.rotate_root();
    let seen = reread(publisher.verify(&anchor, None).unwrap().seen());
    refused(old.verify(&anchor, Some(&seen)), Reason::Rollback);
    let mut twin = publisher.clone();
    twin.roots.pop();
    twin.root_expires = now();
    twin.add_root(&[&old.root, &publisher.root]);
    refused(twin.verify(&anchor, Some(&seen)), Reason::SameVersionDiffers);
}

#[test]
fn a_changed_pin_has_to_be_met_anew() {
    let mut publisher = Publisher::new();
    let first = publisher.anchor();
    publisher.rotate_root();
    let seen = reread(publisher.verify(&first, None).unwrap().seen());
    // By the root that was seen, or one that leads to it.
    let repository = publisher.verify(&publisher.anchor(), Some(&seen)).unwrap();
    assert!(publisher.verify(&first, Some(&seen)).is_ok());
    assert!(publisher.verify(&first, Some(repository.seen())).is_ok());
    let nobody = Anchor::root_keys([Key::ecdsa().id().as_str()]).unwrap();
    refused(publisher.verify(&nobody, Some(&seen)), Reason::AnchorMismatch);
    // Or by a later one.
    publisher.rotate_root();
    assert!(publisher.verify(&publisher.anchor(), Some(&seen)).is_ok());
    // Trust on first use is no reason to forget a pin later on.
    let trusting = publisher.verify(&tofu("**"), None).unwrap();
    refused(
        publisher.verify(&nobody, Some(trusting.seen())),
        Reason::AnchorMismatch,
    );
    // An earlier root that does not lead to the one that was seen proves nothing.
    let mut spliced = publisher.documents();
    let stranger = Publisher::new();
    spliced.roots[0] = stranger.roots[0].clone();
    refused(
        verify(&gun(), &stranger.anchor(), &spliced, Some(trusting.seen()), now()),
        Reason::BrokenRootChain,
    );
}

#[test]
fn trust_on_first_use_ends_with_its_scope() {
    let publisher = Publisher::new();
    let seen = publisher
        .verify(&tofu("reg.example/*"), None)
        .unwrap()
        .seen()
        .clone();
    assert!(publisher.verify(&tofu("reg.example/**"), Some(&seen)).is_ok());
    refused(
        publisher.verify(&tofu("lab.example/**"), None),
        Reason::AnchorMismatch,
    );
    refused(
        publisher.verify(&tofu("lab.example/**"), Some(&seen)),
        Reason::AnchorMismatch,
    );
}

#[test]
fn an_authority_vouches_for_what_it_issued() {
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    let anchor = |authority: &Authority| Anchor::ca(authority.pem()).unwrap();
    let with = |key: Key| {
        let mut publisher = Publisher::new();
        publisher.root = key.clone();
        publisher.roots.clear();
        publisher.add_root(&[&key]);
        publisher
    };
    let publisher = with(Key::ecdsa().issued(GUN, &authority));
    assert!(publisher.verify(&anchor(&authority), None).is_ok());
    refused(publisher.verify(&anchor(&other), None), Reason::AuthorityMismatch);
    refused(
        with(Key::certificate(GUN)).verify(&anchor(&authority), None),
        Reason::AuthorityMismatch,
    );
    let elsewhere = with(Key::ecdsa().issued("reg.example/other", &authority));
    refused(
        elsewhere.verify(&anchor(&authority), None),
        Reason::CertificateName,
    );
    // A certificate that may not issue others is no authority.
    for wrong in [
        Key::certificate("leaf").public.public().to_vec(),
        Vec::new(),
        b"text".to_vec(),
    ] {
        assert!(Anchor::ca(wrong).is_err());
    }
}

#[test]
fn what_was_kept_of_another_repository_or_is_damaged_denies() {
    let publisher = Publisher::new();
    let other = Publisher::of("reg.example/other");
    refused(
        publisher.verify(&publisher.anchor(), Some(&other.seen())),
        Reason::InvalidState,
    );
    let mut json = serde_json::to_value(publisher.seen()).unwrap();
    json["root"] = "AAAA".into();
    let damaged: Seen = serde_json::from_value(json.clone()).unwrap();
    refused(
        publisher.verify(&publisher.anchor(), Some(&damaged)),
        Reason::InvalidState,
    );
    json["unknown"] = 1.into();
    assert!(serde_json::from_value::<Seen>(json).is_err());
}

#[test]
fn trust_begins_with_exactly_the_root_that_is_vouched_for_and_goes_on_from_it() {
    let mut publisher = Publisher::new();
    publisher.rotate_root();
    publisher.rotate_root();
    let documents = publisher.documents();
    let vouched = |version: i64, bytes: &[u8]| {
        Anchor::Vouched(VouchedRoot {
            repository: "corp.example/roots".to_owned(),
            version: Version::new(version).unwrap(),
            sha256: Checksum::of(bytes),
        })
    };
    let newest = vouched(3, &documents.roots[2]);
    for (index, root) in documents.roots.iter().enumerate() {
        let anchor = vouched(index as i64 + 1, root);
        assert!(verify(&gun(), &anchor, &documents, None, now()).is_ok());
        // What comes before it need not be there.
        let mut rest = documents.clone();
        rest.roots.drain(..index);
        assert!(verify(&gun(), &anchor, &rest, None, now()).is_ok());
        // Somebody who has verified it from another root of the same line goes on.
        let seen = reread(verify(&gun(), &newest, &documents, None, now()).unwrap().seen());
        assert!(verify(&gun(), &anchor, &documents, Some(&seen), now()).is_ok());
    }
    // The same version with other bytes, or the same bytes as another version.
    for anchor in [vouched(2, b"other"), vouched(2, &documents.roots[0])] {
        let sentence = refused(
            verify(&gun(), &anchor, &documents, None, now()),
            Reason::AnchorMismatch,
        );
        assert!(sentence.contains("corp.example/roots"), "{sentence}");
        let seen = publisher.seen();
        refused(
            verify(&gun(), &anchor, &documents, Some(&seen), now()),
            Reason::AnchorMismatch,
        );
    }
    let ahead = vouched(4, b"later");
    refused(verify(&gun(), &ahead, &documents, None, now()), Reason::Rollback);
    refused(
        verify(&gun(), &ahead, &documents, Some(&publisher.seen()), now()),
        Reason::Rollback,
    );
    // The one that is vouched for is not there, and what is does not lead on from it.
    let mut gap = documents.clone();
    gap.roots.drain(..2);
    refused(
        verify(&gun(), &vouched(2, &documents.roots[1]), &gap, None, now()),
        Reason::BrokenRootChain,
    );
    // Nobody was asked whether anything is vouched for.
    let unasked = Anchor::TrustRoots(Box::new(TrustRoots {
        repository: "corp.example/roots".to_owned(),
        root: Vec::new(),
        server: None,
    }));
    refused(
        verify(&gun(), &unasked, &documents, None, now()),
        Reason::NotVouched,
    );
    let seen = publisher.seen();
    refused(
        verify(&gun(), &unasked, &documents, Some(&seen), now()),
        Reason::NotVouched,
    );
}

#[test]
fn what_was_verified_from_a_vouched_root_serves_only_the_rule_that_leaves_it_to_an_operator() {
    let publisher = Publisher::new();
    let roots = TrustRoots {
        repository: "corp.example/roots".to_owned(),
        root: b"root".to_vec(),
        server: None,
    };
    let image = ImageReference::parse(&format!("{GUN}:v1")).unwrap();
    let policy = Policy::ad_hoc(Anchor::TrustRoots(Box::new(roots)));
    let Plan::Check(check) = policy.plan(&image, &RequestContext::default()) else {
        panic!("a check")
    };
    let documents = publisher.documents();
    let anchored = check
        .vouched(Version::FIRST, Checksum::of(&documents.roots[0]))
        .unwrap();
    let repository = verify(&gun(), anchored.anchor(), &documents, None, now()).unwrap();
    let judged = |check: &Check<'_>| check.judge(&image, Ok(&repository), Freshness::just_read(), now());
    assert!(judged(&anchored).allow);
    for other in [
        check.clone(),
        check.vouched(Version::FIRST, Checksum::of(b"other")).unwrap(),
    ] {
        assert_eq!(judged(&other).reason, Some(Reason::AnchorMismatch));
    }
    // A rule that pins a key does not leave it to anybody.
    let pinned = Policy::ad_hoc(publisher.anchor());
    let Plan::Check(check) = pinned.plan(&image, &RequestContext::default()) else {
        panic!("a check")
    };
    assert!(check.vouched(Version::FIRST, Checksum::of(b"other")).is_none());
}
