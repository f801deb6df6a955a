//! The TLS settings of a gate's listeners.

use std::{path::PathBuf, sync::Arc};

use openssl::ssl::SslAcceptor;
use platform::tls::{CaSet, ClientAuth, ClientTrust, PemSource, ServerTls, TlsError};
use thiserror::Error;

/// The files of a gate's listeners.
#[derive(Debug, Clone)]
pub struct GateTls {
    /// PEM chain, leaf first.
    pub certificate: PathBuf,
    /// PEM private key, unencrypted.
    pub key: PathBuf,
    /// The CAs that client certificates have to come from; without them none is asked for.
    pub client_ca: Option<PathBuf>,
}

/// The listeners cannot serve with these files.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct GateTlsError(#[from] TlsError);

impl GateTls {
    /// Reads the files.
    ///
    /// # Errors
    /// When one is missing or wrong.
    pub fn acceptor(&self) -> Result<SslAcceptor, GateTlsError> {
        let clients = match &self.client_ca {
            None => None,
            Some(path) => Some(Arc::new(ClientTrust::load(&[CaSet {
                name: "client-ca".to_owned(),
                source: PemSource::File(path.clone()),
            }])?)),
        };
        let tls = ServerTls {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            client_auth: match clients {
                Some(_) => ClientAuth::Require,
                None => ClientAuth::Off,
            },
            // Every client sends what it has, and the alert says what is wrong with it.
            advertise_cas: false,
            http2: false,
        };
        Ok(tls.acceptor(clients.as_ref(), None)?)
    }

    /// The files, to be watched.
    pub fn files(&self) -> Vec<PathBuf> {
        let pair = [self.certificate.clone(), self.key.clone()];
        pair.into_iter().chain(self.client_ca.clone()).collect()
    }
}
