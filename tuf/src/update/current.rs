//! What is stored for a repository when an update arrives.

use std::collections::BTreeMap;

use crate::document::Document;
use crate::role::RoleName;

/// The trusted state of a repository. Empty for one that was never published.
#[derive(Debug, Clone, Default)]
pub struct Current {
    /// The root with the highest stored version, whatever snapshot and timestamp say: a repository with a stored
    /// root is never new.
    pub root: Option<Document>,
    /// The timestamp with the highest stored version.
    pub timestamp: Option<Document>,
    /// The snapshot that the timestamp names.
    pub snapshot: Option<Document>,
    /// The documents that the snapshot names for the roles that [`Upload::needed`](crate::Upload::needed) lists. Those
    /// that are not stored are left out.
    pub targets: BTreeMap<RoleName, Document>,
}
