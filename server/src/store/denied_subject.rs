//! What the deny list can name, and the keys under which its entries are stored.

use std::fmt;

use openssl::sha::sha256;

/// The subject of an entry: a certificate, a key, or a principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeniedSubject {
    /// A certificate, by its issuer (`platform::x509::name_text`) and serial number (upper-case hex).
    Certificate {
        /// The issuer.
        issuer: String,
        /// The serial number.
        serial: String,
    },
    /// Every certificate of a key, by the SHA-256 of the public key (lower-case hex).
    Key(String),
    /// A principal, however it authenticates.
    Principal(String),
}

impl DeniedSubject {
    /// The kind of entry.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Certificate { .. } => "certificate",
            Self::Key(_) => "key",
            Self::Principal(_) => "principal",
        }
    }

    /// The key under which the entry is stored. It has a fixed length, because issuers can be longer than a key
    /// column.
    pub fn key(&self) -> String {
        match self {
            Self::Certificate { issuer, serial } => {
                hex::encode(sha256(format!("{serial}\n{issuer}").as_bytes()))
            }
            Self::Key(hash) => hash.clone(),
            Self::Principal(name) => name.clone(),
        }
    }
}

impl fmt::Display for DeniedSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate { issuer, serial } => write!(f, "certificate {serial} of {issuer}"),
            Self::Key(hash) => write!(f, "key {hash}"),
            Self::Principal(name) => write!(f, "principal {name}"),
        }
    }
}
