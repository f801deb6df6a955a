//! The keyring as a whole, over a database in memory.

use super::*;
use crate::{
    policy::{snapshot, timestamp},
    test_vectors,
};

fn alias() -> Alias {
    Alias::new("timestamp_1").unwrap()
}

fn fixed(passphrase: &str) -> Passphrases {
    Passphrases::fixed(passphrase.as_bytes())
}

fn keyring(store: &Store) -> Keyring {
    Keyring::new(
        store.clone(),
        fixed("testpassword"),
        alias(),
        SigningPolicy::Metadata,
    )
    .unwrap()
}

fn purpose(gun: &str) -> KeyPurpose {
    KeyPurpose::new(gun.into(), "timestamp".into()).unwrap()
}

fn stored(row: &test_vectors::Row) -> NewKey {
    NewKey {
        key_id: row.key_id.clone(),
        algorithm: if row.algorithm == "ecdsa" {
            "ecdsa"
        } else {
            "ed25519"
        },
        passphrase_alias: row.passphrase_alias.clone(),
        public: hex::decode(&row.public_hex).unwrap(),
        private: row.private_jwe.clone(),
        gun: row.gun.clone(),
        role: row.role.clone(),
    }
}

fn id_of(key: &OpenedKey) -> KeyId {
    key.public().id().clone()
}

