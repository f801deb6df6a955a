//! Rules for targets and delegations.

use openssl::hash::MessageDigest;
use serde_json::{Value, json};
use tuf::{RoleName, Upload};

use crate::support::{
    Certificate, Key, Repository, delegation, part, rejected, sign, stored, targets_body, write,
};

/// A repository whose targets delegate to `targets/a` by this key.
fn delegating(key: &Key) -> Repository {
    let mut repository = Repository::published();
    repository.publish([part(
        "targets",
        repository.targets_document(2, &[("targets/a", &[key])]),
    )]);
    repository
}

fn refused(repository: &Repository, name: &str, bytes: Vec<u8>) -> (&'static str, String) {
    rejected(repository.check([part(name, bytes)]))
}

fn bad(text: &str) -> (&'static str, String) {
    ("ErrBadTargets", text.to_owned())
}

#[test]
fn a_first_publish_needs_targets_or_a_snapshot() {
    let repository = Repository::empty();
    let refused = repository.check([part("root", repository.root_document(1))]);
    assert_eq!(
        rejected(refused),
        ("ErrValidation", "targets must be loaded first".to_owned())
    );
}

#[test]
fn enough_keys_of_the_role_must_sign() {
    let repository = Repository::published();
    let body = targets_body(2, &[]);
    let expected = bad("valid signatures did not meet threshold for targets");
    assert_eq!(
        refused(&repository, "targets", sign(&body, &[&Key::ecdsa()])),
        expected
    );
    assert_eq!(
        refused(&repository, "targets", write(&body, vec![])),
        bad("tuf: data has no signatures")
    );
    let unknown = json!({ "keyid": repository.targets.id(), "method": "hmac", "sig": "" });
    assert_eq!(
        refused(&repository, "targets", write(&body, vec![unknown, json!({})])),
        expected
    );
}

