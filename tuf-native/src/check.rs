//! What a publish may be.
use chrono::{DateTime, Utc};
use tuf::Version;

use crate::key::PublicKey;
use crate::metadata::Metadata;
use crate::name::RepositoryName;
use crate::online::Unsigned;
use crate::refusal::Refusal;
use crate::role::Role;

/// What is stored and current.
#[derive(Debug, Clone, Default)]
pub struct Trusted {
    /// The newest root.
    pub root: Option<Metadata>,
    /// Targets and every delegated role.
    pub targets: Vec<Metadata>,
    /// The current snapshot.
    pub snapshot: Option<Metadata>,
    /// The current timestamp.
    pub timestamp: Option<Metadata>,
}

/// How far a publish may go.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How far above the stored version targets may be.
    pub max_version_jump: u32,
    /// Delegated roles that clients visit at most.
    pub max_delegated_roles: usize,
}

/// The public keys that the signer holds for a repository.
#[derive(Debug, Clone)]
pub struct OnlineKeys {
    /// Signs snapshots.
    pub snapshot: PublicKey,
    /// Signs timestamps.
    pub timestamp: PublicKey,
}

/// A publish that was judged good.
#[derive(Debug, Clone)]
pub struct Checked {}

/// Judges an upload.
pub fn check(
    trusted: &Trusted,
    uploaded: Vec<Metadata>,
    online: &OnlineKeys,
    limits: &Limits,
    now: DateTime<Utc>,
) -> Result<Checked, Refusal> {
    unimplemented!()
}

impl Checked {
    /// What is new: roots by version, then targets, then delegated roles.
    pub fn new(&self) -> &[Metadata] {
        unimplemented!()
    }
    /// Delegated roles that no role delegates to any more.
    pub fn dropped(&self) -> &[Role] {
        unimplemented!()
    }
    /// The newest root after the publish.
    pub fn root(&self) -> &Metadata {
        unimplemented!()
    }
    /// Targets and every delegated role that is delegated to, after the publish.
    pub fn current_targets(&self) -> &[Metadata] {
        unimplemented!()
    }
    /// The snapshot over all of it.
    pub fn snapshot(&self, expires: DateTime<Utc>) -> Result<Unsigned, Refusal> {
        unimplemented!()
    }
}

impl Default for Limits {
    fn default() -> Self {
        unimplemented!()
    }
}
