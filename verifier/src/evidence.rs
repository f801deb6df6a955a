//! What a verdict rests on.

use chrono::{DateTime, Utc};
use serde::Serialize;

/// What was verified of a repository, as a verdict shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The repository.
    pub gun: String,
    /// The newest root; its keys are those of the root role with a good signature on it.
    pub root: DocumentEvidence,
    /// The timestamp.
    pub timestamp: DocumentEvidence,
    /// The snapshot.
    pub snapshot: DocumentEvidence,
    /// `targets`.
    pub targets: DocumentEvidence,
    /// Each verified role that names the tag or digest in question, `targets` first.
    pub roles: Vec<RoleEvidence>,
    /// Roles that are declared and cannot be used, each with the reason.
    pub left_out: Vec<String>,
}

/// Version, end and signers of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DocumentEvidence {
    /// Its version.
    pub version: i32,
    /// When it cannot be used any more: for a root, the end of its certificates counts too.
    pub expires: DateTime<Utc>,
    /// The IDs of the declared keys with a good signature on it, as the declaring document lists them.
    pub key_ids: Vec<String>,
}

/// A role that names the tag or digest in question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoleEvidence {
    /// `targets`, or the full name of a delegation.
    pub role: String,
    /// Its document. It expires when the first of the documents that lead to it does.
    #[serde(flatten)]
    pub document: DocumentEvidence,
    /// The tag.
    pub tag: String,
    /// `sha256:` and 64 hexadecimal digits; `None` if the role names the tag without one.
    pub digest: Option<String>,
    /// The signers of the policy who signed it.
    pub signers: Vec<String>,
}
