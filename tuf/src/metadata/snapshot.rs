//! The snapshot document.

use std::collections::BTreeMap;

use super::{Envelope, FileMeta, MetadataError};
use crate::role::RoleName;

/// The contents of a snapshot: the hashes of root, targets and every delegation, by role name.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotBody {
    pub(crate) meta: BTreeMap<String, FileMeta>,
}

impl SnapshotBody {
    /// Reads a snapshot without checking its structure.
    pub(crate) fn read(document: &Envelope) -> Result<Self, MetadataError> {
        let signed = document.signed(&RoleName::Snapshot)?;
        Ok(Self {
            meta: FileMeta::read_map(&signed)?,
        })
    }

    /// Checks the structure: type, version, and a SHA-256 for root and for targets.
    pub(crate) fn check(&self, document: &Envelope) -> Result<(), MetadataError> {
        let role = RoleName::Snapshot;
        document.check_type(&role, "Snapshot", "version cannot be less than one")?;
        for name in ["root", "targets"] {
            FileMeta::check(self.meta.get(name), &role, name)?;
        }
        Ok(())
    }

    /// The snapshot's entry for a role.
    pub(crate) fn meta(&self, role: &RoleName) -> Option<&FileMeta> {
        self.meta.get(role.as_str())
    }
}
