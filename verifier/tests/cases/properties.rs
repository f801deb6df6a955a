//! Whatever comes in: no panic, and nothing is allowed without a digest unless a rule allows it unchecked.

use std::sync::LazyLock;

use proptest::prelude::*;
use tuf::Gun;
use verifier::{Anchor, Documents, Freshness, ImageReference, Pattern, Plan, Policy, RequestContext, verify};

use crate::support::{GUN, Key, Publisher, now, signers};

static PUBLISHER: LazyLock<(Publisher, Policy, Documents)> = LazyLock::new(|| {
    let mut publisher = Publisher::new();
    let alice = Key::ecdsa();
    publisher.rotate_root();
    publisher.delegate("targets/releases", &Key::ecdsa(), &[("v1", "one")]);
    publisher.delegate("targets/alice", &alice, &[("v1", "one")]);
    let policy = publisher.policy(", require: { signers: [alice] }", &signers(&[("alice", &alice)]));
    let documents = publisher.documents();
    (publisher, policy, documents)
});

/// Every document of a set, to be changed.
fn all(documents: &mut Documents) -> Vec<&mut bytes::Bytes> {
    let mut all: Vec<&mut bytes::Bytes> = documents.roots.iter_mut().collect();
    all.extend([&mut documents.timestamp, &mut documents.snapshot]);
    all.extend(documents.targets.values_mut());
    all
}

fn image_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-zA-Z0-9./:@_*-]{0,40}",
        "(reg\\.example/|docker\\.io/)?[a-z/]{0,10}(:[a-z0-9.]{0,5})?(@sha256:[0-9a-f]{64})?",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn references_are_read_or_refused(text in image_text()) {
        if let Ok(image) = ImageReference::parse(&text) {
            let written = image.to_string();
            prop_assert_eq!(&written, &text);
            prop_assert_eq!(&ImageReference::parse(&written).unwrap(), &image);
            let digest = tuf::Checksum::of(b"x");
            for keep in [true, false] {
                let pinned = ImageReference::parse(&image.pinned(&digest, keep)).unwrap();
                prop_assert_eq!(pinned.name(), image.name());
                prop_assert_eq!(pinned.digest(), Some(&digest));
            }
        }
    }

    #[test]
    fn patterns_are_read_or_refused(text in "[a-z./:*-]{0,30}", image in "[a-z]{1,5}\\.[a-z]{1,5}/[a-z/]{1,20}") {
        if let Ok(pattern) = Pattern::parse(&text) {
            prop_assert_eq!(pattern.as_str(), &text);
        }
        let everything = Policy::parse("version: 1\nrules: [ { match: \"**\", action: allow } ]", &|_| Err(String::new()));
        if let Ok(image) = ImageReference::parse(&image) {
            let policy = everything.unwrap();
            let plan = policy.plan(&image, &RequestContext::default());
            prop_assert!(matches!(plan, Plan::Decided(verdict) if verdict.allow));
        }
    }

    #[test]
    fn policies_are_read_or_refused(text in prop_oneof![
        any::<String>(),
        "(version: 1\n)?(rules|anchors|signers|defaults|teams|servers|namespaces|break_glass): [\\[\\]{}a-z0-9:,\"* -]{0,40}",
    ]) {
        if let Ok(policy) = Policy::parse(&text, &|_| Ok(Vec::new())) {
            let image = ImageReference::parse("reg.example/app").unwrap();
            if let Plan::Decided(verdict) = policy.plan(&image, &RequestContext::default()) {
                prop_assert!(!verdict.allow || text.contains("allow"));
            }
        }
    }

    #[test]
    fn a_changed_byte_never_changes_what_runs(which in 0_usize..6, at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let (publisher, policy, good) = &*PUBLISHER;
        let mut documents = good.clone();
        {
            let mut all = all(&mut documents);
            let count = all.len();
            let document = &mut all[which % count];
            let mut changed = document.to_vec();
            let index = at.index(changed.len());
            changed[index] = byte;
            **document = changed.into();
        }
        let image = ImageReference::parse(&format!("{GUN}:v1")).unwrap();
        let Plan::Check(check) = policy.plan(&image, &RequestContext::default()) else {
            panic!("there is a rule");
        };
        // The pin is the newest root's key: the first root is not needed then, and may be anything.
        let anchor: &Anchor = check.anchor();
        let gun = Gun::parse(&publisher.gun).unwrap();
        let repository = verify(&gun, anchor, &documents, None, now());
        let verdict = check.judge(&image, repository.as_ref(), Freshness::just_read(), now());
        prop_assert_eq!(verdict.allow, verdict.digest.is_some() && verdict.pinned.is_some());
        if verdict.allow {
            prop_assert_eq!(verdict.digest, Some(crate::support::digest("one")));
        }
    }

    #[test]
    fn anything_at_all_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), which in 0_usize..6) {
        let (publisher, _, good) = &*PUBLISHER;
        let mut documents = good.clone();
        {
            let mut all = all(&mut documents);
            let count = all.len();
            *all[which % count] = bytes.into();
        }
        let gun = Gun::parse(&publisher.gun).unwrap();
        let _ = verify(&gun, &publisher.anchor(), &documents, None, now());
    }
}
