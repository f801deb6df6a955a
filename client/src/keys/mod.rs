//! Keys of publishers: where they are kept, how they are opened, and what they sign.
//!
//! [`KeyStore`] is what publishing needs; [`KeyDirectory`] keeps keys as notary and docker do, so that all of them can go on
//! using the same ones, [`TokenKeys`] are those of a PKCS#11 token, and [`Keys`] are both together.

mod command;
mod directory;
mod joined;
mod passphrase;
mod pem;
mod private;
mod prompt;
mod public;
mod token;

use std::path::PathBuf;

use thiserror::Error;
use tuf::{Gun, KeyId, PublicKey};

pub use command::SecretCommand;
pub use directory::KeyDirectory;
pub use joined::{Keys, Place};
pub use passphrase::Passphrases;
#[cfg(feature = "native")]
pub(crate) use private::ecdsa_in_der;
pub use private::{PrivateKey, SigningKey};
pub use public::read_public_key;
pub use token::{Pin, TokenKeys, TokenSettings, UnusableKey};

/// The role of a key whose place does not say what it is for.
const UNKNOWN_ROLE: &str = "unknown";

/// A key in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// The ID of its bare public key, as `notary key list` shows it.
    pub id: KeyId,
    /// What it was made for: `root`, `targets`, `snapshot`, or the name of a signer.
    pub role: String,
    /// The repository that it was made for, unless for several.
    pub gun: Option<String>,
    /// Where it is, in words.
    pub place: String,
}

/// Where private keys are.
pub trait KeyStore: Send + Sync {
    /// Every key, without opening any.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn list(&self) -> Result<Vec<KeyInfo>, KeyError>;

    /// Opens a key, which may ask for a passphrase.
    ///
    /// # Errors
    /// When it is not there, or cannot be opened.
    fn open(&self, id: &KeyId) -> Result<Box<dyn SigningKey>, KeyError>;

    /// Makes an ECDSA key on P-256 and keeps it, which may ask for a new passphrase. Returns its public half.
    ///
    /// # Errors
    /// When it cannot be made or kept.
    fn generate(&self, role: &str, gun: Option<&Gun>) -> Result<PublicKey, KeyError>;

    /// Keeps a key, which may ask for a new passphrase. One that is there already stays as it is.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn add(&self, key: &PrivateKey, role: &str, gun: Option<&Gun>) -> Result<(), KeyError>;

    /// Removes a key, for ever. Says whether there was one.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn remove(&self, id: &KeyId) -> Result<bool, KeyError>;
}

/// Checks that a role can be written where keys are kept.
fn check_role(role: &str) -> Result<(), KeyError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if role.is_empty() || !role.chars().all(allowed) {
        return Err(KeyError::Role(role.to_owned()));
    }
    Ok(())
}

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// A file or directory.
    #[error("{}: {reason}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No such key.
    #[error("there is no private key {id} in {place}")]
    Missing {
        /// The ID.
        id: String,
        /// Where it was looked for.
        place: String,
    },
    /// No passphrase opens it.
    #[error("the key {id} ({role}) is encrypted, and {tried}; set {variables}, or run this on a terminal")]
    Passphrase {
        /// The ID.
        id: String,
        /// What the key is for.
        role: String,
        /// What was tried.
        tried: String,
        /// The environment variables that would be asked.
        variables: String,
    },
    /// A kind of key that is of no use.
    #[error("this is {0}; use ECDSA on P-256, P-384 or P-521, or RSA with 2048 bits or more")]
    Kind(String),
    /// A name that cannot stand in a file.
    #[error("{0:?} cannot be the role of a key: it is written as letters, digits, `-`, `_`, `.` and `/`")]
    Role(String),
    /// OpenSSL failed.
    #[error("OpenSSL failed: {0}")]
    OpenSsl(String),
    /// A certificate could not be made.
    #[error("the certificate of the root key cannot be made: {0}")]
    Certificate(String),
    /// A program that is asked for passphrases.
    #[error("{setting}: {reason}")]
    Command {
        /// What names the program.
        setting: String,
        /// What is wrong.
        reason: String,
    },
    /// A PKCS#11 module.
    #[error("the PKCS#11 module {}: {reason}", .path.display())]
    Module {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A PKCS#11 token, or a key in it.
    #[error("{token}: {reason}")]
    Token {
        /// Which, in words.
        token: String,
        /// What is wrong.
        reason: String,
    },
    /// A store of a kind that does not do this.
    #[error("{0}")]
    Unsupported(String),
}
