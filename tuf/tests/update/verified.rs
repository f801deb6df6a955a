//! What the current documents of a real repository sign, and what any change to one of them takes away.

use bytes::Bytes;
use tuf::{CurrentDocuments, Gun, VerifiedTargets, verified_targets};

use crate::replay::{gun, state, then};

fn documents(step: &str) -> CurrentDocuments {
    let current = state(step);
    let bytes = |document: Option<tuf::Document>| document.unwrap().bytes;
    CurrentDocuments {
        root: bytes(current.root),
        timestamp: bytes(current.timestamp),
        snapshot: bytes(current.snapshot),
        targets: current
            .targets
            .into_iter()
            .map(|(role, document)| (role.to_string(), document.bytes))
            .collect(),
    }
}

/// The roles with the names of their targets.
fn named(verified: &VerifiedTargets) -> Vec<(String, Vec<String>)> {
    let roles = verified.roles.iter().map(|role| {
        let names = role.targets.iter().map(|target| target.name.clone());
        (role.role.to_string(), names.collect())
    });
    roles.collect()
}

/// The same document with another byte in a signature.
fn with_a_bad_signature(document: &Bytes) -> Bytes {
    let text = String::from_utf8(document.to_vec()).unwrap();
    let (before, signature) = text.split_once("\"sig\":\"").unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{before}\"sig\":\"{first}{}", &signature[1..]).into()
}

#[test]
fn every_role_that_readers_accept_is_told_with_its_targets() {
    let verified = verified_targets(&gun(), &documents("07-after-nested-publish")).unwrap();
    let expected = [
        ("targets", vec!["v1", "v2"]),
        ("targets/releases", vec!["v3"]),
        ("targets/releases/nightly", vec!["nightly/1"]),
    ];
    let expected = expected.map(|(role, names)| {
        let names = names.into_iter().map(str::to_owned).collect();
        (role.to_owned(), names)
    });
    assert_eq!(named(&verified), expected);
    assert!(verified.usable_until > then());
    // No delegation is good for longer than what delegates to it.
    let ends = verified
        .roles
        .windows(2)
        .all(|roles| roles[1].expires <= roles[0].expires);
    assert!(ends && verified.roles[0].expires == verified.usable_until);
    for step in crate::replay::STEPS {
        verified_targets(&gun(), &documents(step)).unwrap_or_else(|reason| panic!("{step}: {reason}"));
    }
}

/// Changes documents, perhaps into those of another state.
type Change = fn(&mut CurrentDocuments, &CurrentDocuments);

#[test]
fn nothing_is_signed_if_one_of_the_documents_is_not() {
    let step = "07-after-nested-publish";
    let good = documents(step);
    let older = documents("05-after-delegation-publish");
    let changes: [(&str, Change); 8] = [
        ("root", |good, _| good.root = with_a_bad_signature(&good.root)),
        ("timestamp", |good, _| {
            good.timestamp = with_a_bad_signature(&good.timestamp)
        }),
        ("snapshot", |good, _| {
            good.snapshot = with_a_bad_signature(&good.snapshot)
        }),
        ("an older snapshot", |good, older| {
            good.snapshot = older.snapshot.clone()
        }),
        ("an older timestamp", |good, older| {
            good.timestamp = older.timestamp.clone()
        }),
        ("no JSON", |good, _| good.timestamp = Bytes::from_static(b"{")),
        ("no targets", |good, _| drop(good.targets.remove("targets"))),
        ("other targets", |good, _| {
            let changed = with_a_bad_signature(&good.targets["targets"]);
            good.targets.insert("targets".to_owned(), changed);
        }),
    ];
    for (what, change) in changes {
        let mut changed = documents(step);
        change(&mut changed, &older);
        assert!(verified_targets(&gun(), &changed).is_err(), "{what}");
    }
    let other = Gun::parse("example.com/acme/other").unwrap();
    assert!(
        verified_targets(&other, &good).is_err(),
        "the root's certificate is for another GUN"
    );
}

#[test]
fn a_delegation_that_is_not_as_it_was_published_is_left_out_with_all_below_it() {
    let mut documents = documents("07-after-nested-publish");
    let changed = with_a_bad_signature(&documents.targets["targets/releases"]);
    documents.targets.insert("targets/releases".to_owned(), changed);
    let verified = verified_targets(&gun(), &documents).unwrap();
    assert_eq!(verified.roles.len(), 1);
    // A role that nobody delegates to is none.
    let nightly = documents.targets["targets/releases/nightly"].clone();
    documents.targets.insert("targets/nightly".to_owned(), nightly);
    assert_eq!(verified_targets(&gun(), &documents).unwrap().roles.len(), 1);
}
