//! Renewing snapshots and timestamps without a publish.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tuf::{Checksum, Document, Refresh, RefreshError, RoleName, named_snapshot, plan_refresh};

use crate::support::{Certificate, Key, Repository, now, root_body, sign, snapshot_body, stored};

const DAY: TimeDelta = TimeDelta::days(1);

fn plan(repository: &Repository, now: DateTime<Utc>, before: TimeDelta) -> Result<Refresh, RefreshError> {
    let current = &repository.current;
    let stored = |document: &Option<Document>| document.clone().unwrap();
    plan_refresh(
        &repository.gun,
        &stored(&current.root),
        &stored(&current.snapshot),
        &stored(&current.timestamp),
        now,
        before,
    )
}

/// Replaces the stored snapshot by one that expires then.
fn set_snapshot_expiry(repository: &mut Repository, expires: DateTime<Utc>) {
    let root = repository.current.root.clone().unwrap().bytes;
    let mut body = snapshot_body(1, &[("root", &root), ("targets", b"targets")]);
    body["expires"] = json!(expires.to_rfc3339());
    repository.store(stored("snapshot", 1, sign(&body, &[&repository.snapshot])));
}

#[test]
fn what_has_not_expired_is_fresh() {
    let repository = Repository::published();
    let last = now() + tuf::TIMESTAMP_LIFETIME;
    assert!(matches!(
        plan(&repository, last, TimeDelta::zero()),
        Ok(Refresh::Fresh)
    ));
    assert!(matches!(plan(&repository, last - DAY, DAY), Ok(Refresh::Fresh)));
}

#[test]
fn an_expired_timestamp_is_made_anew() {
    let repository = Repository::published();
    let later = now() + tuf::TIMESTAMP_LIFETIME + TimeDelta::seconds(1);
    let Refresh::Timestamp(update) = plan(&repository, later, TimeDelta::zero()).unwrap() else {
        panic!("not the timestamp alone")
    };
    let signature = repository.timestamp.sign(&update.timestamp_request().message);
    let signed = update.seal_timestamp(vec![signature]).unwrap();
    let [timestamp] = signed.documents() else {
        panic!("not one document")
    };
    assert_eq!(
        (timestamp.role.clone(), timestamp.version.get()),
        (RoleName::Timestamp, 2)
    );
    assert_eq!(
        tuf::expires(&timestamp.bytes).unwrap(),
        later + tuf::TIMESTAMP_LIFETIME
    );
    let snapshot = repository.current.snapshot.as_ref().unwrap();
    assert_eq!(named_snapshot(&timestamp.bytes).unwrap(), snapshot.sha256);
}

#[test]
fn renewal_can_come_early() {
    let repository = Repository::published();
    let early = now() + tuf::TIMESTAMP_LIFETIME - DAY + TimeDelta::seconds(1);
    assert!(matches!(
        plan(&repository, early, TimeDelta::zero()),
        Ok(Refresh::Fresh)
    ));
    assert!(matches!(plan(&repository, early, DAY), Ok(Refresh::Timestamp(_))));
}

#[test]
fn a_timestamp_that_names_other_bytes_is_made_anew() {
    let mut repository = Repository::published();
    set_snapshot_expiry(&mut repository, now() + DAY * 9);
    assert!(matches!(
        plan(&repository, now(), TimeDelta::zero()),
        Ok(Refresh::Timestamp(_))
    ));
}

