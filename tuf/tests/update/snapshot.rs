//! Rules for uploaded snapshots, and what server-made ones hold.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tuf::{Checksum, RoleName, named_in_snapshot, named_snapshot};

use crate::support::{Key, Repository, now, part, rejected, sign, snapshot_body, stored, targets_body};

fn bad(text: &str) -> (&'static str, String) {
    ("ErrBadSnapshot", text.to_owned())
}

/// An update of targets to version 2, with the signed part of the snapshot it needs.
fn update(repository: &Repository) -> (Vec<u8>, Value) {
    let targets = repository.targets_document(2, &[]);
    let root = repository.current.root.as_ref().unwrap();
    let snapshot = snapshot_body(2, &[("root", &root.bytes), ("targets", &targets)]);
    (targets, snapshot)
}

fn refused(repository: &Repository, targets: &[u8], snapshot: Vec<u8>) -> (&'static str, String) {
    rejected(repository.check([part("targets", targets.to_vec()), part("snapshot", snapshot)]))
}

#[test]
fn an_uploaded_snapshot_is_kept_as_it_is() {
    let mut repository = Repository::published();
    let (targets, snapshot) = update(&repository);
    let snapshot = sign(&snapshot, &[&repository.snapshot]);
    let parts = || {
        [
            part("targets", targets.clone()),
            part("snapshot", snapshot.clone()),
        ]
    };
    assert!(repository.check(parts()).unwrap().snapshot_request().is_none());
    let documents = repository.publish(parts());
    assert_eq!(documents[1].bytes, snapshot);
    assert_eq!(
        named_snapshot(&documents[2].bytes).unwrap(),
        Checksum::of(&snapshot)
    );
}

#[test]
fn the_structure_is_checked() {
    let repository = Repository::published();
    let (targets, good) = update(&repository);
    let change = |path: &str, value: Value| {
        let mut body = good.clone();
        *body.pointer_mut(path).unwrap() = value;
        sign(&body, &[&repository.snapshot])
    };
    let short = json!({ "hashes": { "sha256": "YQ==" }, "length": 1 });
    for (path, value, problem) in [
        ("/_type", json!("Targets"), "expected type Snapshot, not Targets"),
        ("/version", json!(-1), "version cannot be less than one"),
        ("/meta", json!(null), "missing root sha256 checksum information"),
        (
            "/meta/targets",
            json!({}),
            "missing targets sha256 checksum information",
        ),
        (
            "/meta/targets",
            short,
            "invalid targets checksum information, sha256 checksum invalid",
        ),
    ] {
        let expected = bad(&format!("snapshot type metadata invalid: {problem}"));
        assert_eq!(
            refused(&repository, &targets, change(path, value)),
            expected,
            "{path}"
        );
    }
}

#[test]
fn it_must_be_signed_by_the_key_of_the_root_in_force() {
    let repository = Repository::published();
    let (targets, snapshot) = update(&repository);
    let foreign = sign(&snapshot, &[&repository.targets]);
    let expected = bad("valid signatures did not meet threshold for snapshot");
    assert_eq!(refused(&repository, &targets, foreign), expected);
    let unsigned = json!({ "signed": snapshot, "signatures": [] })
        .to_string()
        .into_bytes();
    assert_eq!(
        refused(&repository, &targets, unsigned),
        bad("tuf: data has no signatures")
    );

    // Rotating the key to the server: the update must not carry a snapshot by the old key.
    let old = repository.snapshot.clone();
    let repository = Repository {
        snapshot: Key::ecdsa(),
        ..repository
    };
    let root = repository.root_document(2);
    let snapshot = snapshot_body(2, &[("root", &root), ("targets", &targets)]);
    let parts = [
        part("root", root),
        part("targets", targets),
        part("snapshot", sign(&snapshot, &[&old])),
    ];
    assert_eq!(rejected(repository.check(parts)), expected);
}

#[test]
fn rotating_the_key_to_the_publisher_needs_a_snapshot_by_the_new_key() {
    let mut repository = Repository::published();
    repository.snapshot = Key::ecdsa();
    let root = repository.root_document(2);
    let targets = repository.current.targets[&RoleName::Targets].bytes.clone();
    let snapshot = snapshot_body(2, &[("root", &root), ("targets", &targets)]);
    let parts = [
        part("root", root),
        part("snapshot", sign(&snapshot, &[&repository.snapshot])),
    ];
    assert!(repository.check(parts).is_ok());
}

