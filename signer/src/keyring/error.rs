//! Why a key cannot be made or used.

use std::sync::Arc;

use super::{InvalidPurpose, SecretKeyError};
use crate::{passphrase::PassphraseMissing, policy::Refusal, seal::SealError, store::StoreError};

/// Why an operation of the keyring failed.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// There is no key with this ID.
    #[error("there is no key {0}")]
    Unknown(String),
    /// The key exists but cannot be opened. Trying again does not help.
    #[error("the key {key_id} cannot be opened: {reason}")]
    Unopenable {
        /// The key ID as stored.
        key_id: String,
        /// Why it cannot be opened.
        reason: Unopenable,
    },
    /// The GUN or role of a new key cannot be stored.
    #[error(transparent)]
    Purpose(#[from] InvalidPurpose),
    /// New keys cannot be sealed.
    #[error(transparent)]
    Passphrase(#[from] PassphraseMissing),
    /// The policy refuses to sign the content.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database cannot be used now.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Sealing a new key failed.
    #[error("a new key cannot be sealed: {0}")]
    Seal(#[from] SealError),
    /// Making or using a key failed.
    #[error(transparent)]
    Secret(#[from] SecretKeyError),
    /// Several callers waited for the same key and share the reason why it cannot be opened.
    #[error(transparent)]
    Shared(Arc<KeyringError>),
    /// The process is ending.
    #[error("the work was not finished: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// Why a stored key cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unopenable {
    /// No passphrase is set for its alias.
    #[error(transparent)]
    Passphrase(#[from] PassphraseMissing),
    /// The stored alias is not valid.
    #[error("its passphrase alias is empty or too long")]
    Alias,
    /// The passphrase is wrong, or the row was damaged.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The private key cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretKeyError),
    /// The public key belongs to another private key.
    #[error("its public key belongs to another private key")]
    PublicKey,
    /// The key ID belongs to another public key.
    #[error("its ID belongs to another public key")]
    KeyId,
}