#[tokio::test]
async fn a_key_is_handed_out_until_it_has_signed() {
    let keyring = keyring(&Store::in_memory().unwrap());
    let first = id_of(&keyring.create(purpose("gun"), KeyAlgorithm::Ecdsa).await.unwrap());
    assert_eq!(
        id_of(&keyring.create(purpose("gun"), KeyAlgorithm::Ecdsa).await.unwrap()),
        first
    );
    keyring.find(&first).await.unwrap();
    assert_eq!(
        id_of(&keyring.create(purpose("gun"), KeyAlgorithm::Ecdsa).await.unwrap()),
        first
    );
    keyring.sign(None, &first, &timestamp(1), None).await.unwrap();
    assert_ne!(
        id_of(&keyring.create(purpose("gun"), KeyAlgorithm::Ecdsa).await.unwrap()),
        first
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_at_once_get_one_key() {
    let keyring = keyring(&Store::in_memory().unwrap());
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let keyring = keyring.clone();
            tokio::spawn(async move {
                keyring
                    .create(purpose("gun"), KeyAlgorithm::Ed25519)
                    .await
                    .unwrap()
            })
        })
        .collect();
    let mut ids = std::collections::HashSet::new();
    for call in calls {
        ids.insert(id_of(&call.await.unwrap()));
    }
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn keys_of_the_notary_signer_are_opened_and_sign() {
    let store = Store::in_memory().unwrap();
    let rows: Vec<_> = test_vectors::rows()
        .into_iter()
        .filter(|row| row.deleted_at.is_none())
        .collect();
    assert!(rows.len() >= 6);
    for row in &rows {
        store.insert(&stored(row)).unwrap();
        // Ends the waiting, so that the rows of both databases fit into one.
        let at = Utc::now().naive_utc();
        store
            .record(&[crate::store::Use {
                key_id: row.key_id.clone(),
                at,
                mark: true,
                signed: None,
            }])
            .unwrap();
    }
    let keyring = Keyring::new(store, fixed("testpassword"), alias(), SigningPolicy::Any).unwrap();
    for row in &rows {
        let signed = keyring
            .sign(None, &KeyId::parse(&row.key_id).unwrap(), b"content", None)
            .await
            .unwrap();
        assert_eq!(signed.signature.len(), 64);
        assert_eq!(signed.key.role(), row.role);
    }
}

#[tokio::test]
async fn lower_versions_are_refused_also_by_a_new_process() {
    let store = Store::in_memory().unwrap();
    let first = keyring(&store);
    let key = id_of(&first.create(purpose("gun"), KeyAlgorithm::Ecdsa).await.unwrap());
    first.sign(None, &key, &timestamp(5), None).await.unwrap();
    first.sign(None, &key, &timestamp(5), None).await.unwrap();
    drop(first);
    let second = keyring(&store);
    let refused = second.sign(None, &key, &timestamp(4), None).await.unwrap_err();
    let expected = Refusal::LowerVersion {
        version: 4,
        signed: 5,
    };
    assert!(matches!(refused, KeyringError::Refused(refusal) if refusal == expected));
    second.sign(None, &key, &timestamp(6), None).await.unwrap();
}

#[tokio::test]
async fn a_deleted_key_neither_signs_nor_comes_back() {
    let store = Store::in_memory().unwrap();
    let keyring = keyring(&store);
    let key = id_of(&keyring.create(purpose("gun"), KeyAlgorithm::Ecdsa).await.unwrap());
    keyring.delete(&key).await.unwrap();
    assert!(matches!(
        keyring.sign(None, &key, &timestamp(1), None).await,
        Err(KeyringError::Unknown(_))
    ));
    assert_ne!(
        id_of(&keyring.create(purpose("gun"), KeyAlgorithm::Ecdsa).await.unwrap()),
        key
    );
}

#[tokio::test]
async fn a_key_deleted_by_another_process_signs_nothing_new() {
    let store = Store::in_memory().unwrap();
    let keyring = keyring(&store);
    let key = id_of(&keyring.create(purpose("gun"), KeyAlgorithm::Ecdsa).await.unwrap());
    keyring.sign(None, &key, &timestamp(1), None).await.unwrap();
    store.delete(key.as_str()).unwrap();
    assert!(matches!(
        keyring.sign(None, &key, &timestamp(2), None).await,
        Err(KeyringError::Unknown(_))
    ));
    assert!(matches!(keyring.find(&key).await, Err(KeyringError::Unknown(_))));
}

/// Keys of a snapshot and a timestamp, and the announcement of a timestamp with this version.
async fn pair(keyring: &Keyring, gun: &str, version: i64) -> (KeyId, KeyId, Announced) {
    let of_snapshot = KeyPurpose::new(gun.into(), "snapshot".into()).unwrap();
    let snapshots = keyring.create(of_snapshot, KeyAlgorithm::Ecdsa).await.unwrap();
    let timestamps = keyring.create(purpose(gun), KeyAlgorithm::Ecdsa).await.unwrap();
    let announced = Announced::new(timestamps.public(), version);
    (id_of(&snapshots), id_of(&timestamps), announced)
}

#[tokio::test]
async fn an_announced_timestamp_is_stored_with_its_snapshot_and_signed_without_the_database() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&directory.path().join("signer.db")).unwrap();
    let first = keyring(&store);
    let (snapshots, timestamps, next) = pair(&first, "gun", 5).await;
    first
        .sign(Some("gun"), &snapshots, &snapshot(3), Some(&next))
        .await
        .unwrap();
    let second = keyring(&store);
    let refused = second.sign(Some("gun"), &timestamps, &timestamp(4), None).await;
    assert!(matches!(
        refused,
        Err(KeyringError::Refused(Refusal::LowerVersion {
            version: 4,
            signed: 5
        }))
    ));
    store.break_for_tests();
    first
        .sign(Some("gun"), &timestamps, &timestamp(5), None)
        .await
        .unwrap();
    let another = first.sign(Some("gun"), &timestamps, &timestamp(6), None).await;
    assert!(another.is_err(), "{another:?}");
}

#[tokio::test]
async fn what_is_announced_for_another_repository_or_by_a_timestamp_counts_for_nothing() {
    let store = Store::in_memory().unwrap();
    let keyring = keyring(&store);
    let (snapshots, _, _) = pair(&keyring, "gun", 5).await;
    let (_, others, of_other) = pair(&keyring, "other", 5).await;
    let (_, timestamps, mut next) = pair(&keyring, "third", 5).await;
    keyring
        .sign(Some("gun"), &snapshots, &snapshot(1), Some(&of_other))
        .await
        .unwrap();
    keyring
        .sign(Some("other"), &others, &timestamp(1), Some(&of_other))
        .await
        .unwrap();
    keyring
        .sign(Some("third"), &timestamps, &timestamp(1), Some(&next))
        .await
        .unwrap();
    next.version = -1;
    keyring
        .sign(Some("gun"), &snapshots, &snapshot(2), Some(&next))
        .await
        .unwrap();
    for (gun, key) in [("other", others), ("third", timestamps)] {
        keyring.sign(Some(gun), &key, &timestamp(2), None).await.unwrap();
    }
}

