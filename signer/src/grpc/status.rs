//! The only place where failures become gRPC statuses.
//!
//! The codes for unknown keys and algorithms, and their texts, are those of the Notary signer.

use signing::metadata;
use tonic::{Code, Status, metadata::MetadataValue};
use tuf::KeyId;

use crate::{
    keyring::{KeyringError, Unopenable},
    policy::Refusal,
};

/// The longest text of a caller that is repeated in a message, in characters.
const ECHO_LIMIT: usize = 64;

/// The method that failed; the Notary signer words "not found" differently for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    CreateKey,
    DeleteKey,
    GetKeyInfo,
    Sign,
}

impl Method {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CreateKey => "CreateKey",
            Self::DeleteKey => "DeleteKey",
            Self::GetKeyInfo => "GetKeyInfo",
            Self::Sign => "Sign",
        }
    }

    /// Reads the key ID of a request. A missing ID is a mistake of the caller; a malformed ID cannot belong to a key,
    /// so the answer is that there is no such key.
    pub(super) fn key_id(self, id: Option<&str>) -> Result<KeyId, Status> {
        match id {
            None | Some("") => Err(Status::invalid_argument("the key ID is missing")),
            Some(id) => KeyId::parse(id).map_err(|_| self.not_found(id)),
        }
    }

    pub(super) fn not_found(self, id: &str) -> Status {
        let id = echo(id);
        Status::not_found(match self {
            Self::Sign => format!("signing key not found: {id}"),
            _ => format!("key {id} not found"),
        })
    }

    /// Logs a failure that an operator has to look at, and makes its status.
    pub(super) fn failed(self, id: &KeyId, error: &KeyringError) -> Status {
        let status = self.status(error);
        if matches!(status.code(), Code::Internal | Code::Unavailable) {
            tracing::error!(key.id = id.as_str(), "{} failed: {error}", self.name());
        }
        status
    }

    /// The status of a failure. Details of the database are not for callers; they are in the log only.
    pub(super) fn status(self, error: &KeyringError) -> Status {
        let message = error.to_string();
        match error {
            KeyringError::Shared(inner) => self.status(inner),
            KeyringError::Unknown(id) => self.not_found(id),
            KeyringError::Purpose(_) => Status::invalid_argument(message),
            KeyringError::Refused(refusal) => {
                let mut status = Status::failed_precondition(message);
                if matches!(
                    refusal,
                    Refusal::OtherRole { .. } | Refusal::OtherRepository { .. }
                ) {
                    let purpose = MetadataValue::from_static(metadata::PURPOSE);
                    status.metadata_mut().insert(metadata::REFUSAL, purpose);
                }
                status
            }
            KeyringError::Store(_) => Status::unavailable("the key database cannot be used now"),
            KeyringError::Interrupted(_) => Status::unavailable("the signer is stopping"),
            // The call is right, and succeeds once the operator has set the right passphrase.
            KeyringError::Passphrase(_)
            | KeyringError::Unopenable {
                reason: Unopenable::Passphrase(_) | Unopenable::Seal(_),
                ..
            } => Status::unavailable(format!("the signer has no passphrase that fits: {message}")),
            KeyringError::Unopenable { .. } => Status::internal(message),
            KeyringError::Seal(_) | KeyringError::Secret(_) => match self {
                Self::CreateKey => Status::internal(format!("Key creation failed: {message}")),
                _ => Status::internal(message),
            },
        }
    }
}

/// The status for an algorithm that keys cannot be made for.
pub(super) fn unsupported_algorithm(name: &str) -> Status {
    Status::new(
        Code::Unknown,
        format!("algorithm {} not supported for create key", echo(name)),
    )
}

fn echo(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(ECHO_LIMIT)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    #[test]
    fn unknown_keys_are_reported_in_the_notary_signers_words() {
        let unknown = KeyringError::Unknown("abc".to_owned());
        let status = Method::GetKeyInfo.status(&unknown);
        assert_eq!(
            (status.code(), status.message()),
            (Code::NotFound, "key abc not found")
        );
        let status = Method::Sign.status(&unknown);
        assert_eq!(
            (status.code(), status.message()),
            (Code::NotFound, "signing key not found: abc")
        );
    }

    #[test]
    fn missing_ids_are_the_callers_mistake_and_malformed_ones_unknown() {
        for missing in [None, Some("")] {
            assert_eq!(
                Method::Sign.key_id(missing).unwrap_err().code(),
                Code::InvalidArgument
            );
        }
        let long = "x".repeat(1_000_000);
        let status = Method::GetKeyInfo.key_id(Some(&long)).unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
        assert!(status.message().len() < 100);
    }

    #[test]
    fn a_database_failure_is_unavailable_and_says_nothing_about_the_database() {
        let status = Method::Sign.status(&KeyringError::Store(StoreError::Unwritten(
            "secret.db".to_owned(),
        )));
        assert_eq!(status.code(), Code::Unavailable);
        assert!(!status.message().contains("secret.db"));
    }

    #[test]
    fn a_refusal_of_the_policy_gives_its_reason() {
        let refusal = Refusal::LowerVersion {
            version: 1,
            signed: 2,
        };
        let status = Method::Sign.status(&KeyringError::Refused(refusal));
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().contains("already signed version 2"));
    }

    #[test]
    fn unsupported_algorithms_are_reported_in_the_notary_signers_words() {
        let status = unsupported_algorithm("rsa");
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unknown, "algorithm rsa not supported for create key")
        );
    }
}
