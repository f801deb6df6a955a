//! Signatures by the server: how many, by whom, and right.

use serde_json::json;
use tuf::{CheckedUpdate, Rejection, RoleName, SealError, Signature, SignatureError, SignatureMethod};

use crate::support::{Key, Repository, part, root_body, sign};

/// An update of a repository with two snapshot keys.
fn two_keys(threshold: i64) -> (CheckedUpdate, Key, Key) {
    let repository = Repository::empty();
    let (first, second) = (Key::ecdsa(), Key::ecdsa());
    let mut body = root_body(
        1,
        [
            &[&repository.root],
            &[&repository.targets],
            &[&first, &second],
            &[&repository.timestamp],
        ],
    );
    body["roles"]["snapshot"]["threshold"] = json!(threshold);
    let parts = [
        part("root", sign(&body, &[&repository.root])),
        part("targets", repository.targets_document(1, &[])),
    ];
    (repository.check(parts).unwrap(), first, second)
}

fn signatures(update: &CheckedUpdate, keys: &[&Key]) -> Vec<Signature> {
    let message = &update.snapshot_request().unwrap().message;
    keys.iter().map(|key| key.sign(message)).collect()
}

#[test]
fn the_request_lists_every_key_and_the_threshold() {
    let (update, first, second) = two_keys(2);
    let request = update.snapshot_request().unwrap();
    assert_eq!(
        (&request.role, request.version.get(), request.threshold),
        (&RoleName::Snapshot, 1, 2)
    );
    for key in [first, second] {
        assert!(request.keys.contains(&key.public));
    }
}

#[test]
fn any_keys_up_to_the_threshold_suffice() {
    let (update, _, second) = two_keys(1);
    let signatures = signatures(&update, &[&second]);
    assert!(update.seal_snapshot(signatures).is_ok());
    let (update, first, second) = two_keys(2);
    let signatures = self::signatures(&update, &[&first, &second]);
    let update = update.seal_snapshot(signatures).unwrap();
    assert_eq!(update.timestamp_request().role, RoleName::Timestamp);
}

#[test]
fn too_few_signatures_are_told_as_a_missing_snapshot() {
    let (update, first, _) = two_keys(2);
    let twice = signatures(&update, &[&first, &first]);
    let error = update.seal_snapshot(twice).unwrap_err();
    assert_eq!(
        error,
        SealError::TooFew {
            role: RoleName::Snapshot,
            have: 1,
            need: 2
        }
    );
    let msg =
        "no snapshot was included in update and server does not hold current snapshot key for repository";
    let expected = Rejection::BadHierarchy {
        missing: RoleName::Snapshot,
        msg: msg.to_owned(),
    };
    assert_eq!(Rejection::from(error), expected);
    assert_eq!(expected.kind(), Some("ErrBadHierarchy"));
    assert_eq!(expected.to_string(), msg);
}

#[test]
fn a_missing_timestamp_key_is_told_as_a_bad_root() {
    let repository = Repository::published();
    let update = repository.check([]).unwrap();
    let signatures = signatures(&update, &[&repository.snapshot]);
    let error = update
        .seal_snapshot(signatures)
        .unwrap()
        .seal_timestamp(vec![])
        .unwrap_err();
    let expected = Rejection::BadRoot("no  timestamp keys exist on the server".into());
    assert_eq!(Rejection::from(error), expected);
}

#[test]
fn signatures_by_other_keys_and_wrong_ones_are_refused() {
    let (update, first, _) = two_keys(1);
    let stranger = Key::ecdsa();
    let foreign = signatures(&update, &[&stranger]);
    let error = update.clone().seal_snapshot(foreign).unwrap_err();
    let key_id = stranger.public.id().clone();
    assert_eq!(
        error,
        SealError::UnknownKey {
            role: RoleName::Snapshot,
            key_id
        }
    );

    let wrong = vec![first.sign(b"something else")];
    let error = update.clone().seal_snapshot(wrong).unwrap_err();
    let key_id = first.public.id().clone();
    let expected = SealError::Wrong {
        role: RoleName::Snapshot,
        key_id,
        reason: SignatureError::Mismatch,
    };
    assert_eq!(error, expected);
    assert_eq!(
        Rejection::from(error).kind(),
        None,
        "which is not the publisher's fault"
    );

    let mut method = signatures(&update, &[&first]);
    method[0].method = SignatureMethod::RsaPss;
    assert!(matches!(
        update.seal_snapshot(method),
        Err(SealError::Wrong { .. })
    ));
}
