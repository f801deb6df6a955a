//! Creates, finds, uses and deletes keys over real TLS.
#![allow(clippy::unwrap_used)]

mod support;

use signer::{passphrase::Passphrases, policy::SigningPolicy};
use signing::{KeyAlgorithm, SignerClient, SigningError, wire};
use support::{Pki, Setup, Signer, timestamp};
use tuf::{Gun, KeyId, PublicKey, RoleName};

fn gun() -> Gun {
    Gun::parse("example.com/app").unwrap()
}

/// A signer, and the client of a server that it serves.
async fn start() -> (Pki, Signer, SignerClient) {
    let pki = Pki::new();
    let signer = Signer::start(&pki, Setup::default()).await;
    let client = pki.client(signer.port, Some("notary-server"));
    (pki, signer, client)
}

async fn create(client: &SignerClient, role: RoleName) -> PublicKey {
    let made = client.create_key(&gun(), &role, KeyAlgorithm::Ecdsa).await;
    made.unwrap()
}

#[tokio::test]
async fn keys_of_both_algorithms_are_made_and_sign() {
    let (_pki, signer, client) = start().await;
    for algorithm in KeyAlgorithm::ALL {
        let key = client
            .create_key(&gun(), &RoleName::Timestamp, algorithm)
            .await
            .unwrap();
        assert_eq!(*key.key_type(), algorithm.key_type());
        let held = client.key_info(key.id()).await.unwrap().unwrap();
        assert_eq!(held.public, key);
        assert_eq!(held.made_for(&gun(), &RoleName::Timestamp), Some(true));
        assert_eq!(held.made_for(&gun(), &RoleName::Snapshot), Some(false));
        // The client verifies the signature.
        let signature = client.sign(None, &key, &timestamp(1), None).await.unwrap();
        assert_eq!(signature.key_id, *key.id());
    }
    signer.stop().await;
}

#[tokio::test]
async fn a_key_is_handed_out_again_until_it_has_signed() {
    let (_pki, signer, client) = start().await;
    let create = || async {
        client
            .create_key(&gun(), &RoleName::Timestamp, KeyAlgorithm::Ecdsa)
            .await
            .unwrap()
    };
    let first = create().await;
    assert_eq!(create().await, first);
    client.sign(None, &first, &timestamp(1), None).await.unwrap();
    assert_ne!(create().await, first);
    signer.stop().await;
}

#[tokio::test]
async fn keys_and_versions_survive_a_restart() {
    let (pki, signer, client) = start().await;
    let key = client
        .create_key(&gun(), &RoleName::Timestamp, KeyAlgorithm::Ed25519)
        .await
        .unwrap();
    client.sign(None, &key, &timestamp(3), None).await.unwrap();
    signer.stop().await;

    let signer = Signer::start(&pki, Setup::default()).await;
    let client = pki.client(signer.port, Some("notary-server"));
    assert_eq!(client.key_info(key.id()).await.unwrap().unwrap().public, key);
    let refused = client.sign(None, &key, &timestamp(2), None).await.unwrap_err();
    assert!(
        matches!(&refused, SigningError::Refused(reason) if reason.contains("version 3")),
        "{refused}"
    );
    client.sign(None, &key, &timestamp(3), None).await.unwrap();
    client.sign(None, &key, &timestamp(4), None).await.unwrap();
    signer.stop().await;
}

#[tokio::test]
async fn only_metadata_of_the_keys_role_is_signed_unless_the_policy_is_any() {
    let (pki, signer, client) = start().await;
    let key = create(&client, RoleName::Snapshot).await;
    for content in [b"{}".to_vec(), Vec::new()] {
        assert!(matches!(
            client.sign(None, &key, &content, None).await,
            Err(SigningError::Refused(_))
        ));
    }
    // Callers have to know that it is not the content alone.
    let refused = client.sign(None, &key, &timestamp(1), None).await;
    assert!(matches!(refused, Err(SigningError::OtherPurpose(_))));
    signer.stop().await;

    let any = Setup {
        policy: SigningPolicy::Any,
        ..Setup::default()
    };
    let signer = Signer::start(&pki, any).await;
    let client = pki.client(signer.port, Some("notary-server"));
    for content in [timestamp(1), b"{}".to_vec(), Vec::new()] {
        client.sign(None, &key, &content, None).await.unwrap();
    }
    signer.stop().await;
}

