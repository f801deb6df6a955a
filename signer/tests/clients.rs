//! Which clients may call: their certificates are checked in the handshake, their names at each call.
#![allow(clippy::unwrap_used)]

mod support;

use platform::pki::{Issued, Template, Usage};
use signer::grpc::Admission;
use signing::SigningError;
use support::{Pki, Setup, Signer};

async fn refusal(pki: &Pki, port: u16, identity: Option<&str>) -> SigningError {
    pki.client(port, identity).health().await.unwrap_err()
}

#[tokio::test]
async fn clients_without_a_certificate_are_refused() {
    let pki = Pki::new();
    let signer = Signer::start(&pki, Setup::default()).await;
    let refused = refusal(&pki, signer.port, None).await;
    assert!(matches!(refused, SigningError::Unavailable(_)), "{refused}");
    pki.client(signer.port, Some("notary-server"))
        .health()
        .await
        .unwrap();
    signer.stop().await;
}

#[tokio::test]
async fn certificates_for_other_uses_of_other_cas_or_past_are_refused() {
    let pki = Pki::new();
    pki.issue("web", &Template::new("web", Usage::Server, 1));
    pki.issue("plain", &Template::new("plain", Usage::Unrestricted, 1));
    let mut past = Template::new("past", Usage::Client, 1);
    past.validity = (-7200, -3600);
    pki.issue("past", &past);
    let stranger = Issued::self_signed(&Template::new("stranger", Usage::Client, 1)).unwrap();
    std::fs::write(pki.path("stranger.crt"), stranger.certificate_pem().unwrap()).unwrap();
    std::fs::write(pki.path("stranger.key"), stranger.key_pem().unwrap()).unwrap();

    let signer = Signer::start(&pki, Setup::default()).await;
    for name in ["web", "past", "stranger"] {
        let refused = refusal(&pki, signer.port, Some(name)).await;
        assert!(
            matches!(refused, SigningError::Unavailable(_)),
            "{name}: {refused}"
        );
    }
    // As in Go: a certificate that names no use may be used for this one.
    pki.client(signer.port, Some("plain")).health().await.unwrap();
    signer.stop().await;
}

#[tokio::test]
async fn every_certificate_of_the_ca_file_is_an_anchor() {
    let pki = Pki::new();
    // The bundle of the Notary examples: the client's own certificate, no root.
    let setup = Setup {
        client_ca: Some("notary-server.crt"),
        ..Setup::default()
    };
    let signer = Signer::start(&pki, setup).await;
    pki.client(signer.port, Some("notary-server"))
        .health()
        .await
        .unwrap();
    signer.stop().await;
}

#[tokio::test]
async fn only_listed_clients_may_call_when_there_is_a_list() {
    let pki = Pki::new();
    pki.issue("other", &Template::new("other", Usage::Client, 1));
    let setup = Setup {
        admission: Admission::only(["notary-server".to_owned()]),
        ..Setup::default()
    };
    let signer = Signer::start(&pki, setup).await;
    pki.client(signer.port, Some("notary-server"))
        .health()
        .await
        .unwrap();
    let refused = refusal(&pki, signer.port, Some("other")).await;
    assert!(
        matches!(&refused, SigningError::Refused(reason) if reason.contains("allowed_clients")),
        "{refused}"
    );
    signer.stop().await;
}

#[tokio::test]
async fn without_client_cas_everybody_may_call() {
    let pki = Pki::new();
    let signer = Signer::start(
        &pki,
        Setup {
            client_ca: None,
            ..Setup::default()
        },
    )
    .await;
    pki.client(signer.port, None).health().await.unwrap();
    signer.stop().await;
}

#[tokio::test]
async fn the_client_refuses_a_signer_that_is_somebody_else() {
    let pki = Pki::new();
    let signer = Signer::start(&pki, Setup::default()).await;
    let connector = Pki::new().connector(None);
    let client = signing::SignerClient::new("127.0.0.1", signer.port, connector).unwrap();
    let refused = client.health().await.unwrap_err().to_string();
    assert!(refused.contains("certificate verify failed"), "{refused}");
    signer.stop().await;
}
