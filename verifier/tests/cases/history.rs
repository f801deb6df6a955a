//! Digests that were signed once.

use chrono::{DateTime, TimeDelta, Utc};
use tuf::Gun;
use verifier::{Freshness, ImageReference, Plan, Policy, Reason, RequestContext, Seen, Verdict, verify};

use crate::support::{GUN, Key, Publisher, allowed, denied, digest, now, signers};

/// The verdict a while after everything was last seen.
fn judge(publisher: &Publisher, policy: &Policy, image: &str, seen: &Seen, at: DateTime<Utc>) -> Verdict {
    let image = ImageReference::parse(image).unwrap();
    let Plan::Check(check) = policy.plan(&image, &RequestContext::default()) else {
        panic!("there is a rule");
    };
    let gun = Gun::parse(&publisher.gun).unwrap();
    let repository = verify(&gun, check.anchor(), &publisher.documents(), Some(seen), at);
    check.judge(&image, repository.as_ref(), Freshness::just_read(), at)
}

fn later(days: i64) -> DateTime<Utc> {
    now() + TimeDelta::days(days)
}

fn moved() -> (Publisher, Seen, String) {
    let mut publisher = Publisher::new();
    let seen = publisher.seen();
    publisher.publish();
    publisher.targets.set("v1", "newer");
    (publisher, seen, format!("{GUN}@sha256:{}", digest("one")))
}

#[test]
fn a_digest_that_was_replaced_runs_only_where_the_rule_says_so_and_for_that_long() {
    let (publisher, seen, old) = moved();
    let strict = publisher.policy("", "");
    let lasting = publisher.policy(", digest: ever-signed(10d)", "");
    denied(
        &judge(&publisher, &strict, &old, &seen, later(1)),
        Reason::DigestNoLongerSigned,
    );
    let verdict = judge(&publisher, &lasting, &old, &seen, later(1));
    allowed(&verdict, "one");
    denied(
        &judge(&publisher, &lasting, &old, &seen, later(11)),
        Reason::DigestNoLongerSigned,
    );
    // The tag means what it means now; with the old digest it means what it meant.
    allowed(
        &judge(&publisher, &lasting, &format!("{GUN}:v1"), &seen, later(1)),
        "newer",
    );
    let both = format!("{GUN}:v1@sha256:{}", digest("one"));
    allowed(&judge(&publisher, &lasting, &both, &seen, later(1)), "one");
    denied(
        &judge(&publisher, &strict, &both, &seen, later(1)),
        Reason::DigestMismatch,
    );
    let other_tag = format!("{GUN}:v2@sha256:{}", digest("one"));
    denied(
        &judge(&publisher, &lasting, &other_tag, &seen, later(1)),
        Reason::TagNotSigned,
    );
    let never = format!("{GUN}@sha256:{}", digest("never"));
    denied(
        &judge(&publisher, &lasting, &never, &seen, later(1)),
        Reason::DigestNotSigned,
    );
}

#[test]
fn a_tag_that_was_removed_revokes_its_digest() {
    let (mut publisher, seen, old) = moved();
    publisher.targets.targets.clear();
    publisher.targets.set("v2", "two");
    let lasting = publisher.policy(", digest: ever-signed(10d)", "");
    denied(
        &judge(&publisher, &lasting, &old, &seen, later(1)),
        Reason::DigestNoLongerSigned,
    );
}

#[test]
fn a_signer_whose_key_was_taken_away_vouches_for_nothing_any_more() {
    let mut publisher = Publisher::new();
    let (alice, successor) = (Key::ecdsa(), Key::ecdsa());
    publisher.delegate("targets/releases", &alice, &[("v1", "released")]);
    let seen = publisher.seen();
    publisher.publish();
    let old = format!("{GUN}@sha256:{}", digest("released"));
    let lasting = publisher.policy(", digest: ever-signed(10d)", "");
    let mut moved = publisher.clone();
    moved.document("targets/releases").version = 2;
    moved.document("targets/releases").set("v1", "newer");
    allowed(&judge(&moved, &lasting, &old, &seen, later(1)), "released");
    let named = signers(&[("alice", &alice), ("bob", &successor)]);
    for (who, reason) in [("alice", None), ("bob", Some(Reason::DigestNoLongerSigned))] {
        let rest = format!(", digest: ever-signed(10d), require: {{ signers: [{who}] }}");
        let verdict = judge(&moved, &publisher.policy(&rest, &named), &old, &seen, later(1));
        assert_eq!(verdict.reason, reason, "{}", verdict.sentence);
    }
    publisher.delegate("targets/releases", &successor, &[("v1", "newer")]);
    denied(
        &judge(&publisher, &lasting, &old, &seen, later(1)),
        Reason::DigestNoLongerSigned,
    );
}

#[test]
fn what_is_no_longer_signed_is_bounded_and_what_is_stays() {
    let mut publisher = Publisher::new();
    for tag in 0..50 {
        publisher
            .targets
            .set(&format!("t{tag}"), &format!("content {tag}"));
    }
    let first = publisher.seen();
    publisher.publish();
    for tag in 0..50 {
        publisher.targets.set(&format!("t{tag}"), &format!("newer {tag}"));
    }
    let second = publisher
        .verify(&publisher.anchor(), Some(&first))
        .unwrap()
        .seen()
        .clone();
    let count = |seen: &Seen| {
        serde_json::to_value(seen).unwrap()["history"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!((count(&first), count(&second)), (51, 101));
}
