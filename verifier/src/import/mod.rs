//! Policies of other products, as ours.
//!
//! What is written denies at least what the other product denied. What it cannot know, such as the root keys that MKE never
//! asked for, is left as a placeholder that [`Policy::parse`](crate::Policy::parse) refuses, so that it is not forgotten.

mod engine;
mod mke;
mod notary;
mod write;

use thiserror::Error;

pub use engine::import_engine;
pub use mke::import_mke;
pub use notary::import_notary;

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
    /// A value is not of the kind that it should be.
    #[error("{place} has to be {expected}")]
    Kind {
        /// Where, such as `content-trust.mode`.
        place: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl ImportError {
    fn kind(place: impl Into<String>, expected: &'static str) -> Self {
        Self::Kind {
            place: place.into(),
            expected,
        }
    }
}
