//! The name of a repository.

use std::fmt;

use thiserror::Error;
use tuf::{Gun, GunError};

/// Segments that stand for something else in the addresses of repositories.
const RESERVED: [&str; 7] = [".", "..", "metadata", "targets", "sign", "keys", "export"];

/// The name of a TUF 1.0 repository, such as `example.com/tools`.
///
/// A [`Gun`] whose segments between slashes can stand in an address: none is empty, `.`, `..`, or one of the words that
/// follow a repository's name there (`metadata`, `targets`, `sign`, `keys`, `export`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(Gun);

/// Why a text is not a [`RepositoryName`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// It is not the name of any repository.
    #[error(transparent)]
    Gun(#[from] GunError),
    /// It has nothing between two slashes, or before the first or after the last one.
    #[error("a repository name must not have an empty part: remove a slash")]
    EmptySegment,
    /// One of its segments has a meaning of its own in addresses.
    #[error(
        "no part of a repository name may be {0:?}, which has another meaning in addresses: use another word"
    )]
    Reserved(&'static str),
}

impl RepositoryName {
    /// Reads a name, already percent-decoded.
    ///
    /// # Errors
    ///
    /// Refuses what is not a [`Gun`], and names with an empty or reserved segment.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let gun = Gun::parse(text)?;
        for segment in text.split('/') {
            if segment.is_empty() {
                return Err(NameError::EmptySegment);
            }
            if let Some(word) = RESERVED.into_iter().find(|word| *word == segment) {
                return Err(NameError::Reserved(word));
            }
        }
        Ok(Self(gun))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The name as those of Notary repositories are written.
    pub fn gun(&self) -> &Gun {
        &self.0
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_several_segments_are_kept_verbatim() {
        for text in [
            "a",
            "example.com:5000/Tools/x y",
            "prüfung/日本",
            "metadata.example/targets-2",
        ] {
            let name = RepositoryName::parse(text).unwrap();
            assert_eq!((name.as_str(), name.gun().as_str()), (text, text));
        }
    }

    #[test]
    fn segments_that_addresses_use_are_refused() {
        for text in [
            "a/metadata",
            "targets",
            "a/sign/b",
            "keys/a",
            "export",
            "a/../b",
            "./a",
        ] {
            assert!(
                matches!(RepositoryName::parse(text), Err(NameError::Reserved(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn empty_segments_and_texts_that_name_no_repository_are_refused() {
        for text in ["/a", "a/", "a//b"] {
            assert_eq!(
                RepositoryName::parse(text),
                Err(NameError::EmptySegment),
                "{text}"
            );
        }
        assert!(matches!(RepositoryName::parse("a*"), Err(NameError::Gun(_))));
        assert!(matches!(
            RepositoryName::parse(""),
            Err(NameError::Gun(GunError::Empty))
        ));
    }
}
