//! The client against the Notary signer of Debian's package, which `make test` installs.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use signing::{KeyAlgorithm, SignerClient, SigningError};
use support::{Pki, timestamp};
use tuf::{Gun, KeyId, RoleName};

struct NotarySigner(Child);

impl NotarySigner {
    fn start(pki: &Pki, port: u16) -> Self {
        let file = pki.path("notary.json");
        let configuration = serde_json::json!({
            "server": {
                "grpc_addr": format!("127.0.0.1:{port}"),
                "tls_cert_file": "./signer.crt",
                "tls_key_file": "./signer.key",
                "client_ca_file": "./ca.crt"
            },
            "storage": {"backend": "memory"}
        });
        std::fs::write(&file, configuration.to_string()).unwrap();
        let mut command = Command::new("notary-signer");
        command
            .arg("-config")
            .arg(file)
            .stderr(Stdio::null())
            .stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for NotarySigner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks again until it serves; the client itself notices when it starts to.
async fn until_healthy(client: &SignerClient) {
    let begun = Instant::now();
    while let Err(cause) = client.health().await {
        assert!(begun.elapsed() < Duration::from_secs(60), "{cause}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_client_works_against_a_notary_signer() {
    let pki = Pki::new();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let _signer = NotarySigner::start(&pki, port);
    let client = pki.client(port, Some("notary-server"));
    until_healthy(&client).await;
    let gun = Gun::parse("example.com/app").unwrap();
    for algorithm in KeyAlgorithm::ALL {
        let key = client
            .create_key(&gun, &RoleName::Timestamp, algorithm)
            .await
            .unwrap();
        let held = client.key_info(key.id()).await.unwrap().unwrap();
        assert_eq!(held.public, key);
        assert_eq!(
            held.made_for(&gun, &RoleName::Timestamp),
            None,
            "it does not say for whom"
        );
        assert_eq!(held.made_for(&gun, &RoleName::Snapshot), Some(false));
        client.sign(Some(&gun), &key, &timestamp(1), None).await.unwrap();
    }
    let unknown = KeyId::parse(&"0".repeat(64)).unwrap();
    assert!(client.key_info(&unknown).await.unwrap().is_none());
    let refused = pki.client(port, None).health().await.unwrap_err();
    assert!(matches!(refused, SigningError::Unavailable(_)), "{refused}");
}
