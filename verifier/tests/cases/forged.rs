//! Sets that were never signed as they are given.

use bytes::Bytes;
use serde_json::{Value, json};
use tuf::Gun;
use verifier::{Documents, Reason, verify};

use crate::support::{GUN, Key, Publisher, days, describe, digest, now, refused, sign};

fn read(documents: &Documents, publisher: &Publisher) -> Result<verifier::Repository, verifier::Denial> {
    verify(
        &Gun::parse(GUN).unwrap(),
        &publisher.anchor(),
        documents,
        None,
        now(),
    )
}

fn json(bytes: &Bytes) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn documents_without_signatures_are_refused() {
    let publisher = Publisher::new();
    let strip = |bytes: &Bytes| {
        let mut document = json(bytes);
        document["signatures"] = json!([]);
        Bytes::from(document.to_string())
    };
    let good = publisher.documents();
    let mut root = good.clone();
    root.roots[0] = strip(&good.roots[0]);
    let mut timestamp = good.clone();
    timestamp.timestamp = strip(&good.timestamp);
    for documents in [root, timestamp] {
        refused(read(&documents, &publisher), Reason::Signatures);
    }
    let mut targets = publisher.clone();
    targets.targets.keys.clear();
    refused(targets.verify(&publisher.anchor(), None), Reason::Signatures);
}

#[test]
fn a_key_of_another_role_does_not_sign() {
    let publisher = Publisher::new();
    let anchor = publisher.anchor();
    let mut targets = publisher.clone();
    targets.targets.keys = vec![publisher.snapshot_key.clone()];
    refused(targets.verify(&anchor, None), Reason::Signatures);
    let mut timestamp = publisher.clone();
    timestamp.timestamp_key = publisher.targets_key.clone();
    refused(timestamp.verify(&anchor, None), Reason::Signatures);
    let mut snapshot = publisher.clone();
    snapshot.snapshot_key = publisher.timestamp_key.clone();
    refused(snapshot.verify(&anchor, None), Reason::Signatures);
}

/// A role of threshold two whose keys are these, signed by all of them.
fn threshold_of_two(keys: &[Key]) -> Publisher {
    let mut publisher = Publisher::new();
    publisher.delegate("targets/releases", &keys[0], &[("v1", "two people")]);
    let delegation = publisher.delegation("targets/releases");
    delegation.declared = keys.to_vec();
    delegation.threshold = 2;
    publisher.document("targets/releases").keys = keys.to_vec();
    publisher
}

#[test]
fn a_threshold_is_not_met_by_one_key_under_two_ids() {
    let key = Key::ecdsa();
    let policy = |publisher: &Publisher| publisher.policy("", "");
    let image = format!("{GUN}:v1");
    let good = threshold_of_two(&[Key::ecdsa(), Key::ecdsa()]);
    crate::support::allowed(&good.judge(&policy(&good), &image), "two people");
    for second in [key.certified("one", 100), key.clone()] {
        let forged = threshold_of_two(&[key.clone(), second]);
        crate::support::denied(&forged.judge(&policy(&forged), &image), Reason::Signatures);
    }
    let twice = threshold_of_two(&[key.certified("one", 100), key.certified("two", 100)]);
    crate::support::denied(&twice.judge(&policy(&twice), &image), Reason::Signatures);
}

