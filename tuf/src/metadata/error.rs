//! Why a document is refused. The texts reach publishers and are those of the reference where it has one.

use chrono::{DateTime, Utc};
use thiserror::Error;

use crate::json::JsonError;
use crate::role::RoleName;
use crate::time;

/// Why a document cannot be used as a document of its role.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum MetadataError {
    /// The bytes are not one JSON value.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A known field holds a value of the wrong kind.
    #[error("json: {field} is not {expected}")]
    Field {
        /// Where in the document, such as `signed.version`.
        field: String,
        /// What is expected there.
        expected: &'static str,
    },
    /// The fields do not make up a document of this role.
    #[error("{role} type metadata invalid: {problem}")]
    Structure {
        /// The role of the document.
        role: RoleName,
        /// What is wrong.
        problem: String,
    },
    /// Readers that ignore case, as Go's do, take a member for another one.
    #[error(
        "json: the member {member:?} of {object} is taken for {known:?} by some readers and not by others"
    )]
    Lookalike {
        /// The object, such as `document.signed`.
        object: &'static str,
        /// The member as written.
        member: String,
        /// The known field that it is taken for.
        known: String,
    },
    /// The list of signatures is empty.
    #[error("tuf: data has no signatures")]
    NoSignatures,
    /// A signature is by a key that is listed under an ID other than its own.
    #[error("key ID is not valid for key content")]
    KeyId,
    /// Fewer valid signatures by the role's keys than the threshold.
    #[error("valid signatures did not meet threshold for {0}")]
    Threshold(RoleName),
    /// The role's threshold is below 1.
    #[error("roles must have at least one signature required, {0} has none")]
    NoThreshold(RoleName),
    /// The document is past its expiry.
    #[error("{role} expired at {}", time::print(*at))]
    Expired {
        /// The role of the document.
        role: RoleName,
        /// When it expired.
        at: DateTime<Utc>,
    },
    /// No certificate of the root role is usable for this repository.
    #[error("could not validate the path to a trusted root: unable to retrieve valid leaf certificates")]
    NoCertificate,
    /// Not signed by enough keys of the root before.
    #[error(
        "could not rotate trust to a new trusted root: failed to validate data with current trusted certificates"
    )]
    PreviousRoot,
    /// Not signed by enough of its own root keys.
    #[error("could not validate the path to a trusted root: failed to validate integrity of roots")]
    RootIntegrity,
    /// A delegation is given a certificate that is too weak.
    #[error("{0}")]
    WeakCertificate(&'static str),
    /// No loaded parent declares the delegation.
    #[error("tuf: invalid role {0}. delegation does not exist")]
    NoDelegation(RoleName),
    /// A delegation, or a first snapshot, without a targets document.
    #[error("targets must be loaded first")]
    NoTargets,
    /// The snapshot names another hash of a document than it has.
    #[error("{algorithm} checksum for {role} did not match: expected {expected}")]
    Checksum {
        /// `sha256` or `sha512`.
        algorithm: &'static str,
        /// The role of the document that was hashed.
        role: RoleName,
        /// The hash that the snapshot names, in hexadecimal.
        expected: String,
    },
    /// The snapshot names no hash of a document, or none that is known.
    #[error("no checksums for supported algorithms were provided for {0}")]
    NoChecksum(RoleName),
    /// The snapshot states another length of a document than it has.
    #[error("length of {role} did not match: expected {stated}, it has {actual} bytes")]
    Length {
        /// The role of the document.
        role: RoleName,
        /// The length that the snapshot states.
        stated: i64,
        /// Its length in bytes.
        actual: usize,
    },
    /// The snapshot names a document that is neither in the update nor the current one of its role.
    #[error("the snapshot names a {0} that is neither part of this update nor the current one")]
    NotCurrent(String),
    /// The snapshot does not name a delegation that readers follow.
    #[error("the snapshot leaves out {0}, which is delegated to and published")]
    LeftOut(RoleName),
    /// The version does not fit the storage column.
    #[error(
        "{role} version {version} is higher than the highest that can be stored, {}",
        i32::MAX
    )]
    VersionTooLarge {
        /// The role of the document.
        role: RoleName,
        /// Its version.
        version: i64,
    },
    /// The version is far beyond the last one.
    #[error(
        "{role} version {version} is too far beyond {last}, the last one: at most {limit} (the server's \
         limits.version_step)"
    )]
    VersionStep {
        /// The role of the document.
        role: RoleName,
        /// Its version.
        version: i64,
        /// The highest stored one; 0 if there is none.
        last: i64,
        /// How far it may go beyond.
        limit: u32,
    },
    /// The name of a target or the path of a delegation holds a control character.
    #[error("the name {name:?} in {role} holds a control character")]
    UnprintableName {
        /// The role of the document.
        role: RoleName,
        /// The name.
        name: String,
    },
    /// A root does not list this base role.
    #[error("root has no role {0}")]
    NoRole(RoleName),
}

impl MetadataError {
    /// Whether the error is about the form of the text rather than its contents: readers may parse it differently, or
    /// it is not a document at all.
    pub(crate) fn is_about_the_text(&self) -> bool {
        matches!(self, Self::Json(_) | Self::Lookalike { .. } | Self::Field { .. })
    }

    /// The fields do not make up a document of `role`.
    pub(crate) fn structure(role: &RoleName, problem: impl Into<String>) -> Self {
        Self::Structure {
            role: role.clone(),
            problem: problem.into(),
        }
    }
}
