//! The timestamp document.

use std::collections::BTreeMap;

use super::{Envelope, FileMeta, MetadataError};
use crate::role::RoleName;

/// The contents of a timestamp: the hashes of the current snapshot.
#[derive(Debug, Clone)]
pub(crate) struct TimestampBody {
    pub(crate) meta: BTreeMap<String, FileMeta>,
}

impl TimestampBody {
    /// Reads a timestamp and checks its structure: type, version, and a SHA-256 for the snapshot.
    pub(crate) fn read(document: &Envelope) -> Result<Self, MetadataError> {
        let role = RoleName::Timestamp;
        let meta = FileMeta::read_map(&document.signed(&role)?)?;
        document.check_type(&role, "Timestamp", "version cannot be less than one")?;
        FileMeta::check(meta.get("snapshot"), &role, "snapshot")?;
        Ok(Self { meta })
    }

    /// The timestamp's entry for the snapshot.
    pub(crate) fn snapshot(&self) -> Option<&FileMeta> {
        self.meta.get("snapshot")
    }
}
