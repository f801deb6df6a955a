//! A signer on a free port with certificates of its own, and clients for it.

// Every test file is a program of its own and uses a part of this.
#![allow(dead_code, clippy::unwrap_used)]

use std::path::PathBuf;

use hyper_util::rt::TokioIo;
use platform::{
    pki::{Issued, Template, Usage},
    tls::{CaSet, ClientAuth, ClientTls, ClientTrust, Connector, PemSource, ServerTls},
};
use signer::{
    grpc::{Admission, Generation, Generations, GrpcServer},
    keyring::Keyring,
    passphrase::{Alias, Passphrases},
    policy::SigningPolicy,
    store::Store,
};
use signing::{
    SignerClient,
    wire::{self, key_management_client::KeyManagementClient},
};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::transport::{Channel, Endpoint, Uri};

/// A certification authority and the files it issued.
pub struct Pki {
    pub directory: TempDir,
    authority: Issued,
}

impl Pki {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Issued::self_signed(&Template::new("test CA", Usage::Authority, 1)).unwrap();
        let pki = Self { directory, authority };
        std::fs::write(pki.path("ca.crt"), pki.authority.certificate_pem().unwrap()).unwrap();
        let mut server = Template::new("signer", Usage::ServerAndClient, 1);
        server.dns.push("localhost".to_owned());
        server.addresses.push("127.0.0.1".parse().unwrap());
        pki.issue("signer", &server);
        pki.issue("notary-server", &Template::new("notary-server", Usage::Client, 1));
        pki
    }

    /// Issues a certificate into `NAME.crt` and `NAME.key`.
    pub fn issue(&self, name: &str, template: &Template) {
        let issued = self.authority.issue(template).unwrap();
        std::fs::write(
            self.path(&format!("{name}.crt")),
            issued.certificate_pem().unwrap(),
        )
        .unwrap();
        std::fs::write(self.path(&format!("{name}.key")), issued.key_pem().unwrap()).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn connector(&self, identity: Option<&str>) -> Connector {
        let identity = identity.map(|name| {
            (
                self.path(&format!("{name}.crt")),
                self.path(&format!("{name}.key")),
            )
        });
        ClientTls {
            ca: Some(self.path("ca.crt")),
            identity,
        }
        .connector()
        .unwrap()
    }

    pub fn client(&self, port: u16, identity: Option<&str>) -> SignerClient {
        SignerClient::new("127.0.0.1", port, self.connector(identity)).unwrap()
    }
}

/// The setup of a signer; the default is a valid one.
pub struct Setup {
    pub passphrases: Passphrases,
    pub admission: Admission,
    pub policy: SigningPolicy,
    /// The file that client certificates are verified against.
    pub client_ca: Option<&'static str>,
    /// The port; 0 for any.
    pub port: u16,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            passphrases: Passphrases::fixed(b"testpassword"),
            admission: Admission::everyone(),
            policy: SigningPolicy::Metadata,
            client_ca: Some("ca.crt"),
            port: 0,
        }
    }
}

/// A signer running in this process.
pub struct Signer {
    pub port: u16,
    pub store: Store,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Signer {
    /// Starts a signer with the database `signer.db` beside the certificates.
    pub async fn start(pki: &Pki, setup: Setup) -> Self {
        let clients = setup.client_ca.map(|name| {
            let source = PemSource::File(pki.path(name));
            let name = name.to_owned();
            ClientTrust::load(&[CaSet { name, source }]).unwrap()
        });
        let tls = ServerTls {
            certificate: pki.path("signer.crt"),
            key: pki.path("signer.key"),
            client_auth: if setup.client_ca.is_some() {
                ClientAuth::Require
            } else {
                ClientAuth::Off
            },
            advertise_cas: true,
            http2: true,
        };
        let store = Store::open_sqlite(&pki.path("signer.db")).unwrap();
        let alias = Alias::new("timestamp_1").unwrap();
        let keyring = Keyring::new(store.clone(), setup.passphrases, alias, setup.policy).unwrap();
        let addresses = [([127, 0, 0, 1], setup.port).into()];
        let clients = clients.map(std::sync::Arc::new);
        let server = GrpcServer::bind(
            &addresses,
            Generations::new(Generation::new(
                tls.acceptor(clients.as_ref(), None).unwrap(),
                clients,
                setup.admission,
            )),
            keyring,
        )
        .await
        .unwrap();
        let port = server.address().unwrap().port();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            server.serve(async { drop(stopped.await) }).await.unwrap();
        });
        Self {
            port,
            store,
            stop,
            serving,
        }
    }

    /// Stops it and waits until it has stopped.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        self.serving.await.unwrap();
    }
}

/// The signed part of a timestamp.
pub fn timestamp(version: i64) -> Vec<u8> {
    format!(
        r#"{{"_type":"Timestamp","expires":"2030-01-01T00:00:00Z","meta":{{"snapshot":{{"hashes":{{"sha256":"x"}},"length":1}}}},"version":{version}}}"#
    )
    .into_bytes()
}

/// A connection for messages that [`SignerClient`] does not send.
pub async fn channel(pki: &Pki, port: u16) -> Channel {
    let tls = pki.connector(Some("notary-server"));
    let connect = tower::service_fn(move |_: Uri| {
        let tls = tls.clone();
        async move {
            platform::tls::connect(&tls, "127.0.0.1", port)
                .await
                .map(TokioIo::new)
        }
    });
    Endpoint::from_static("https://localhost")
        .connect_with_connector(connect)
        .await
        .unwrap()
}

/// The bare client of `proto.KeyManagement`.
pub async fn key_management(pki: &Pki, port: u16) -> KeyManagementClient<Channel> {
    KeyManagementClient::new(channel(pki, port).await)
}

/// The bare client of `proto.Signer`.
pub async fn signatures(pki: &Pki, port: u16) -> wire::signer_client::SignerClient<Channel> {
    wire::signer_client::SignerClient::new(channel(pki, port).await)
}