#[test]
fn expired_and_unstorable_ones_are_refused() {
    let repository = Repository::published();
    let (targets, mut snapshot) = update(&repository);
    snapshot["expires"] = json!("2026-11-22T11:59:59Z");
    let bytes = sign(&snapshot, &[&repository.snapshot]);
    let expected = bad("snapshot expired at Sun Nov 22 11:59:59 UTC 2026");
    assert_eq!(refused(&repository, &targets, bytes), expected);
    snapshot["expires"] = json!("2026-11-22T12:00:00Z");
    snapshot["version"] = json!(1_i64 << 40);
    let bytes = sign(&snapshot, &[&repository.snapshot]);
    let (kind, text) = refused(&repository, &targets, bytes);
    assert_eq!(kind, "ErrBadSnapshot");
    assert!(text.contains("1099511627776 is higher"), "{text}");
}

#[test]
fn it_must_name_every_loaded_document_by_its_hash() {
    let repository = Repository::published();
    let (targets, good) = update(&repository);
    let wrong = "a".repeat(32);
    let mut body = good.clone();
    body["meta"]["targets"]["hashes"]["sha256"] = json!(BASE64.encode(&wrong));
    let expected = bad(&format!(
        "sha256 checksum for targets did not match: expected {}",
        hex::encode(&wrong)
    ));
    assert_eq!(
        refused(&repository, &targets, sign(&body, &[&repository.snapshot])),
        expected
    );

    let mut body = good.clone();
    body["meta"]["root"]["hashes"]["sha512"] = json!(BASE64.encode(wrong.repeat(2)));
    let (_, text) = refused(&repository, &targets, sign(&body, &[&repository.snapshot]));
    assert!(
        text.starts_with("sha512 checksum for root did not match"),
        "{text}"
    );

    let mut body = good.clone();
    body["meta"]["root"]["length"] = json!(1);
    let (_, text) = refused(&repository, &targets, sign(&body, &[&repository.snapshot]));
    assert!(
        text.starts_with("length of root did not match: expected 1, it has "),
        "{text}"
    );

    let mut body = good;
    body["meta"]["targets"]["hashes"]["md5"] = json!("YQ==");
    let parts = [
        part("targets", targets),
        part("snapshot", sign(&body, &[&repository.snapshot])),
    ];
    assert!(
        repository.check(parts).is_ok(),
        "other algorithms are not looked at"
    );
}

#[test]
fn uploaded_delegations_and_stored_ancestors_must_be_named_too() {
    let a = Key::ecdsa();
    let mut repository = Repository::published();
    repository.publish([part(
        "targets",
        repository.targets_document(2, &[("targets/a", &[&a])]),
    )]);
    let root = repository.current.root.clone().unwrap().bytes;
    let targets = repository.current.targets[&RoleName::Targets].bytes.clone();
    let upload = sign(&targets_body(1, &[]), &[&a]);
    let with = |documents: &[(&str, &[u8])]| {
        let snapshot = sign(&snapshot_body(3, documents), &[&repository.snapshot]);
        repository.check([part("targets/a", upload.clone()), part("snapshot", snapshot)])
    };
    assert!(with(&[("root", &root), ("targets", &targets), ("targets/a", &upload)]).is_ok());
    let refused = with(&[("root", &root), ("targets", &targets)]);
    let expected = bad("no checksums for supported algorithms were provided for targets/a");
    assert_eq!(rejected(refused), expected);
    let refused = with(&[("root", &root), ("targets", b"other"), ("targets/a", &upload)]);
    assert!(
        rejected(refused)
            .1
            .starts_with("sha256 checksum for targets did not match")
    );
}

