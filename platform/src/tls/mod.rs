//! TLS with OpenSSL: server side with client certificates, client side towards the signer.

mod accept;
mod certificate;
mod chain;
mod client;
mod fault;
mod files;
mod own_certificate;
mod purpose;
mod server;
mod stream;
mod trust;

pub use accept::{Handshake, HandshakeError, TlsStream, close_politely};
pub use certificate::{ClientCertificate, PeerCertificate, utc};
pub use client::{ClientTls, Connector, connect};
pub use fault::{CertificateFault, FaultReason};
pub(crate) use files::is_encrypted;
pub use files::{
    certificates as read_certificates, key_pair as read_key_pair, parse_certificates,
    private_key as read_private_key,
};
pub use own_certificate::{ServerCertificateFault, client_certificate_obstacle, server_certificate_fault};
pub use server::{ClientAuth, IsRevoked, ServerTls};
pub use stream::{Connection, LastFailure};
pub use trust::{CaSet, ClientTrust, PemSource, Verified};

/// Why TLS cannot be set up. The messages name the configuration's file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing, unreadable or not what it should be.
    #[error("{what} {}: {reason}", path.display())]
    File {
        /// What the file is for, such as "the server certificate".
        what: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// PEM text in the configuration is not what it should be.
    #[error("the client CA set {set} (PEM text in the configuration): {reason}")]
    Inline {
        /// The set's name.
        set: String,
        /// What is wrong with it.
        reason: String,
    },
    /// OpenSSL refuses the settings.
    #[error("OpenSSL refuses the TLS settings: {}", crate::reason::of_openssl(.0))]
    OpenSsl(#[from] openssl::error::ErrorStack),
}

/// Empties OpenSSL's error queue, of which there is one for each thread. `SSL_get_error` takes an error that an earlier
/// operation left there for the failure of the next read or write, whatever its connection.
pub fn forget_errors() {
    drop(openssl::error::ErrorStack::get());
}
