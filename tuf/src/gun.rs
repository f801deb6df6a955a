//! The globally unique name (GUN) of a repository.

use std::fmt;

use thiserror::Error;

/// Longest GUN the storage columns of the server and the signer hold, in characters.
const MAX_CHARS: usize = 255;

/// What the keys, chains and locks of TUF 1.0 repositories have after the repository's name. No GUN has an asterisk, so
/// they are never those of a Notary repository.
const TUF_1: &str = "*tuf1";

/// The globally unique name of a repository, such as `docker.io/library/alpine`.
///
/// Slashes, blanks, upper case, dots, colons and non-ASCII letters are all fine, and case matters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gun(String);

/// Why a text is not a [`Gun`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GunError {
    /// The text is empty.
    #[error("a repository name must not be empty")]
    Empty,
    /// The text does not fit the storage columns.
    #[error("a repository name has at most {MAX_CHARS} characters, this one has {0}")]
    TooLong(usize),
    /// The text holds a character that no repository name may hold.
    #[error("a repository name must not contain {0:?}")]
    Character(char),
}

impl Gun {
    /// Reads a repository name, already percent-decoded.
    ///
    /// # Errors
    ///
    /// Refuses an empty name, one of more than 255 characters, and one with `*`, a control character or a
    /// character beyond U+FFFF (some databases store only the basic multilingual plane).
    pub fn parse(text: &str) -> Result<Self, GunError> {
        if text.is_empty() {
            return Err(GunError::Empty);
        }
        let chars = text.chars().count();
        if chars > MAX_CHARS {
            return Err(GunError::TooLong(chars));
        }
        if let Some(bad) = text
            .chars()
            .find(|&c| c == '*' || c.is_control() || c > '\u{ffff}')
        {
            return Err(GunError::Character(bad));
        }
        Ok(Self(text.to_owned()))
    }

    /// Reads a name under which something is kept: a repository name, or what [`Gun::of_tuf_1`] makes of one.
    ///
    /// # Errors
    ///
    /// As [`Gun::parse`].
    pub fn parse_kept(text: &str) -> Result<Self, GunError> {
        match text.strip_suffix(TUF_1) {
            Some(name) => Ok(Self::parse(name)?.of_tuf_1()),
            None => Self::parse(text),
        }
    }

    /// The name under which the signer's keys of the TUF 1.0 repository with this name are kept: they are others than those
    /// of the Notary repository with the same name, and sign other documents.
    #[must_use]
    pub fn of_tuf_1(&self) -> Self {
        Self(format!("{}{TUF_1}", self.0))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether something is kept for a TUF 1.0 repository, by the name under which it is kept.
pub fn is_of_tuf_1(kept: &str) -> bool {
    kept.ends_with(TUF_1)
}

impl fmt::Display for Gun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_slashes_blanks_case_and_letters_are_kept_verbatim() {
        for text in ["docker.io/library/alpine", "a b:5000/X", "prüfung/日本", "a"] {
            assert_eq!(Gun::parse(text).unwrap().as_str(), text);
        }
        assert_ne!(Gun::parse("My/Repo"), Gun::parse("my/repo"));
    }

    #[test]
    fn what_is_kept_for_a_tuf_1_repository_has_a_name_that_no_repository_has() {
        let kept = Gun::parse("app").unwrap().of_tuf_1();
        assert!(is_of_tuf_1(kept.as_str()) && !is_of_tuf_1("app"));
        assert!(Gun::parse(kept.as_str()).is_err());
        assert_eq!(Gun::parse_kept(kept.as_str()), Ok(kept));
        assert!(Gun::parse_kept("a*tuf1*tuf1").is_err());
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert!(Gun::parse(&"ü".repeat(255)).is_ok());
        assert_eq!(Gun::parse(&"a".repeat(256)), Err(GunError::TooLong(256)));
    }

    #[test]
    fn empty_wildcard_control_and_astral_characters_are_refused() {
        assert_eq!(Gun::parse(""), Err(GunError::Empty));
        for bad in ['*', '\0', '\n', '\u{7f}', '\u{1f600}'] {
            assert_eq!(Gun::parse(&format!("a{bad}b")), Err(GunError::Character(bad)));
        }
    }
}