#[tokio::test]
async fn another_passphrase_opens_nothing_and_fails_the_check() {
    let store = Store::in_memory().unwrap();
    let right = keyring(&store);
    let key = id_of(&right.create(purpose("gun"), KeyAlgorithm::Ecdsa).await.unwrap());
    right.check().await.unwrap();
    let wrong = Keyring::new(store, fixed("another"), alias(), SigningPolicy::Metadata).unwrap();
    let refused = wrong.find(&key).await.unwrap_err().to_string();
    assert!(refused.contains("passphrase"), "{refused}");
    assert!(wrong.create(purpose("gun"), KeyAlgorithm::Ecdsa).await.is_err());
    assert!(wrong.check().await.is_err());
}

#[tokio::test]
async fn a_passphrase_that_opens_no_stored_key_seals_no_new_one() {
    let store = Store::in_memory().unwrap();
    keyring(&store)
        .create(purpose("one"), KeyAlgorithm::Ecdsa)
        .await
        .unwrap();
    let wrong = Keyring::new(store.clone(), fixed("another"), alias(), SigningPolicy::Metadata).unwrap();
    assert!(wrong.create(purpose("other"), KeyAlgorithm::Ecdsa).await.is_err());
    assert!(store.waiting("other", "timestamp", "ecdsa").unwrap().is_none());
}

#[tokio::test]
async fn one_damaged_row_does_not_fail_the_check() {
    let store = Store::in_memory().unwrap();
    keyring(&store)
        .create(purpose("gun"), KeyAlgorithm::Ecdsa)
        .await
        .unwrap();
    let damaged = NewKey {
        private: "damaged".into(),
        ..stored(&test_vectors::rows()[0])
    };
    store.insert(&damaged).unwrap();
    keyring(&store).check().await.unwrap();
}

#[tokio::test]
async fn no_key_is_made_without_a_passphrase() {
    let alias = Alias::new("never.set").unwrap();
    let store = Store::in_memory().unwrap();
    let keyring = Keyring::new(
        store.clone(),
        Passphrases::Environment,
        alias,
        SigningPolicy::Metadata,
    )
    .unwrap();
    let refused = keyring
        .create(purpose("gun"), KeyAlgorithm::Ecdsa)
        .await
        .unwrap_err();
    assert!(matches!(refused, KeyringError::Passphrase(_)));
    assert!(keyring.check().await.is_err());
    assert!(store.waiting("gun", "timestamp", "ecdsa").unwrap().is_none());
}

#[tokio::test]
async fn a_tampered_row_is_refused() {
    let rows = test_vectors::rows();
    let (one, other) = (stored(&rows[0]), stored(&rows[1]));
    let public = NewKey {
        public: other.public.clone(),
        ..one.clone()
    };
    let id = NewKey {
        key_id: other.key_id.clone(),
        ..one.clone()
    };
    let private = NewKey {
        private: other.private.clone(),
        ..one
    };
    for tampered in [public, id, private] {
        let store = Store::in_memory().unwrap();
        store.insert(&tampered).unwrap();
        let found = keyring(&store)
            .find(&KeyId::parse(&tampered.key_id).unwrap())
            .await;
        assert!(matches!(found, Err(KeyringError::Shared(_))), "{found:?}");
    }
}

#[tokio::test]
async fn a_broken_database_is_never_an_unknown_key() {
    let store = Store::in_memory().unwrap();
    let keyring = keyring(&store);
    let unknown = KeyId::parse(&"0".repeat(64)).unwrap();
    assert!(matches!(
        keyring.find(&unknown).await,
        Err(KeyringError::Unknown(_))
    ));
    store.break_for_tests();
    assert!(matches!(
        keyring.find(&unknown).await,
        Err(KeyringError::Store(_))
    ));
    assert!(matches!(
        keyring.create(purpose("gun"), KeyAlgorithm::Ecdsa).await,
        Err(KeyringError::Store(_))
    ));
    assert!(matches!(
        keyring.delete(&unknown).await,
        Err(KeyringError::Store(_))
    ));
    assert!(matches!(keyring.check().await, Err(KeyringError::Store(_))));
}