#[test]
fn a_made_snapshot_names_raw_bytes_and_keeps_other_entries() {
    let a = Key::ecdsa();
    let mut repository = Repository::published();
    repository.publish([
        part("targets", repository.targets_document(2, &[("targets/a", &[&a])])),
        part("targets/a", sign(&targets_body(1, &[]), &[&a])),
    ]);
    let delegation = repository.current.targets[&RoleName::parse("targets/a").unwrap()].sha256;
    // Pretty-printed, with a line end: the reference would name the hash of its own rendering.
    let document: Value = serde_json::from_slice(&repository.targets_document(3, &[])).unwrap();
    let pretty = serde_json::to_string_pretty(&document).unwrap() + "\n";
    let documents = repository.publish([part("targets", pretty.clone().into_bytes())]);

    assert_eq!(documents[0].bytes, pretty, "stored as uploaded");
    let snapshot = &documents[1].bytes;
    let named = |role| named_in_snapshot(snapshot, &RoleName::parse(role).unwrap()).unwrap();
    assert_eq!(named("targets"), Some(Checksum::of(pretty.as_bytes())));
    assert_eq!(
        named("root"),
        Some(repository.current.root.as_ref().unwrap().sha256)
    );
    assert_eq!(
        named("targets/a"),
        Some(delegation),
        "entries of removed delegations stay"
    );
    let json: Value = serde_json::from_slice(snapshot).unwrap();
    assert_eq!(json["signed"]["meta"]["targets"]["length"], pretty.len());
}

#[test]
fn an_empty_upload_makes_the_next_snapshot_and_timestamp() {
    let mut repository = Repository::published();
    let documents = repository.publish([]);
    let versions: Vec<_> = documents
        .iter()
        .map(|d| (d.role.as_str(), d.version.get()))
        .collect();
    assert_eq!(versions, [("snapshot", 2), ("timestamp", 2)]);
}

#[test]
fn made_documents_are_written_as_go_writes_them() {
    let mut repository = Repository::published();
    let documents = repository.publish([]);
    let text = |i: usize| String::from_utf8(documents[i].bytes.to_vec()).unwrap();
    let snapshot = text(0);
    assert!(
        snapshot.starts_with(
            r#"{"signed":{"_type":"Snapshot","expires":"2029-11-21T12:00:00Z","meta":{"root":{"hashes":{"sha256":""#
        ),
        "{snapshot}"
    );
    assert!(snapshot.ends_with(r#""}]}"#), "{snapshot}");
    let hash = |bytes: &[u8]| BASE64.encode(bytes);
    let signature: Value = serde_json::from_str(&text(1)).unwrap();
    let timestamp = format!(
        concat!(
            r#"{{"signed":{{"_type":"Timestamp","expires":"2026-12-06T12:00:00Z","meta":{{"snapshot":{{"hashes":"#,
            r#"{{"sha256":"{}","sha512":"{}"}},"length":{}}}}},"version":2}},"#,
            r#""signatures":[{{"keyid":"{}","method":"ecdsa","sig":"{}"}}]}}"#
        ),
        hash(&openssl::sha::sha256(snapshot.as_bytes())),
        hash(&openssl::sha::sha512(snapshot.as_bytes())),
        snapshot.len(),
        repository.timestamp.id(),
        signature["signatures"][0]["sig"].as_str().unwrap(),
    );
    assert_eq!(text(1), timestamp);
    assert_eq!(
        tuf::expires(snapshot.as_bytes()).unwrap(),
        now() + tuf::SNAPSHOT_LIFETIME
    );
}

#[test]
fn stored_documents_that_cannot_be_continued_are_a_fault_of_the_server() {
    let mut repository = Repository::published();
    let good = repository.current.clone();
    repository.current.snapshot = Some(stored("snapshot", 1, b"{}".to_vec()));
    let (kind, text) = rejected(repository.check([]));
    assert_eq!(kind, "StoredState");
    assert!(text.starts_with("the stored snapshot cannot be used"), "{text}");
    repository.current = good;
    let wrong_type = repository.current.snapshot.as_ref().unwrap().bytes.to_vec();
    repository.current.timestamp = Some(stored("timestamp", 1, wrong_type));
    let (kind, text) = rejected(repository.check([]));
    assert_eq!(kind, "StoredState");
    assert!(text.contains("expected type Timestamp, not Snapshot"), "{text}");
}

#[test]
fn there_is_no_version_after_the_last() {
    let mut repository = Repository::published();
    let last = tuf::Version::new(i32::MAX.into()).unwrap();
    repository.current.timestamp.as_mut().unwrap().version = last;
    let (kind, text) = rejected(repository.check([]));
    assert_eq!(kind, "ErrValidation");
    assert_eq!(
        text,
        "timestamp has reached the highest version that can be stored, 2147483647"
    );
    repository.current.snapshot.as_mut().unwrap().version = last;
    assert!(
        rejected(repository.check([]))
            .1
            .starts_with("snapshot has reached")
    );
}
