//! Rules for roots.

use serde_json::{Value, json};
use tuf::{Current, RoleName};

use crate::support::{
    Certificate, Key, Repository, part, rejected, root_body, sign, stored, targets_body, write,
};

pub(super) const NO_INTEGRITY: &str =
    "could not validate the path to a trusted root: failed to validate integrity of roots";
const NOT_ROTATED: &str =
    "could not rotate trust to a new trusted root: failed to validate data with current trusted certificates";

/// The refusal of a root for a new repository.
pub(super) fn first_root(repository: &Repository, root: Vec<u8>) -> (&'static str, String) {
    rejected(repository.check([
        part("root", root),
        part("targets", repository.targets_document(1, &[])),
    ]))
}

#[test]
fn nothing_can_be_published_without_a_root() {
    let repository = Repository::empty();
    let expected = "no pre-existing root and no root provided in update.".to_owned();
    assert_eq!(rejected(repository.check([])), ("ErrValidation", expected));
}

#[test]
fn a_first_root_may_have_version_1_or_2() {
    let repository = Repository::empty();
    for version in [1, 2] {
        let parts = [
            part("root", repository.root_document(version)),
            part("targets", repository.targets_document(1, &[])),
        ];
        assert!(repository.check(parts).is_ok(), "{version}");
    }
    for version in [-1, 0, 3] {
        let expected = format!("Root modifications must increment the version. Current 1, new {version}");
        assert_eq!(
            first_root(&repository, repository.root_document(version)),
            ("ErrBadRoot", expected)
        );
    }
}

#[test]
fn the_next_root_has_the_next_version() {
    let repository = Repository::published();
    assert!(
        repository
            .check([part("root", repository.root_document(2))])
            .is_ok()
    );
    let expected = "Root modifications must increment the version. Current 1, new 3".to_owned();
    let refused = repository.check([part("root", repository.root_document(3))]);
    assert_eq!(rejected(refused), ("ErrBadRoot", expected));
}

#[test]
fn the_same_root_again_is_left_to_the_store_to_refuse() {
    let repository = Repository::published();
    assert!(
        repository
            .check([part("root", repository.root_document(1))])
            .is_ok()
    );
}

#[test]
fn the_structure_is_checked() {
    let repository = Repository::empty();
    let other = Key::ecdsa();
    let change = |path: &str, value: Value| {
        let mut body = repository.root_body(1);
        *body.pointer_mut(path).unwrap() = value;
        sign(&body, &[&repository.root])
    };
    let unknown = format!(
        "key ID {} specified in timestamp without corresponding key",
        other.id()
    );
    for (path, value, problem) in [
        ("/_type", json!("root"), "expected type Root, not root"),
        (
            "/roles/targets/threshold",
            json!(0),
            "invalid threshold specified for targets: 0 ",
        ),
        (
            "/roles/root/threshold",
            json!(-2),
            "invalid threshold specified for root: -2 ",
        ),
        ("/roles/timestamp/keyids", json!([other.id()]), &unknown),
    ] {
        let expected = format!("root type metadata invalid: {problem}");
        assert_eq!(
            first_root(&repository, change(path, value)),
            ("ErrBadRoot", expected),
            "{path}"
        );
    }
    let (kind, text) = first_root(&repository, change("/roles", json!([])));
    assert_eq!(
        (kind, text.as_str()),
        ("ErrBadRoot", "json: document.signed.roles is not an object")
    );
}

