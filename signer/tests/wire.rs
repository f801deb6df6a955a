//! Requests of the Notary signer's interface that its own client never makes.

mod support;

use signing::{health, wire};
use support::{Pki, Setup, Signer};
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

#[tokio::test]
async fn empty_and_missing_ids_are_the_callers_mistake() {
    let pki = Pki::new();
    let signer = Signer::start(&pki, Setup::default()).await;
    let mut keys = support::key_management(&pki, signer.port).await;
    let mut signatures = support::signatures(&pki, signer.port).await;
    let empty = wire::KeyId::default();
    let codes = [
        keys.get_key_info(empty.clone()).await.unwrap_err().code(),
        keys.delete_key(empty.clone()).await.unwrap_err().code(),
        signatures
            .sign(wire::SignatureRequest {
                key_id: None,
                content: vec![1],
            })
            .await
            .unwrap_err()
            .code(),
        signatures
            .sign(wire::SignatureRequest {
                key_id: Some(empty),
                content: vec![1],
            })
            .await
            .unwrap_err()
            .code(),
    ];
    assert_eq!(codes, [Code::InvalidArgument; 4]);
    signer.stop().await;
}

#[tokio::test]
async fn unsupported_algorithms_and_unknown_keys_are_refused_in_the_notary_signers_words() {
    let pki = Pki::new();
    let signer = Signer::start(&pki, Setup::default()).await;
    let mut keys = support::key_management(&pki, signer.port).await;
    let mut signatures = support::signatures(&pki, signer.port).await;
    for algorithm in ["rsa", "ECDSA", "ecdsa-x509", ""] {
        let request = wire::CreateKeyRequest {
            algorithm: algorithm.to_owned(),
            ..Default::default()
        };
        let status = keys.create_key(request).await.unwrap_err();
        assert_eq!(status.code(), Code::Unknown);
        assert_eq!(
            status.message(),
            format!("algorithm {algorithm} not supported for create key")
        );
    }
    let id = "0".repeat(64);
    let status = keys
        .get_key_info(wire::KeyId { id: id.clone() })
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::NotFound, format!("key {id} not found").as_str())
    );
    let request = wire::SignatureRequest {
        key_id: Some(wire::KeyId { id: id.clone() }),
        content: vec![],
    };
    let status = signatures.sign(request).await.unwrap_err();
    let expected = format!("signing key not found: {id}");
    assert_eq!(
        (status.code(), status.message()),
        (Code::NotFound, expected.as_str())
    );
    signer.stop().await;
}

#[tokio::test]
async fn gun_and_role_are_opaque_but_must_fit_the_database() {
    let pki = Pki::new();
    let signer = Signer::start(&pki, Setup::default()).await;
    let mut keys = support::key_management(&pki, signer.port).await;
    let request = |gun: &str, role: &str| wire::CreateKeyRequest {
        algorithm: "ed25519".to_owned(),
        gun: gun.to_owned(),
        role: role.to_owned(),
    };
    let key = keys
        .create_key(request("", "targets/../x"))
        .await
        .unwrap()
        .into_inner();
    let info = key.key_info.unwrap();
    assert_eq!(info.algorithm.unwrap().algorithm, "ed25519");
    let found = keys
        .get_key_info(info.key_id.unwrap())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (found.role.as_str(), found.public_key.len()),
        ("targets/../x", 32)
    );
    for (gun, role) in [("a\0b", "x"), (&"a".repeat(256), "x"), ("a", &"x".repeat(256))] {
        assert_eq!(
            keys.create_key(request(gun, role)).await.unwrap_err().code(),
            Code::InvalidArgument
        );
    }
    signer.stop().await;
}

#[tokio::test]
async fn health_answers_to_the_names_notary_servers_use() {
    let pki = Pki::new();
    let signer = Signer::start(&pki, Setup::default()).await;
    let mut client = HealthClient::new(support::channel(&pki, signer.port).await);
    for name in ["", health::KEY_MANAGEMENT, health::SIGNER] {
        let answer = client
            .check(HealthCheckRequest {
                service: name.to_owned(),
            })
            .await
            .unwrap();
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving, "{name}");
    }
    for name in ["grpc.health.v1.Health.Overall", "proto.Signer"] {
        let refused = client
            .check(HealthCheckRequest {
                service: name.to_owned(),
            })
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{name}");
    }
    signer.stop().await;
}