#[test]
fn an_expired_snapshot_is_made_anew_with_its_timestamp() {
    let mut repository = Repository::published();
    set_snapshot_expiry(&mut repository, now() - DAY);
    let Refresh::Both(update) = plan(&repository, now(), TimeDelta::zero()).unwrap() else {
        panic!("not both")
    };
    assert!(
        update.clone().keep_snapshot().is_none(),
        "an expired snapshot is of no use"
    );
    let signed = repository.seal(*update);
    let [snapshot, timestamp] = signed.documents() else {
        panic!("not two documents")
    };
    assert_eq!(
        (snapshot.role.clone(), snapshot.version.get()),
        (RoleName::Snapshot, 2)
    );
    assert_eq!(
        named_snapshot(&timestamp.bytes).unwrap(),
        Checksum::of(&snapshot.bytes)
    );
    let targets = tuf::named_in_snapshot(&snapshot.bytes, &RoleName::Targets).unwrap();
    assert_eq!(targets, Some(Checksum::of(b"targets")));
}

#[test]
fn a_snapshot_that_only_its_publisher_can_renew_is_kept_while_it_lasts() {
    let mut repository = Repository::published();
    set_snapshot_expiry(&mut repository, now() + DAY);
    let Refresh::Both(update) = plan(&repository, now(), DAY * 2).unwrap() else {
        panic!("not both")
    };
    let update = update.keep_snapshot().unwrap();
    let signature = repository.timestamp.sign(&update.timestamp_request().message);
    let signed = update.seal_timestamp(vec![signature]).unwrap();
    let [timestamp] = signed.documents() else {
        panic!("not one document")
    };
    let snapshot = repository.current.snapshot.as_ref().unwrap();
    assert_eq!(named_snapshot(&timestamp.bytes).unwrap(), snapshot.sha256);
}

#[test]
fn keeping_the_snapshot_is_no_choice_in_a_publish() {
    assert!(
        Repository::published()
            .check([])
            .unwrap()
            .keep_snapshot()
            .is_none()
    );
}

#[test]
fn an_expired_root_does_not_hinder() {
    let mut repository = Repository::published();
    let root = Key::ecdsa().certified(&Certificate::of(repository.gun.as_str()).days(-99, -9));
    let mut body = root_body(
        1,
        [
            &[&root],
            &[&repository.targets],
            &[&repository.snapshot],
            &[&repository.timestamp],
        ],
    );
    body["expires"] = json!("2020-01-01T00:00:00Z");
    repository.store(stored("root", 1, sign(&body, &[&root])));
    set_snapshot_expiry(&mut repository, now() + DAY);
    assert!(matches!(
        plan(&repository, now(), TimeDelta::zero()),
        Ok(Refresh::Timestamp(_))
    ));
    assert!(matches!(
        plan(&repository, now() + DAY * 2, TimeDelta::zero()),
        Ok(Refresh::Both(_))
    ));
}

#[test]
fn a_snapshot_by_other_keys_or_for_another_root_is_not_renewed() {
    let mut repository = Repository::published();
    let later = now() + tuf::TIMESTAMP_LIFETIME + DAY;
    let refused = |repository: &Repository| {
        let error = plan(repository, later, TimeDelta::zero()).unwrap_err();
        assert!(
            matches!(
                &error,
                RefreshError::Stored {
                    role: RoleName::Snapshot,
                    ..
                }
            ),
            "{error:?}"
        );
        error.to_string()
    };
    let root = repository.root_document(2);
    repository.store(stored("root", 2, root));
    assert!(refused(&repository).contains("sha256 checksum for root did not match"));
    repository.snapshot = Key::ecdsa();
    repository.store(stored("root", 2, repository.root_document(2)));
    assert_eq!(
        refused(&repository),
        "the stored snapshot cannot be used: valid signatures did not meet threshold for snapshot"
    );
}

#[test]
fn stored_documents_that_cannot_be_read_are_named() {
    for role in ["root", "snapshot", "timestamp"] {
        let mut repository = Repository::published();
        repository.store(stored(role, 1, b"{}".to_vec()));
        let error = plan(
            &repository,
            now() + tuf::TIMESTAMP_LIFETIME + DAY,
            TimeDelta::zero(),
        )
        .unwrap_err();
        assert!(
            matches!(&error, RefreshError::Stored { role: bad, .. } if bad.as_str() == role),
            "{error:?}"
        );
    }
}
