//! One signed file.
use bytes::Bytes;
use chrono::{DateTime, Utc};
use tuf::{Checksum, KeyId, Version};

use crate::refusal::Refusal;
use crate::role::Role;

/// One signed file, byte for byte as received, which has passed the profile by itself.
#[derive(Debug, Clone)]
pub struct Metadata {}

impl Metadata {
    /// Reads a file of a role.
    pub fn parse(role: &Role, bytes: Bytes) -> Result<Self, Refusal> {
        unimplemented!()
    }
    /// The role that a file states: `targets` also stands for delegated roles. `None` for other types.
    pub fn stated_role(bytes: &[u8]) -> Result<Option<Role>, Refusal> {
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
    /// SHA-256 of the file.
    pub fn sha256(&self) -> Checksum {
        unimplemented!()
    }
    /// Length of the file in bytes.
    pub fn length(&self) -> usize {
        unimplemented!()
    }
    /// The repository that the signed member `x-countersign-repository` names.
    pub fn repository(&self) -> Option<&str> {
        unimplemented!()
    }
    /// The key IDs of the signatures in the file.
    pub fn signature_ids(&self) -> Vec<KeyId> {
        unimplemented!()
    }
}