#[test]
fn a_root_whose_threshold_one_key_meets_twice_is_refused() {
    let mut publisher = Publisher::new();
    let twin = publisher.root.certified(GUN, 900);
    let mut body = publisher.root_body();
    let public = base64_of(twin.public.public());
    body["keys"][twin.id()] =
        json!({ "keytype": "ecdsa-x509", "keyval": { "private": null, "public": public } });
    body["roles"]["root"] = json!({ "keyids": [publisher.root.id(), twin.id()], "threshold": 2 });
    body["version"] = json!(1);
    publisher.roots = vec![sign(&body, &[&publisher.root, &twin])];
    refused(publisher.verify(&publisher.anchor(), None), Reason::Signatures);
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn a_document_that_is_not_the_one_named_is_refused() {
    let publisher = Publisher::new();
    let mut changed = publisher.documents();
    let mut other = publisher.clone();
    other.targets.set("v1", "evil");
    changed.targets = other.documents().targets;
    refused(read(&changed, &publisher), Reason::Inconsistent);
    let mut missing = publisher.documents();
    missing.targets.clear();
    refused(read(&missing, &publisher), Reason::Inconsistent);
    // A snapshot that names another root.
    let targets = publisher.documents().targets;
    let mut meta = serde_json::Map::new();
    meta.insert("root".to_owned(), describe(b"another"));
    meta.insert("targets".to_owned(), describe(&targets["targets"]));
    refused(
        read(&publisher.with_meta(targets, meta), &publisher),
        Reason::Inconsistent,
    );
}

#[test]
fn repeated_and_lookalike_members_are_refused() {
    let publisher = Publisher::new();
    let good = publisher.documents();
    let text = String::from_utf8(good.timestamp.to_vec()).unwrap();
    for changed in [
        text.replacen("\"signatures\":", "\"signatures\":[],\"signatures\":", 1),
        text.replacen("{\"signed\":", "{\"Signed\":{},\"signed\":", 1),
        text.replacen("{\"signed\":", "{\"signed\":{},\"signed\":", 1),
        format!("{text}{text}"),
        text[..text.len() - 1].to_owned(),
        String::new(),
    ] {
        assert_ne!(changed, text);
        let mut documents = good.clone();
        documents.timestamp = changed.into();
        refused(read(&documents, &publisher), Reason::InvalidDocument);
    }
}

#[test]
fn a_role_that_nobody_delegates_to_is_none() {
    let mut publisher = Publisher::new();
    let mut documents = publisher.documents();
    let forged = crate::support::Signed::by(&publisher.targets_key, &[("v1", "evil")]);
    let bytes = sign(
        &publisher.targets_body("targets/releases", &forged),
        &[&publisher.targets_key],
    );
    documents.targets.insert("targets/releases".to_owned(), bytes);
    let repository = read(&documents, &publisher).unwrap();
    assert_eq!(repository.roles().len(), 1);
    // Nor is one that only a forged parent delegates to.
    publisher.delegate("targets/qa", &Key::ecdsa(), &[]);
    publisher.delegate("targets/qa/releases", &Key::ecdsa(), &[("v1", "evil")]);
    publisher.document("targets/qa").keys = vec![Key::ecdsa()];
    let repository = publisher.verify(&publisher.anchor(), None).unwrap();
    assert_eq!(repository.roles().len(), 1);
    assert_eq!(repository.evidence(None).left_out.len(), 1);
}

#[test]
fn a_certificate_for_another_repository_does_not_make_a_root() {
    let mut publisher = Publisher::new();
    publisher.root = publisher.root.certified("reg.example/other", 365);
    publisher.roots.clear();
    let root = publisher.root.clone();
    publisher.add_root(&[&root]);
    refused(
        publisher.verify(&publisher.anchor(), None),
        Reason::CertificateName,
    );
}

#[test]
fn evidence_can_be_written() {
    let publisher = Publisher::new();
    let verdict = publisher.judge(&publisher.policy("", ""), &format!("{GUN}:v1"));
    let json = serde_json::to_value(&verdict).unwrap();
    assert_eq!(json["allow"], true);
    assert_eq!(json["digest"], format!("sha256:{}", digest("one")));
    assert_eq!(json["evidence"]["roles"][0]["role"], "targets");
    assert_eq!(
        json["evidence"]["timestamp"]["expires"],
        days(14).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    );
    assert_eq!(json["reason"], Value::Null);
    let denied = publisher.judge(&publisher.policy("", ""), &format!("{GUN}:v2"));
    assert_eq!(serde_json::to_value(&denied).unwrap()["reason"], "tag_not_signed");
}