#[test]
fn a_root_without_signed_part_is_refused() {
    // The version is missing too, which is looked at first; a repository at version 0 does not exist.
    let (kind, text) = first_root(&Repository::empty(), br#"{"signatures":[]}"#.to_vec());
    assert_eq!(kind, "ErrBadRoot");
    assert_eq!(
        text,
        "Root modifications must increment the version. Current 1, new 0"
    );
}

#[test]
fn other_roles_and_keys_without_use_are_ignored() {
    let repository = Repository::empty();
    let mut body = repository.root_body(1);
    body["roles"]["mirrors"] = json!({ "keyids": ["nobody"], "threshold": 0 });
    body["roles"]["snapshot"]["keyids"] = json!([]);
    let parts = [
        part("root", sign(&body, &[&repository.root])),
        part("targets", repository.targets_document(1, &[])),
    ];
    assert!(repository.check(parts).is_ok());
}

#[test]
fn an_expired_root_is_refused() {
    let repository = Repository::empty();
    let mut body = repository.root_body(1);
    body["expires"] = json!("2020-01-01T00:00:00Z");
    let expected = "root expired at Wed Jan 1 00:00:00 UTC 2020".to_owned();
    assert_eq!(
        first_root(&repository, sign(&body, &[&repository.root])),
        ("ErrBadRoot", expected)
    );
}

#[test]
fn a_version_that_cannot_be_stored_is_refused() {
    let mut repository = Repository::published();
    let last = i64::from(i32::MAX);
    repository.current.root = Some(crate::support::stored(
        "root",
        last,
        repository.root_document(last),
    ));
    let (kind, text) = rejected(repository.check([part("root", repository.root_document(last + 1))]));
    assert_eq!(kind, "ErrBadRoot");
    assert!(text.contains("2147483648 is higher than the highest"), "{text}");
}

#[test]
fn signatures_must_be_enough_and_right() {
    let repository = Repository::empty();
    let body = repository.root_body(1);
    let stranger = Key::certificate(repository.gun.as_str());
    let expected = ("ErrBadRoot", NO_INTEGRITY.to_owned());
    assert_eq!(first_root(&repository, write(&body, vec![])), expected);
    assert_eq!(first_root(&repository, sign(&body, &[&stranger])), expected);
    let mut threshold = body.clone();
    threshold["roles"]["root"]["threshold"] = json!(2);
    // The same key twice counts once.
    assert_eq!(
        first_root(
            &repository,
            sign(&threshold, &[&repository.root, &repository.root])
        ),
        expected
    );
}

#[test]
fn a_new_root_key_needs_signatures_by_the_old_and_the_new() {
    let old = Repository::published();
    let new = Repository {
        root: Key::certificate(old.gun.as_str()),
        targets: old.targets.clone(),
        ..Repository::published()
    };
    let body = new.root_body(2);
    assert!(
        old.check([part("root", sign(&body, &[&old.root, &new.root]))])
            .is_ok()
    );
    let refused = old.check([part("root", sign(&body, &[&old.root]))]);
    assert_eq!(rejected(refused), ("ErrBadRoot", NO_INTEGRITY.into()));
    let refused = old.check([part("root", sign(&body, &[&new.root]))]);
    assert_eq!(rejected(refused), ("ErrBadRoot", NOT_ROTATED.into()));
}

#[test]
fn lowering_the_threshold_still_needs_the_old_threshold() {
    let mut repository = Repository::empty();
    let second = Key::certificate(repository.gun.as_str());
    let roles = |version, threshold: i64| {
        let mut body = root_body(
            version,
            [
                &[&repository.root, &second],
                &[&repository.targets],
                &[&repository.snapshot],
                &[&repository.timestamp],
            ],
        );
        body["roles"]["root"]["threshold"] = json!(threshold);
        body
    };
    let (first, lowered) = (roles(1, 2), roles(2, 1));
    let root = repository.root.clone();
    repository.publish([
        part("root", sign(&first, &[&root, &second])),
        part("targets", repository.targets_document(1, &[])),
    ]);
    let refused = repository.check([part("root", sign(&lowered, &[&root]))]);
    assert_eq!(rejected(refused), ("ErrBadRoot", NOT_ROTATED.into()));
    assert!(
        repository
            .check([part("root", sign(&lowered, &[&root, &second]))])
            .is_ok()
    );
}

#[test]
fn a_repository_with_a_stored_root_is_never_new() {
    // Snapshot and timestamp are lost, as when the chain is broken.
    let mut repository = Repository::published();
    repository.current = Current {
        root: repository.current.root,
        ..Current::default()
    };
    let attacker = Repository {
        root: Key::certificate(repository.gun.as_str()),
        ..Repository::empty()
    };
    for version in [1, 2] {
        let parts = [
            part("root", attacker.root_document(version)),
            part("targets", attacker.targets_document(1, &[])),
        ];
        assert_eq!(
            rejected(repository.check(parts)),
            ("ErrBadRoot", NOT_ROTATED.into())
        );
    }
}

#[test]
fn an_expired_stored_root_can_be_replaced() {
    let mut repository = Repository::published();
    // Both the certificate and the document have expired since.
    let expired = Key::ecdsa().certified(&Certificate::of(repository.gun.as_str()).days(-99, -9));
    let old = Repository {
        root: expired.clone(),
        ..Repository::empty()
    };
    let mut body = root_body(
        1,
        [
            &[&old.root],
            &[&repository.targets],
            &[&repository.snapshot],
            &[&repository.timestamp],
        ],
    );
    body["expires"] = json!("2026-11-01T00:00:00Z");
    repository.current.root = Some(crate::support::stored("root", 1, sign(&body, &[&old.root])));

    let targets = repository.targets_document(2, &[]);
    assert!(
        repository.check([part("targets", targets)]).is_ok(),
        "targets can be published"
    );
    let rotated = sign(&repository.root_body(2), &[&expired, &repository.root]);
    assert!(
        repository.check([part("root", rotated)]).is_ok(),
        "the root can be rotated"
    );
}

#[test]
fn a_stored_root_that_cannot_be_used_is_a_fault_of_the_server() {
    let mut repository = Repository::published();
    repository.current.root = Some(crate::support::stored("root", 1, b"{}".to_vec()));
    let (kind, text) = rejected(repository.check([]));
    assert_eq!(kind, "StoredState");
    assert!(
        text.starts_with("the stored root cannot be used: root type metadata invalid"),
        "{text}"
    );
}

#[test]
fn a_root_alone_is_published_with_a_new_snapshot() {
    let mut repository = Repository::published();
    let documents = repository.publish([part("root", repository.root_document(2))]);
    let roles: Vec<_> = documents
        .iter()
        .map(|d| (d.role.clone(), d.version.get()))
        .collect();
    assert_eq!(
        roles,
        [
            (RoleName::Root, 2),
            (RoleName::Snapshot, 2),
            (RoleName::Timestamp, 2)
        ]
    );
}

#[test]
fn a_root_that_the_stored_targets_do_not_satisfy_comes_with_targets_that_do() {
    let mut repository = Repository::published();
    let old = std::mem::replace(&mut repository.targets, Key::ecdsa());
    let (kind, text) = rejected(repository.check([part("root", repository.root_document(2))]));
    assert_eq!(kind, "ErrBadRoot");
    assert!(
        text.starts_with("the stored targets are not signed as this root demands"),
        "{text}"
    );
    let with = |targets| {
        repository.check([
            part("root", repository.root_document(2)),
            part("targets", targets),
        ])
    };
    assert!(with(repository.targets_document(2, &[])).is_ok());
    assert!(with(sign(&targets_body(2, &[]), &[&old])).is_err());

    // The same for a raised threshold.
    let mut raised = root_body(
        2,
        [
            &[&repository.root],
            &[&old, &repository.targets],
            &[&repository.snapshot],
            &[&repository.timestamp],
        ],
    );
    raised["roles"]["targets"]["threshold"] = json!(2);
    let root = sign(&raised, &[&repository.root]);
    let (kind, _) = rejected(repository.check([part("root", root.clone())]));
    assert_eq!(kind, "ErrBadRoot");
    let both = sign(&targets_body(2, &[]), &[&old, &repository.targets]);
    assert!(
        repository
            .check([part("root", root), part("targets", both)])
            .is_ok()
    );
}

#[test]
fn where_the_stored_targets_satisfied_no_root_before_the_next_root_may_come_alone() {
    let mut repository = Repository::published();
    repository.targets = Key::ecdsa();
    repository.store(stored("root", 2, repository.root_document(2)));
    repository.publish([part("root", repository.root_document(3))]);
}
