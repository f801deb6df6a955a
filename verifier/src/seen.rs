//! What was verified of a repository before.

use serde::{Deserialize, Serialize};

/// What was verified of a repository, for the caller to keep until the next time. Without it neither an older version nor
/// a repository that was made anew could be told from the right one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    gun: String,
}

impl Seen {
    /// The repository.
    pub fn gun(&self) -> &str {
        &self.gun
    }
}
