//! Files that wait for signatures.
use bytes::Bytes;
use chrono::{DateTime, Utc};
use tuf::{KeyId, Version};

use crate::check::{Limits, OnlineKeys, Trusted};
use crate::metadata::Metadata;
use crate::refusal::{Delegator, Refusal};
use crate::role::Role;

/// A root, targets or delegated role whose signatures do not reach the threshold yet.
#[derive(Debug, Clone)]
pub struct Draft {}

/// Who has signed a draft, and who has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Keys that may sign it and did.
    pub signed: Vec<KeyId>,
    /// Keys that may sign it and did not.
    pub missing: Vec<KeyId>,
    /// What each of those who name its keys demands.
    pub needed: Vec<Needed>,
    /// Whether it can be published.
    pub complete: bool,
}

/// What one of those who name the keys of a role demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// Who names the keys. Its `Display` is for people and machines.
    pub by: Delegator,
    /// How many of the keys must sign.
    pub threshold: u32,
    /// How many did.
    pub have: u32,
}

impl Draft {
    /// Reads a file with any number of signatures.
    pub fn parse(role: &Role, bytes: Bytes) -> Result<Self, Refusal> {
        unimplemented!()
    }
    /// Its role.
    pub fn role(&self) -> &Role {
        unimplemented!()
    }
    /// Its version.
    pub fn version(&self) -> Version {
        unimplemented!()
    }
    /// When it ends.
    pub fn expires(&self) -> DateTime<Utc> {
        unimplemented!()
    }
    /// The file.
    pub fn bytes(&self) -> &Bytes {
        unimplemented!()
    }
    /// The repository that the signed member `x-countersign-repository` names.
    pub fn repository(&self) -> Option<&str> {
        unimplemented!()
    }
    /// Whether it may wait beside what is stored and beside the other drafts.
    pub fn check(
        &self,
        trusted: &Trusted,
        beside: &[Draft],
        online: &OnlineKeys,
        limits: &Limits,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        unimplemented!()
    }
    /// Unites the signatures of two drafts of the same content.
    pub fn merge(&self, other: &Self) -> Result<Self, Refusal> {
        unimplemented!()
    }
    /// Who has signed and who is missing.
    pub fn standing(&self, trusted: &Trusted, beside: &[Draft]) -> Standing {
        unimplemented!()
    }
    /// The file, if enough have signed it.
    pub fn complete(self, trusted: &Trusted, beside: &[Draft]) -> Option<Metadata> {
        unimplemented!()
    }
}
