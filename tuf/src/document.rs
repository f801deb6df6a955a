//! A document as it is stored: its bytes, which never change, and its role, version and checksum.

use bytes::Bytes;

use crate::checksum::Checksum;
use crate::role::RoleName;
use crate::version::Version;

/// One stored, or to be stored, metadata file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The role it is a document of.
    pub role: RoleName,
    /// The version that its signed part states.
    pub version: Version,
    /// The file, byte for byte as it was uploaded or made.
    pub bytes: Bytes,
    /// The SHA-256 of `bytes`.
    pub sha256: Checksum,
}

impl Document {
    /// A document of this role and version; the checksum is computed.
    pub fn new(role: RoleName, version: Version, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            role,
            version,
            sha256: Checksum::of(&bytes),
            bytes,
        }
    }
}
