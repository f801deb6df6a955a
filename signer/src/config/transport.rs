//! The `server` section.

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc};

use platform::{
    config::{ConfigError, Settings},
    tls::{CaSet, ClientAuth, ClientTrust, PemSource, ServerTls},
};

use super::RefusedConfig;
use crate::grpc::{Admission, Generation};

/// The addresses, TLS and the allowed clients.
pub struct Transport {
    /// The signer listens on the first of these that it can bind.
    pub addresses: Vec<SocketAddr>,
    /// TLS, its files already read, and which clients may call.
    pub generation: Generation,
    /// The files that it was made of.
    pub files: Vec<PathBuf>,
}

impl Transport {
    pub(super) fn read(settings: &Settings) -> Result<Self, RefusedConfig> {
        let file = |key: &str, expected: &str| {
            settings
                .path(key)?
                .ok_or_else(|| ConfigError::missing(key, expected))
        };
        let certificate = file(
            "server.tls_cert_file",
            "the PEM file of the server certificate and its chain",
        )?;
        let key = file(
            "server.tls_key_file",
            "the PEM file of the server certificate's private key",
        )?;
        let source = settings
            .text("server.client_ca_file")?
            .map(|text| PemSource::parse(&text, |path| settings.resolve(path)));
        let mut files = vec![certificate.clone(), key.clone()];
        files.extend(source.as_ref().and_then(PemSource::file).cloned());
        let clients = source
            .map(|source| {
                let name = "default".to_owned();
                ClientTrust::load(&[CaSet { name, source }])
            })
            .transpose()?;
        let clients_verified = clients.is_some();
        let tls = ServerTls {
            certificate,
            key,
            client_auth: if clients_verified {
                ClientAuth::Require
            } else {
                ClientAuth::Off
            },
            // Notary servers are Go clients, which choose the right one of several certificates by these names.
            advertise_cas: true,
            http2: true,
        };
        let clients = clients.map(Arc::new);
        let acceptor = tls.acceptor(clients.as_ref(), None)?;
        let admission = admission(settings, clients_verified)?;
        let addresses = settings.listen_addresses("server.grpc_addr")?;
        Ok(Self {
            addresses,
            generation: Generation::new(acceptor, clients, admission),
            files,
        })
    }

    /// Whether clients must show a certificate.
    pub fn clients_verified(&self) -> bool {
        self.generation.trust().is_some()
    }
}

fn admission(settings: &Settings, clients_verified: bool) -> Result<Admission, ConfigError> {
    const KEY: &str = "server.allowed_clients";
    let names = settings.list(KEY)?;
    match (names.is_empty(), clients_verified) {
        (true, _) => Ok(Admission::everyone()),
        (false, true) => Ok(Admission::only(names)),
        (false, false) => Err(ConfigError::invalid(
            KEY,
            names.join(" "),
            "names can only be checked when server.client_ca_file is set",
        )),
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("addresses", &self.addresses)
            .field("clients_verified", &self.clients_verified())
            .finish_non_exhaustive()
    }
}
