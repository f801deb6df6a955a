//! Roots for which an operator vouches.
//!
//! The operator's TUF 1.0 repository lists the roots of Notary repositories as targets. Reading and verifying it is for those
//! who can: here is only what a policy says of it, and the root that comes out.

use tuf::{Checksum, VerifiedRoot, Version};

use crate::server::ServerRule;

/// An operator's TUF 1.0 repository, whose targets `GUN/VERSION.root.json` are the roots of Notary repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustRoots {
    /// Its name.
    pub repository: String,
    /// The root of it with which trust in it begins.
    pub root: Vec<u8>,
    /// The server that has it, if the policy names one beside it. It says nothing about images, and its pattern nothing.
    pub server: Option<ServerRule>,
}

/// A root for which an operator vouches: trust begins with exactly this document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VouchedRoot {
    /// The operator's repository.
    pub repository: String,
    /// Its version.
    pub version: Version,
    /// The SHA-256 of its bytes.
    pub sha256: Checksum,
}

impl VouchedRoot {
    /// Whether a root is this one.
    pub(crate) fn is(&self, root: &VerifiedRoot) -> bool {
        root.version() == self.version && root.sha256() == self.sha256
    }
}