#[test]
fn a_changed_document_does_not_verify() {
    let repository = Repository::published();
    let text = String::from_utf8(repository.targets_document(2, &[])).unwrap();
    let changed = text.replace(r#""version":2"#, r#""version":3"#).into_bytes();
    let expected = bad("valid signatures did not meet threshold for targets");
    assert_eq!(refused(&repository, "targets", changed), expected);
}

#[test]
fn unknown_signatures_beside_a_good_one_do_not_matter() {
    let repository = Repository::published();
    let bytes = sign(&targets_body(2, &[]), &[&Key::ecdsa(), &repository.targets]);
    assert!(repository.check([part("targets", bytes)]).is_ok());
}

#[test]
fn a_key_listed_under_another_id_spoils_the_document() {
    let mut repository = Repository::published();
    let (lie, mut root) = ("ab".repeat(32), repository.root_body(2));
    let key = root["keys"][repository.targets.id()].clone();
    root["keys"][&lie] = key;
    root["roles"]["targets"]["keyids"] = json!([lie, repository.targets.id()]);
    repository.publish([part("root", sign(&root, &[&repository.root]))]);

    let good = String::from_utf8(repository.targets_document(2, &[])).unwrap();
    let lying = good.replace(repository.targets.id(), &lie).into_bytes();
    assert_eq!(
        refused(&repository, "targets", lying),
        bad("key ID is not valid for key content")
    );
    assert!(repository.check([part("targets", good.into_bytes())]).is_ok());
}

#[test]
fn the_structure_is_checked() {
    let key = Key::ecdsa();
    let repository = Repository::published();
    let change = |path: &str, value: Value| {
        let mut body = targets_body(2, &[("targets/a", &[&key])]);
        *body.pointer_mut(path).unwrap() = value;
        sign(&body, &[&repository.targets])
    };
    let unknown = "key ID x specified in targets/a without corresponding key";
    for (path, value, problem) in [
        ("/_type", json!("Snapshot"), "expected type Targets, not Snapshot"),
        ("/version", json!(0), "version cannot be less than one"),
        (
            "/delegations/roles/0/name",
            json!("targets/A"),
            "delegation role targets/A invalid",
        ),
        (
            "/delegations/roles/0/name",
            json!("targets/a/b"),
            "delegation role targets/a/b invalid",
        ),
        (
            "/delegations/roles/0/name",
            json!("targets/*"),
            "delegation role targets/* invalid",
        ),
        (
            "/delegations/roles/0/threshold",
            json!(0),
            "invalid threshold specified for targets/a: 0 ",
        ),
        ("/delegations/roles/0/keyids", json!(["x"]), unknown),
    ] {
        let expected = bad(&format!("targets type metadata invalid: {problem}"));
        assert_eq!(
            refused(&repository, "targets", change(path, value)),
            expected,
            "{path}"
        );
    }
}

#[test]
fn a_document_without_signed_part_is_refused() {
    let repository = Repository::published();
    for text in [
        r#"{"signatures":[{"keyid":"x"}]}"#,
        r#"{"signed":null,"signatures":[{"keyid":"x"}]}"#,
    ] {
        let expected = bad("targets type metadata invalid: the signed part is missing");
        assert_eq!(refused(&repository, "targets", text.into()), expected);
    }
}

#[test]
fn targets_themselves_may_hold_anything() {
    let repository = Repository::published();
    let mut body = targets_body(2, &[]);
    body["targets"] = json!({
        "no hashes": { "length": 5 },
        "short hash": { "hashes": { "sha256": "YQ==" }, "length": -1 },
        "nulls": { "hashes": null, "length": null },
        "custom": { "hashes": {}, "length": 1, "custom": [1, { "z": "é\u{7f}" }] },
    });
    assert!(
        repository
            .check([part("targets", sign(&body, &[&repository.targets]))])
            .is_ok()
    );
    for (wrong, reason) in [
        (
            json!({ "length": "5" }),
            "json: document.signed.targets.length is not an integer",
        ),
        // An entry to one reader and none to another.
        (
            json!(null),
            "json: document.signed.targets is not a map without null",
        ),
        (
            json!({ "hashes": { "sha256": null } }),
            "json: document.signed.targets.hashes is not a map without null",
        ),
    ] {
        body["targets"] = json!({ "x": wrong });
        assert_eq!(
            refused(&repository, "targets", sign(&body, &[&repository.targets])),
            bad(reason)
        );
    }
}

#[test]
fn names_with_control_characters_are_refused() {
    let repository = Repository::published();
    let mut body = targets_body(2, &[]);
    body["targets"] = json!({ "a\nb": { "hashes": {}, "length": 1 } });
    let expected = "the name \"a\\nb\" in targets holds a control character".to_owned();
    let bytes = sign(&body, &[&repository.targets]);
    assert_eq!(
        refused(&repository, "targets", bytes),
        ("ErrValidation", expected)
    );

    let mut body = targets_body(2, &[("targets/a", &[&Key::ecdsa()])]);
    body["delegations"]["roles"][0]["paths"] = json!(["fine", "\u{1}"]);
    let (kind, _) = refused(&repository, "targets", sign(&body, &[&repository.targets]));
    assert_eq!(kind, "ErrValidation");
}

#[test]
fn expired_targets_are_refused() {
    let repository = Repository::published();
    let mut body = targets_body(2, &[]);
    body["expires"] = json!("2020-01-01T00:00:00+01:00");
    let bytes = sign(&body, &[&repository.targets]);
    assert_eq!(
        refused(&repository, "targets", bytes),
        bad("targets expired at Tue Dec 31 23:00:00 UTC 2019")
    );
    body.as_object_mut().unwrap().remove("expires");
    let bytes = sign(&body, &[&repository.targets]);
    assert_eq!(
        refused(&repository, "targets", bytes),
        bad("targets expired at Mon Jan 1 00:00:00 UTC 0001")
    );
}

#[test]
fn any_jump_upwards_is_a_next_version_but_what_cannot_be_stored_is_not() {
    let repository = Repository::published();
    let last = i64::from(i32::MAX);
    assert!(
        repository
            .check([part("targets", repository.targets_document(last, &[]))])
            .is_ok()
    );
    let (kind, text) = refused(&repository, "targets", repository.targets_document(last + 1, &[]));
    assert_eq!(kind, "ErrBadTargets");
    assert!(text.starts_with("targets version 2147483648 is higher"), "{text}");
}

#[test]
fn delegations_come_after_their_parents_whatever_the_body_order() {
    let (a, b) = (Key::ecdsa(), Key::ecdsa());
    let mut repository = Repository::published();
    let documents = repository.publish([
        part("targets/a/b", sign(&targets_body(1, &[]), &[&b])),
        part("targets/c", sign(&targets_body(1, &[]), &[&b])),
        part(
            "targets/a",
            sign(&targets_body(1, &[("targets/a/b", &[&b])]), &[&a]),
        ),
        part(
            "targets",
            repository.targets_document(2, &[("targets/a", &[&a]), ("targets/c", &[&b])]),
        ),
    ]);
    let roles: Vec<&str> = documents.iter().map(|d| d.role.as_str()).collect();
    assert_eq!(
        roles,
        [
            "targets",
            "targets/a",
            "targets/c",
            "targets/a/b",
            "snapshot",
            "timestamp"
        ]
    );
}

#[test]
fn a_delegation_must_be_declared_by_its_parent() {
    let a = Key::ecdsa();
    let repository = delegating(&a);
    let expected = bad("tuf: invalid role targets/b. delegation does not exist");
    assert_eq!(
        refused(&repository, "targets/b", sign(&targets_body(1, &[]), &[&a])),
        expected
    );
    let expected = bad("tuf: invalid role targets/a/b. delegation does not exist");
    let nested = sign(&targets_body(1, &[]), &[&a]);
    assert_eq!(
        refused(&repository, "targets/a/b", nested),
        expected,
        "its parent is not stored"
    );
    let mut without_targets = Repository::published();
    without_targets.current.targets.clear();
    let expected = bad("targets must be loaded first");
    assert_eq!(
        refused(&without_targets, "targets/a", sign(&targets_body(1, &[]), &[&a])),
        expected
    );
}

#[test]
fn a_delegation_is_signed_by_the_keys_its_parent_gives() {
    let a = Key::ecdsa();
    let repository = delegating(&a);
    assert!(
        repository
            .check([part("targets/a", sign(&targets_body(1, &[]), &[&a]))])
            .is_ok()
    );
    let expected = bad("valid signatures did not meet threshold for targets/a");
    let foreign = sign(&targets_body(1, &[]), &[&repository.targets]);
    assert_eq!(refused(&repository, "targets/a", foreign), expected);
}

#[test]
fn a_delegation_is_declared_once() {
    let (first, second) = (Key::ecdsa(), Key::ecdsa());
    let repository = Repository::published();
    let mut body = targets_body(2, &[("targets/a", &[&first]), ("targets/b", &[&second])]);
    body["delegations"]["roles"][1] = delegation("targets/a", &[&second]);
    assert_eq!(
        refused(&repository, "targets", sign(&body, &[&repository.targets])),
        bad("json: document.signed.delegations.roles is not a list that declares each role once")
    );
}

#[test]
fn a_field_that_some_readers_take_for_another_is_refused_wherever_it_stands() {
    let key = Key::ecdsa();
    let repository = Repository::published();
    let body = targets_body(2, &[("targets/a", &[&key])]);
    let id = key.id().to_string();
    for (place, member) in [
        ("".to_owned(), "Targets"),
        ("/delegations".to_owned(), "Roles"),
        (format!("/delegations/keys/{id}"), "keyType"),
        (format!("/delegations/keys/{id}/keyval"), "PUBLIC"),
        ("/delegations/roles/0".to_owned(), "Threshold"),
        ("/delegations/roles/0".to_owned(), "path\u{17f}"),
        ("/delegations/roles/0".to_owned(), "\u{212a}eyids"),
        ("/targets/x".to_owned(), "Hashes"),
        ("/targets/x".to_owned(), "Custom"),
    ] {
        let mut body = body.clone();
        body["targets"] = json!({ "x": { "hashes": {}, "length": 1 } });
        body.pointer_mut(&place).unwrap()[member] = json!(null);
        let file = sign(&body, &[&repository.targets]);
        let upload = Upload::from_parts([(Some("targets".to_owned()), file.into())]);
        let refused = match upload {
            Err(error) => error.to_string(),
            Ok(_) => refused(&repository, "targets", sign(&body, &[&repository.targets])).1,
        };
        assert!(refused.contains(&format!("{member:?}")), "{place}: {refused}");
    }
    // Names of targets, hashes and keys are not fields: case tells them apart everywhere.
    let mut body = body.clone();
    body["targets"] = json!({ "Targets": { "hashes": { "SHA256": "", "sha256": "" } }, "targets": {} });
    assert!(
        repository
            .check([part("targets", sign(&body, &[&repository.targets]))])
            .is_ok()
    );
}

#[test]
fn weak_certificates_of_delegations_are_refused_and_old_ones_are_not() {
    let upload = |key: &Key| {
        let repository = delegating(key);
        repository
            .check([part("targets/a", sign(&targets_body(1, &[]), &[key]))])
            .map(drop)
    };
    let ecdsa = |certificate: Certificate| upload(&Key::ecdsa().certified(&certificate));
    let certificate = || Certificate::of("anyone");
    assert_eq!(ecdsa(certificate().days(-9, -1)), Ok(()));
    assert_eq!(
        ecdsa(Certificate {
            ca: true,
            ..certificate()
        }),
        Ok(())
    );
    assert_eq!(upload(&Key::rsa(2048).certified(&certificate())), Ok(()));
    let short = upload(&Key::rsa(1024).certified(&certificate()));
    assert_eq!(rejected(short), bad("RSA bit length is too short"));
    let sha1 = ecdsa(Certificate {
        digest: MessageDigest::sha1(),
        ..certificate()
    });
    assert_eq!(rejected(sha1), bad("certificate uses SHA-1 for its signature"));
    assert_eq!(
        rejected(ecdsa(certificate().days(1, 0))),
        bad("certificate validity window is invalid")
    );
}

#[test]
fn stored_ancestors_are_loaded_even_when_expired() {
    let a = Key::ecdsa();
    let mut repository = delegating(&a);
    let mut body = targets_body(3, &[("targets/a", &[&a])]);
    body["expires"] = json!("2020-01-01T00:00:00Z");
    repository.store(stored("targets", 3, sign(&body, &[&repository.targets])));
    assert!(
        repository
            .check([part("targets/a", sign(&targets_body(1, &[]), &[&a]))])
            .is_ok()
    );
}

#[test]
fn ancestors_that_lost_their_trust_must_be_published_again() {
    let a = Key::ecdsa();
    let mut repository = delegating(&a);
    repository.targets = Key::ecdsa();
    // As databases of Notary's hold it: there a root may come without the targets that satisfy it.
    repository.store(stored("root", 2, repository.root_document(2)));
    let upload = sign(&targets_body(1, &[]), &[&a]);
    let (kind, text) = refused(&repository, "targets/a", upload.clone());
    assert_eq!(kind, "ErrValidation");
    assert!(
        text.starts_with("the stored targets is no longer trusted, publish it again: "),
        "{text}"
    );

    let targets = repository.targets_document(3, &[("targets/a", &[&a])]);
    assert!(
        repository
            .check([part("targets", targets), part("targets/a", upload)])
            .is_ok()
    );
}

#[test]
fn an_ancestor_that_cannot_be_read_is_a_fault_of_the_server() {
    let a = Key::ecdsa();
    let mut repository = delegating(&a);
    repository
        .current
        .targets
        .insert(RoleName::Targets, stored("targets", 2, b"<html>".to_vec()));
    let (kind, text) = refused(&repository, "targets/a", sign(&targets_body(1, &[]), &[&a]));
    assert_eq!(kind, "StoredState");
    assert!(text.starts_with("the stored targets cannot be used: "), "{text}");
}

#[test]
fn deeply_nested_custom_data_is_verified_without_exhausting_the_stack() {
    let repository = Repository::published();
    let depth = tuf::MAX_DEPTH - 10;
    let mut body = targets_body(2, &[]);
    let nested = "[".repeat(depth) + &"]".repeat(depth);
    body["targets"] = json!({ "a": { "hashes": {}, "length": 1, "custom": "@" } });
    // serde_json itself gives up at 128 levels, so the document is put together as text.
    let message = body.to_string().replace("\"@\"", &nested);
    let message = tuf::canonical_form(message.as_bytes()).unwrap();
    let signature = repository.targets.sign(&message);
    let signature = json!({
        "keyid": repository.targets.id(),
        "method": "ecdsa",
        "sig": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &signature.bytes),
    });
    let text = format!(
        r#"{{"signed":{},"signatures":[{signature}]}}"#,
        String::from_utf8(message).unwrap()
    );
    assert!(repository.check([part("targets", text.into_bytes())]).is_ok());
}