#[tokio::test]
async fn a_key_signs_for_the_repository_that_it_was_made_for_unless_nobody_says_which() {
    let (_pki, signer, client) = start().await;
    for name in ["example.com/app", "example.com/länge"] {
        let gun = Gun::parse(name).unwrap();
        let key = client
            .create_key(&gun, &RoleName::Timestamp, KeyAlgorithm::Ecdsa)
            .await
            .unwrap();
        for other in ["example.com/APP", "example.com/app/", "example.com/lange"] {
            let other = Gun::parse(other).unwrap();
            let refused = client.sign(Some(&other), &key, &timestamp(7), None).await;
            assert!(
                matches!(refused, Err(SigningError::OtherPurpose(_))),
                "{refused:?}"
            );
        }
        // What was refused did not count: a lower version is still signed, and the key still waits.
        let again = client
            .create_key(&gun, &RoleName::Timestamp, KeyAlgorithm::Ecdsa)
            .await;
        assert_eq!(again.unwrap(), key);
        client.sign(Some(&gun), &key, &timestamp(1), None).await.unwrap();
        // A Notary server does not say for which repository it asks.
        client.sign(None, &key, &timestamp(2), None).await.unwrap();
    }
    signer.stop().await;
}

#[tokio::test]
async fn unknown_keys_are_told_apart_from_failures() {
    let (_pki, signer, client) = start().await;
    let key = create(&client, RoleName::Timestamp).await;
    let unknown = KeyId::parse(&"0".repeat(64)).unwrap();
    assert!(client.key_info(&unknown).await.unwrap().is_none());
    signer.store.delete(key.id().as_str()).unwrap();
    let refused = client.sign(None, &key, &timestamp(1), None).await.unwrap_err();
    assert!(matches!(refused, SigningError::KeyUnknown(id) if id == *key.id()));
    signer.stop().await;
}

#[tokio::test]
async fn with_another_passphrase_keys_are_unavailable_and_health_says_so() {
    let (pki, signer, client) = start().await;
    let key = create(&client, RoleName::Timestamp).await;
    client.health().await.unwrap();
    signer.stop().await;

    let wrong = Setup {
        passphrases: Passphrases::fixed(b"another"),
        ..Setup::default()
    };
    let signer = Signer::start(&pki, wrong).await;
    let client = pki.client(signer.port, Some("notary-server"));
    assert!(matches!(
        client.key_info(key.id()).await,
        Err(SigningError::Unavailable(_))
    ));
    assert!(matches!(
        client.sign(None, &key, &timestamp(1), None).await,
        Err(SigningError::Unavailable(_))
    ));
    assert!(matches!(client.health().await, Err(SigningError::Unavailable(_))));
    signer.stop().await;
}

#[tokio::test]
async fn the_client_reports_an_absent_signer_and_finds_it_when_it_is_back() {
    let pki = Pki::new();
    let first = Signer::start(&pki, Setup::default()).await;
    let port = first.port;
    let client = pki.client(port, Some("notary-server"));
    client.health().await.unwrap();
    first.stop().await;
    assert!(matches!(client.health().await, Err(SigningError::Unavailable(_))));
    let second = Signer::start(
        &pki,
        Setup {
            port,
            ..Setup::default()
        },
    )
    .await;
    client.health().await.unwrap();
    second.stop().await;
}

#[tokio::test]
async fn deleting_is_repeatable_and_never_deletes_another_key() {
    let (pki, signer, client) = start().await;
    let mut raw = support::key_management(&pki, signer.port).await;
    let one = create(&client, RoleName::Timestamp).await;
    let other = create(&client, RoleName::Snapshot).await;
    for _ in 0..2 {
        raw.delete_key(wire::KeyId {
            id: one.id().to_string(),
        })
        .await
        .unwrap();
    }
    assert!(client.key_info(one.id()).await.unwrap().is_none());
    assert_eq!(client.key_info(other.id()).await.unwrap().unwrap().public, other);
    signer.stop().await;
}
