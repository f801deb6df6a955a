//! Policies of other products, as ours.

use thiserror::Error;

/// A policy that was written from another product's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The policy file.
    pub policy: String,
    /// What could not be carried over, and what is left to do, a sentence each.
    pub notes: Vec<String>,
}

/// The text is not the configuration that it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ImportError {
    /// It cannot be parsed.
    #[error("the file cannot be read as {format}: {cause}")]
    Syntax {
        /// `TOML` or `JSON`.
        format: &'static str,
        /// What the parser says.
        cause: String,
    },
    /// It has not the section that is imported.
    #[error("the file has no {0}, so there is nothing to import")]
    Missing(&'static str),
}

/// From MKE's configuration: the table `trust_configuration` (TOML).
///
/// # Errors
/// See [`ImportError`].
pub fn import_mke(_text: &str) -> Result<Imported, ImportError> {
    Err(ImportError::Missing("trust_configuration"))
}

/// From the engine's `daemon.json`: `content-trust`.
///
/// # Errors
/// See [`ImportError`].
pub fn import_engine(_text: &str) -> Result<Imported, ImportError> {
    Err(ImportError::Missing("content-trust"))
}

/// From Notary's `config.json`: `trust_pinning`.
///
/// # Errors
/// See [`ImportError`].
pub fn import_notary(_text: &str) -> Result<Imported, ImportError> {
    Err(ImportError::Missing("trust_pinning"))
}
