//! Why a publish is refused, in the words that its publisher reads.

use thiserror::Error;

use crate::metadata::MetadataError;
use crate::role::RoleName;
use crate::signing::SealError;

/// Why an update is refused. The text is what the `Msg` of the error's detail holds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejection {
    /// The uploaded root is refused.
    #[error("{0}")]
    BadRoot(String),
    /// An uploaded targets or delegation is refused.
    #[error("{0}")]
    BadTargets(String),
    /// The uploaded snapshot is refused.
    #[error("{0}")]
    BadSnapshot(String),
    /// The update lacks a document that the server cannot make.
    #[error("{msg}")]
    BadHierarchy {
        /// The role of the document.
        missing: RoleName,
        /// The text for the publisher.
        msg: String,
    },
    /// The update is refused for another reason.
    #[error("{0}")]
    Validation(String),
    /// What is stored for the repository cannot be used. The server's fault, not the publisher's.
    #[error("{0}")]
    StoredState(String),
}

impl Rejection {
    /// The `Name` of the error's detail on the wire; `None` for a fault of the server.
    pub fn kind(&self) -> Option<&'static str> {
        match self {
            Self::BadRoot(_) => Some("ErrBadRoot"),
            Self::BadTargets(_) => Some("ErrBadTargets"),
            Self::BadSnapshot(_) => Some("ErrBadSnapshot"),
            Self::BadHierarchy { .. } => Some("ErrBadHierarchy"),
            Self::Validation(_) => Some("ErrValidation"),
            Self::StoredState(_) => None,
        }
    }

    /// An uploaded document of this role is refused.
    pub(crate) fn uploaded(role: &RoleName, error: &MetadataError) -> Self {
        let msg = error.to_string();
        if matches!(error, MetadataError::UnprintableName { .. }) {
            return Self::Validation(msg);
        }
        match role {
            RoleName::Root => Self::BadRoot(msg),
            RoleName::Snapshot => Self::BadSnapshot(msg),
            RoleName::Targets | RoleName::Delegation(_) => Self::BadTargets(msg),
            RoleName::Timestamp => Self::Validation(msg),
        }
    }

    /// A stored document of this role cannot be used.
    pub(crate) fn stored(role: &RoleName, error: &MetadataError) -> Self {
        Self::StoredState(format!("the stored {role} cannot be used: {error}"))
    }

    /// A document of this role that the server makes would get a version that cannot be stored.
    pub(crate) fn last_version(role: &RoleName) -> Self {
        Self::Validation(format!(
            "{role} has reached the highest version that can be stored, {}",
            i32::MAX
        ))
    }
}

/// The server does not hold enough keys of a role it has to sign for.
impl From<SealError> for Rejection {
    fn from(error: SealError) -> Self {
        match error {
            SealError::TooFew {
                role: RoleName::Snapshot,
                ..
            } => Self::BadHierarchy {
                missing: RoleName::Snapshot,
                msg: "no snapshot was included in update and server does not hold current snapshot key for \
                      repository"
                    .to_owned(),
            },
            // The two blanks are in Notary's message too.
            SealError::TooFew {
                role: RoleName::Timestamp,
                ..
            } => Self::BadRoot("no  timestamp keys exist on the server".to_owned()),
            other => Self::StoredState(other.to_string()),
        }
    }
}
