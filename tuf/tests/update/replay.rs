//! The life of a real repository, driven by the stock client against the reference, step by step.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tuf::{Current, Document, Gun, RoleName, Version, check, expires, named_in_snapshot, named_snapshot};

use crate::support::{part, upload};

pub const STEPS: [&str; 12] = [
    "01-after-init",
    "02-after-two-targets",
    "03-after-snapshot-rotated-to-server",
    "04-after-delegation-add",
    "05-after-delegation-publish",
    "06-after-nested-delegation",
    "07-after-nested-publish",
    "08-after-timestamp-rotate",
    "09-after-targets-rotate",
    "10-after-root-rotate",
    "11-after-snapshot-rotated-to-client",
    "12-final",
];

pub fn metadata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/notary/metadata")
}

pub fn gun() -> Gun {
    Gun::parse("example.com/acme/app").unwrap()
}

/// Shortly after the repository was made.
pub fn then() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-11-21T23:10:00Z")
        .unwrap()
        .to_utc()
}

fn signed(document: &Document) -> Value {
    let json: Value = serde_json::from_slice(&document.bytes).unwrap();
    json["signed"].clone()
}

pub fn read(file: &Path, role: &str) -> Document {
    let bytes = std::fs::read(file).unwrap();
    let json: Value = serde_json::from_slice(&bytes).unwrap();
    let version = Version::new(json["signed"]["version"].as_i64().unwrap()).unwrap();
    Document::new(RoleName::parse(role).unwrap(), version, bytes)
}

/// Everything that is current after a step.
pub fn state(step: &str) -> Current {
    let mut current = Current::default();
    for entry in std::fs::read_dir(metadata().join(step)).unwrap() {
        let file = entry.unwrap().path();
        let role = file.file_stem().unwrap().to_str().unwrap().replace('_', "/");
        let document = read(&file, &role);
        match document.role {
            RoleName::Root => current.root = Some(document),
            RoleName::Snapshot => current.snapshot = Some(document),
            RoleName::Timestamp => current.timestamp = Some(document),
            _ => {
                current.targets.insert(document.role.clone(), document);
            }
        }
    }
    current
}

/// The documents of a step that were uploaded to get there from the one before.
fn uploaded(before: &Current, after: &Current) -> Vec<Document> {
    let is_new = |document: &&Document| {
        let old = match document.role {
            RoleName::Root => before.root.as_ref(),
            _ => before.targets.get(&document.role),
        };
        old != Some(*document)
    };
    after
        .root
        .iter()
        .chain(after.targets.values())
        .filter(is_new)
        .cloned()
        .collect()
}

fn parts(documents: &[Document]) -> Vec<(String, Vec<u8>)> {
    documents
        .iter()
        .map(|d| part(d.role.as_str(), d.bytes.to_vec()))
        .collect()
}

/// Steps after which the snapshot's key was the server's.
fn server_snapshot(step: &str) -> bool {
    ("03".."11").contains(&&step[..2])
}

#[test]
fn every_publish_is_accepted_and_what_the_server_makes_says_the_same() {
    let mut before = Current::default();
    for step in STEPS {
        let after = state(step);
        let mut documents = uploaded(&before, &after);
        let snapshot = after.snapshot.clone().unwrap();
        if !server_snapshot(step) {
            documents.push(snapshot.clone());
        }
        let update = check(&gun(), &upload(parts(&documents)), &before, then());
        let update = update.unwrap_or_else(|e| panic!("{step}: {e}"));
        match update.snapshot_request() {
            None => assert!(!server_snapshot(step), "{step}"),
            Some(request) => {
                let made: Value = serde_json::from_slice(&request.message).unwrap();
                assert_eq!(made["meta"], signed(&snapshot)["meta"], "{step}");
                assert_eq!(request.version, snapshot.version, "{step}");
                let keys: Vec<&str> = request.keys.iter().map(|key| key.id().as_str()).collect();
                let json: Value = serde_json::from_slice(&snapshot.bytes).unwrap();
                assert_eq!(keys, [json["signatures"][0]["keyid"].as_str().unwrap()], "{step}");
            }
        }
        before = after;
    }
}

#[test]
fn the_timestamp_for_an_uploaded_snapshot_says_what_the_reference_said() {
    for [from, to] in [
        ["01-after-init", "02-after-two-targets"],
        [STEPS[9], STEPS[10]],
        [STEPS[10], STEPS[11]],
    ] {
        let (before, after) = (state(from), state(to));
        let mut documents = uploaded(&before, &after);
        documents.extend(after.snapshot.clone());
        let update = check(&gun(), &upload(parts(&documents)), &before, then()).unwrap();
        let update = update.seal_snapshot(vec![]).unwrap();
        let request = update.timestamp_request();
        let made: Value = serde_json::from_slice(&request.message).unwrap();
        let expected = signed(after.timestamp.as_ref().unwrap());
        assert_eq!(made["meta"], expected["meta"], "{to}");
        assert_eq!(made["version"], expected["version"], "{to}");
    }
}

#[test]
fn an_update_against_another_state_is_refused() {
    // A delegation that was added only later, and a root two steps ahead.
    let early = state(STEPS[2]);
    let late = state(STEPS[8]);
    let delegation = &late.targets[&RoleName::parse("targets/releases").unwrap()];
    let refused = check(
        &gun(),
        &upload(parts(std::slice::from_ref(delegation))),
        &early,
        then(),
    );
    assert_eq!(
        refused.unwrap_err().to_string(),
        "tuf: invalid role targets/releases. delegation does not exist"
    );
    let refused = check(&gun(), &upload(parts(late.root.as_slice())), &early, then());
    assert_eq!(
        refused.unwrap_err().to_string(),
        "Root modifications must increment the version. Current 2, new 4"
    );
}

#[test]
fn every_root_follows_the_one_before_and_no_other() {
    let root = |n: usize| read(&metadata().join(format!("root-history.{n}.root.json")), "root");
    let last = state("12-final");
    for n in 2..=6 {
        let mut current = last.clone();
        current.root = Some(root(n - 1));
        let upload_of = |n| upload(parts(&[root(n)]));
        assert!(check(&gun(), &upload_of(n), &current, then()).is_ok(), "{n}");
        if n < 6 {
            assert!(
                check(&gun(), &upload_of(n + 1), &current, then()).is_err(),
                "{n} skipped"
            );
        }
    }
    // The root key changed with version 5.
    let other = Gun::parse("example.com/acme/other").unwrap();
    assert!(check(&other, &upload(parts(&[root(1)])), &Current::default(), then()).is_err());
}

#[test]
fn the_documents_of_every_step_name_each_other() {
    for step in STEPS {
        let current = state(step);
        let (snapshot, timestamp) = (current.snapshot.unwrap(), current.timestamp.unwrap());
        assert_eq!(
            named_snapshot(&timestamp.bytes).unwrap(),
            snapshot.sha256,
            "{step}"
        );
        for document in current.root.iter().chain(current.targets.values()) {
            let named = named_in_snapshot(&snapshot.bytes, &document.role).unwrap();
            assert_eq!(named, Some(document.sha256), "{step} {}", document.role);
            assert!(expires(&document.bytes).unwrap() > then());
        }
    }
}
