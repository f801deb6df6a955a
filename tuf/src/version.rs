//! The version number of a document.

use std::fmt;

use thiserror::Error;

/// The version of a document: at least 1, and at most what the storage column holds (2,147,483,647).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(i32);

/// The number is not a valid version of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VersionError {
    /// The number is zero or negative.
    #[error("version cannot be less than 1")]
    TooSmall,
    /// The number does not fit the storage column.
    #[error("version cannot be more than {}", i32::MAX)]
    TooLarge,
}

impl Version {
    /// The version of a first document.
    pub const FIRST: Self = Self(1);

    /// Accepts 1 to 2,147,483,647.
    ///
    /// # Errors
    ///
    /// Refuses everything outside that range.
    pub fn new(number: i64) -> Result<Self, VersionError> {
        if number < 1 {
            return Err(VersionError::TooSmall);
        }
        i32::try_from(number)
            .map(Self)
            .map_err(|_| VersionError::TooLarge)
    }

    /// The number.
    pub fn get(self) -> i32 {
        self.0
    }

    /// The version after this one; `None` after the last that can be stored.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_storable_positive_numbers_are_versions() {
        assert_eq!(Version::new(0), Err(VersionError::TooSmall));
        assert_eq!(Version::new(i64::MIN), Err(VersionError::TooSmall));
        assert_eq!(Version::new(1), Ok(Version::FIRST));
        assert_eq!(Version::new(i64::from(i32::MAX)).map(Version::get), Ok(i32::MAX));
        assert_eq!(Version::new(i64::from(i32::MAX) + 1), Err(VersionError::TooLarge));
    }

    #[test]
    fn the_last_version_has_no_next() {
        assert_eq!(Version::FIRST.next().map(Version::get), Some(2));
        assert_eq!(Version::new(i64::from(i32::MAX)).unwrap().next(), None);
    }
}
