//! What connections are accepted with: made whole from the configuration's files, swapped whole.

use openssl::ssl::SslAcceptor;
use platform::tls::{ClientAuth, ServerTls, TlsError};

/// One set of certificate, key, client CAs and mode. Never changed, only replaced.
pub struct Generation {
    acceptor: Option<SslAcceptor>,
    asks: bool,
}

impl Generation {
    /// Reads the files.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn load(tls: Option<&ServerTls>) -> Result<Self, TlsError> {
        Ok(Self {
            acceptor: tls.map(ServerTls::acceptor).transpose()?,
            asks: tls.is_some_and(|tls| tls.client_auth != ClientAuth::Off),
        })
    }

    /// For the handshake; nothing for plain HTTP.
    pub fn acceptor(&self) -> Option<&SslAcceptor> {
        self.acceptor.as_ref()
    }

    /// Whether the handshake asks for a client's certificate.
    pub fn asks(&self) -> bool {
        self.asks
    }
}
