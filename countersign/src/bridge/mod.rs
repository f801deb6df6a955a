//! The bridge to programs that read other signatures than those of a trust server: what `countersign` accepted is signed
//! anew, with a key that those programs trust and that is for nothing else.
//!
//! A [`Statement`] is made of a verdict that rests on what is signed now. It is recorded by the trust server before it is
//! signed, and put beside the image ([`cosign`]) or into a directory ([`simple`]). What stands already is left alone, and what a
//! newer statement of the same key replaces is removed, so that nothing grows without bound.

pub mod cosign;
mod files;
mod gpg;
mod key;
mod lookaside;
mod payload;
mod place;
mod signatures;
pub mod simple;
mod statement;

use std::path::PathBuf;

use client::{AttestationError, ReadError, keys::KeyError};
use thiserror::Error;
use tuf::Checksum;

pub use gpg::{Fingerprint, Gpg};
pub use key::BridgeKey;
pub use lookaside::Lookaside;
pub use place::Place;
pub use statement::{Statement, Unattested};

/// What came of attesting an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attested {
    /// It is attested now.
    Now,
    /// A signature of the same key says the same already.
    Already,
}

/// Why an image could not be attested.
#[derive(Debug, Error)]
pub enum BridgeError {
    /// The trust server did not record it.
    #[error("{0}; nothing was signed")]
    Record(#[from] AttestationError),
    /// The key cannot be used.
    #[error("the bridge key: {0}")]
    Key(#[from] KeyError),
    /// A kind of key that readers do not know.
    #[error("the bridge key is {0}; cosign, podman and skopeo read signatures of ECDSA on P-256 and of RSA")]
    Kind(String),
    /// The key is one of the repository's.
    #[error(
        "the bridge key signs metadata of {gun} (its {document} names it): who believes an attestation has to believe a key \
         that is for nothing else; make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"
    )]
    KeyOfRepository {
        /// The repository.
        gun: String,
        /// Which document names the key.
        document: String,
    },
    /// What was signed does not verify.
    #[error("the signature that was just made does not verify, and is not used: {0}")]
    Unverified(String),
    /// The registry.
    #[error("the registry: {0}")]
    Registry(ReadError),
    /// What is kept as signatures is something else.
    #[error("{place}: {reason}")]
    Signatures {
        /// Where.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// Others change the same signatures again and again.
    #[error("{0}: others change the signatures there at the same time; run this again")]
    Contended(String),
    /// A file or directory.
    #[error("{}: {reason}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// GnuPG.
    #[error("gpg: {0}")]
    Gpg(String),
    /// The statement cannot be written.
    #[error("the statement cannot be written: {0}")]
    Payload(String),
}

/// What has a statement recorded before it is signed; it is given the hash of what will be signed.
pub trait Recorder {
    /// Returns when the record is kept.
    ///
    /// # Errors
    /// When nothing was recorded, so that nothing may be signed.
    fn record(
        &self,
        statement: &Statement,
        kind: &'static str,
        key: &str,
        payload: Checksum,
    ) -> impl Future<Output = Result<(), AttestationError>>;
}
