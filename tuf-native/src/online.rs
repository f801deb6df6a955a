//! What the server makes and signs.
use chrono::{DateTime, Utc};

use crate::check::Trusted;
use crate::key::PublicKey;
use crate::metadata::Metadata;
use crate::refusal::Refusal;
use crate::role::Role;
use tuf::Version;

/// A snapshot or timestamp that is to be signed.
#[derive(Debug, Clone)]
pub struct Unsigned {}

impl Unsigned {
    /// Snapshot or timestamp.
    pub fn role(&self) -> &Role {
        unimplemented!()
    }
    /// Its version.
    pub fn version(&self) -> Version {
        unimplemented!()
    }
    /// The canonical form: what is signed.
    pub fn message(&self) -> &[u8] {
        unimplemented!()
    }
    /// Adds the signature (DER for P-256 and raw for the others) and verifies it.
    pub fn seal(self, key: &PublicKey, signature: &[u8]) -> Result<Metadata, Refusal> {
        unimplemented!()
    }
}

/// A timestamp that names a snapshot, one version above the previous timestamp.
pub fn timestamp(
    previous: Option<&Metadata>,
    snapshot: &Metadata,
    expires: DateTime<Utc>,
) -> Result<Unsigned, Refusal> {
    unimplemented!()
}

/// A snapshot of the same content, one version above the stored one.
pub fn renewed_snapshot(trusted: &Trusted, expires: DateTime<Utc>) -> Result<Unsigned, Refusal> {
    unimplemented!()
}
