//! Nothing goes back.

use verifier::{Reason, Seen};

use crate::support::{Key, Publisher, refused};

fn after(publisher: &Publisher, seen: &Seen) -> Seen {
    publisher
        .verify(&publisher.anchor(), Some(seen))
        .unwrap()
        .seen()
        .clone()
}

#[test]
fn the_same_again_and_newer_is_fine() {
    let mut publisher = Publisher::new();
    let seen = publisher.seen();
    let seen = after(&publisher, &seen);
    publisher.publish();
    after(&publisher, &seen);
}

#[test]
fn older_documents_are_refused() {
    let mut publisher = Publisher::new();
    publisher.publish();
    let seen = publisher.seen();
    let older: [fn(&mut Publisher); 3] = [
        |publisher| publisher.timestamp.0 = 1,
        |publisher| publisher.snapshot.0 = 1,
        |publisher| publisher.targets.version = 1,
    ];
    for make_older in older {
        let mut changed = publisher.clone();
        changed.publish();
        make_older(&mut changed);
        refused(changed.verify(&changed.anchor(), Some(&seen)), Reason::Rollback);
    }
}

#[test]
fn other_documents_of_the_same_version_are_refused() {
    let mut publisher = Publisher::new();
    let seen = publisher.seen();
    publisher.timestamp.0 += 1;
    publisher.snapshot.0 += 1;
    publisher.targets.set("v1", "another");
    let denial = publisher.verify(&publisher.anchor(), Some(&seen)).unwrap_err();
    assert_eq!(denial.evidence.unwrap().timestamp.version, 2);
    refused(
        publisher.verify(&publisher.anchor(), Some(&seen)),
        Reason::SameVersionDiffers,
    );
}

#[test]
fn targets_never_go_back_even_with_another_key() {
    let mut publisher = Publisher::new();
    publisher.targets.version = 7;
    let seen = publisher.seen();
    publisher.targets_key = Key::ecdsa();
    publisher.targets.keys = vec![publisher.targets_key.clone()];
    let root = publisher.root.clone();
    publisher.add_root(&[&root]);
    publisher.publish();
    publisher.targets.version = 1;
    refused(
        publisher.verify(&publisher.anchor(), Some(&seen)),
        Reason::Rollback,
    );
}

#[test]
fn a_new_timestamp_key_begins_anew() {
    let mut publisher = Publisher::new();
    publisher.timestamp.0 = 900;
    let seen = publisher.seen();
    publisher.publish();
    publisher.timestamp.0 = 1;
    refused(
        publisher.verify(&publisher.anchor(), Some(&seen)),
        Reason::Rollback,
    );
    publisher.timestamp_key = Key::ecdsa();
    let root = publisher.root.clone();
    publisher.add_root(&[&root]);
    after(&publisher, &seen);
}

/// A repository where Alice's role is at version 5, and what is kept of it.
fn alice() -> (Publisher, Key, Seen) {
    let mut publisher = Publisher::new();
    let alice = Key::ecdsa();
    publisher.delegate("targets/alice", &alice, &[("v1", "one")]);
    publisher.document("targets/alice").version = 5;
    let seen = publisher.seen();
    publisher.publish();
    (publisher, alice, seen)
}

#[test]
fn a_successor_begins_anew_and_what_was_replaced_never_returns() {
    let (mut publisher, _, seen) = alice();
    let old = publisher.delegations["targets/alice"].clone();
    publisher.document("targets/alice").version = 4;
    refused(
        publisher.verify(&publisher.anchor(), Some(&seen)),
        Reason::Rollback,
    );
    let successor = Key::ecdsa();
    publisher.delegate("targets/alice", &successor, &[("v1", "one")]);
    let seen = after(&publisher, &seen);
    // The first key comes back, with what it had signed.
    publisher.publish();
    publisher
        .delegations
        .insert("targets/alice".to_owned(), old.clone());
    let denial = publisher.verify(&publisher.anchor(), Some(&seen)).unwrap_err();
    assert!(
        matches!(denial.reason, Reason::Rollback | Reason::SameVersionDiffers),
        "{}",
        denial.sentence
    );
    let mut older = publisher.clone();
    older.document("targets/alice").version = 3;
    refused(older.verify(&older.anchor(), Some(&seen)), Reason::Rollback);
    publisher.document("targets/alice").version = 6;
    after(&publisher, &seen);
    // Another key beside the old one is no reason to go back.
    let (mut publisher, alice, seen) = self::alice();
    publisher.delegation("targets/alice").declared.push(Key::ecdsa());
    publisher.document("targets/alice").version = 1;
    refused(
        publisher.verify(&publisher.anchor(), Some(&seen)),
        Reason::Rollback,
    );
    // Nor is a certificate of the same key.
    publisher.delegation("targets/alice").declared = vec![alice.certified("alice", 100)];
    publisher.document("targets/alice").keys = vec![alice.certified("alice", 100)];
    refused(
        publisher.verify(&publisher.anchor(), Some(&seen)),
        Reason::Rollback,
    );
}

#[test]
fn a_published_delegation_cannot_be_held_back() {
    let (publisher, _, seen) = alice();
    let mut stripped = publisher.clone();
    stripped.stripped = vec!["targets/alice".to_owned()];
    refused(
        stripped.verify(&publisher.anchor(), Some(&seen)),
        Reason::Rollback,
    );
    let mut forged = publisher.clone();
    forged.document("targets/alice").keys = vec![Key::ecdsa()];
    refused(forged.verify(&publisher.anchor(), Some(&seen)), Reason::Rollback);
    // Its owner may remove it, or replace its key.
    let mut removed = publisher.clone();
    removed.delegations.clear();
    after(&removed, &seen);
    let mut replaced = publisher;
    replaced.delegation("targets/alice").declared = vec![Key::ecdsa()];
    after(&replaced, &seen);
}
