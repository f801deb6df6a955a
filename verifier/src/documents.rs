//! The documents of a repository as a server gave them, unverified.

use std::collections::BTreeMap;

use bytes::Bytes;

/// All documents of a repository, as they were at one moment: what `_trust/bundle` answers with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Documents {
    /// Every root from the earliest that is known to the newest, without gaps. Where a root was [seen](crate::Seen) before,
    /// that one and what follows suffice.
    pub roots: Vec<Bytes>,
    /// The timestamp.
    pub timestamp: Bytes,
    /// The snapshot that the timestamp names.
    pub snapshot: Bytes,
    /// `targets` and each delegation that was published, by full role name.
    pub targets: BTreeMap<String, Bytes>,
}
