//! Patterns of image names.

use std::fmt;

use thiserror::Error;

/// A pattern of completed image names: `*` stands for anything within a component, `**` for any number of components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    written: String,
}

/// The text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatternError {
    /// It is empty.
    #[error("a pattern must not be empty; \"**\" matches every image")]
    Empty,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// See [`PatternError`].
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        Ok(Self {
            written: text.to_owned(),
        })
    }

    /// Whether it matches a completed name.
    pub fn matches(&self, name: &str) -> bool {
        self.written == name
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.written
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}
