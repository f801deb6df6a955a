//! TLS with OpenSSL: server side with client certificates, client side towards the signer.

mod accept;
mod certificate;
mod client;
mod files;
mod server;
mod trust;

pub use accept::{Handshake, HandshakeError, TlsStream, close_politely};
pub use certificate::{CertificateFault, ClientCertificate, FaultReason, PeerCertificate, name_text, utc};
pub use client::{ClientTls, connect};
pub use files::certificates as read_certificates;
pub use server::{ClientAuth, IsRevoked, ServerTls};
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
    #[error("OpenSSL refuses the TLS settings: {0}")]
    OpenSsl(#[from] openssl::error::ErrorStack),
}
