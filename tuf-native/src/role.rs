//! The names of roles, and of their files.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use thiserror::Error;
use unicode_normalization::is_nfc;

/// Longest name of a delegated role, in characters.
const MAX_CHARS: usize = 128;

/// Longest name of a delegated role in the name of its file: what is left of the 255 bytes of file systems beside a
/// version, `.json`, and what servers and clients add.
const MAX_ENCODED: usize = 200;

/// What stands for itself in the name of a file: letters, digits, `_`, `.`, `-` and `~`. python-tuf (its
/// `urllib.parse.quote` without safe characters) and tough encode everything else.
const ENCODED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'_')
    .remove(b'.')
    .remove(b'-')
    .remove(b'~');

/// A role of a TUF 1.0 repository.
///
/// Their order is that in which files are judged: root, targets, delegated roles by name, snapshot, timestamp.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Names the keys of the four top-level roles.
    Root,
    /// The top of the tree of targets.
    Targets,
    /// A role that targets, or another delegated role, delegates to. Made by [`Role::parse`] alone.
    Delegated(DelegatedName),
    /// Names the version of targets and of every delegated role.
    Snapshot,
    /// Names the current snapshot.
    Timestamp,
}

/// The name of a delegated role: 1 to 128 characters in Unicode's form NFC, none of them a control character, and none of
/// the four top-level names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DelegatedName(String);

/// Why a text is not the name of a role.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RoleError {
    /// It is empty.
    #[error("the name of a role must not be empty")]
    Empty,
    /// It does not fit the storage columns.
    #[error("the name of a role has at most {MAX_CHARS} characters, this one has {0}")]
    TooLong(usize),
    /// It holds a character that no name of a role may hold.
    #[error("the name of a role must not contain {0:?}")]
    Character(char),
    /// Clients in JavaScript would visit it in another order, or not at all.
    #[error("{0:?} must not name a role, because clients in JavaScript read it otherwise: add a letter")]
    Script(String),
    /// Its file would have too long a name for file systems.
    #[error(
        "the name of the role {0:?} is too long when it is percent-encoded: use at most {MAX_ENCODED} characters there"
    )]
    TooLongEncoded(String),
    /// Clients that normalise texts would read another name.
    #[error("the name of the role {0:?} is not in Unicode's form NFC: normalise it")]
    NotNormalised(String),
    /// Servers and proxies clean addresses in which its file is asked for, and then look for another file.
    #[error("the name of the role {0:?} has an empty part, or one of `.` and `..`: name it otherwise")]
    Part(String),
    /// The name of a file is not that of a role.
    #[error(
        "{0:?} is not the name of a role's file: it ends in .json, and what comes before is percent-encoded"
    )]
    File(String),
}

impl Role {
    /// Reads the name of a role.
    ///
    /// # Errors
    ///
    /// Refuses empty names, names of more than 128 characters, with control characters, with characters beyond U+FFFF
    /// (which some databases do not store), not in form NFC, of digits alone, or of more than 200 characters when they
    /// are percent-encoded; and of parts between slashes that are empty, `.` or `..`.
    pub fn parse(text: &str) -> Result<Self, RoleError> {
        match text {
            "root" => return Ok(Self::Root),
            "targets" => return Ok(Self::Targets),
            "snapshot" => return Ok(Self::Snapshot),
            "timestamp" => return Ok(Self::Timestamp),
            "" => return Err(RoleError::Empty),
            _ => {}
        }
        let chars = text.chars().count();
        if chars > MAX_CHARS {
            return Err(RoleError::TooLong(chars));
        }
        if let Some(bad) = text.chars().find(|&c| c.is_control() || c > '\u{ffff}') {
            return Err(RoleError::Character(bad));
        }
        if !is_nfc(text) {
            return Err(RoleError::NotNormalised(text.to_owned()));
        }
        // JavaScript visits members whose names are numbers before all others.
        if text == "__proto__" || text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(RoleError::Script(text.to_owned()));
        }
        if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(RoleError::Part(text.to_owned()));
        }
        if utf8_percent_encode(text, &ENCODED).map(str::len).sum::<usize>() > MAX_ENCODED {
            return Err(RoleError::TooLongEncoded(text.to_owned()));
        }
        Ok(Self::Delegated(DelegatedName(text.to_owned())))
    }

    /// The name, as metadata writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Delegated(name) => &name.0,
            Self::Snapshot => "snapshot",
            Self::Timestamp => "timestamp",
        }
    }

    /// The name of its file without a version, such as `targets.json` or `a%2Fb.json`, as python-tuf and tough write it.
    pub fn file_name(&self) -> String {
        format!("{}.json", utf8_percent_encode(self.as_str(), &ENCODED))
    }

    /// Reads the name of a file that [`Role::file_name`] wrote.
    ///
    /// # Errors
    ///
    /// Refuses what does not end in `.json`, and what is encoded otherwise.
    pub fn from_file_name(file: &str) -> Result<Self, RoleError> {
        let other = || RoleError::File(file.to_owned());
        let encoded = file.strip_suffix(".json").ok_or_else(other)?;
        let name = percent_decode_str(encoded).decode_utf8().map_err(|_| other())?;
        let role = Self::parse(&name)?;
        if role.file_name() == file {
            Ok(role)
        } else {
            Err(other())
        }
    }

    /// Whether its files list targets: `targets` itself and every delegated role.
    pub fn lists_targets(&self) -> bool {
        matches!(self, Self::Targets | Self::Delegated(_))
    }

    /// The `_type` that its files state.
    pub fn stated_type(&self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Targets | Self::Delegated(_) => "targets",
            Self::Snapshot => "snapshot",
            Self::Timestamp => "timestamp",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(text: &str) -> Role {
        Role::parse(text).unwrap()
    }

    #[test]
    fn names_of_roles_and_of_their_files_lead_to_each_other() {
        for (name, file) in [
            ("root", "root.json"),
            ("targets", "targets.json"),
            ("snapshot", "snapshot.json"),
            ("timestamp", "timestamp.json"),
            ("targets/releases", "targets%2Freleases.json"),
            ("a b.c-d_e~f", "a%20b.c-d_e~f.json"),
            ("é", "%C3%A9.json"),
            ("a..b", "a..b.json"),
            ("100%", "100%25.json"),
        ] {
            assert_eq!(role(name).to_string(), name);
            assert_eq!(role(name).file_name(), file);
            assert_eq!(Role::from_file_name(file), Ok(role(name)));
        }
    }

    #[test]
    fn files_that_are_named_otherwise_are_refused() {
        for file in ["root", "a/b.json", "a%2fb.json", "%61.json", "%ff.json", ".json"] {
            assert!(Role::from_file_name(file).is_err(), "{file}");
        }
    }

    #[test]
    fn names_that_clients_or_databases_read_otherwise_are_refused() {
        assert_eq!(Role::parse(""), Err(RoleError::Empty));
        assert_eq!(Role::parse(&"a".repeat(129)), Err(RoleError::TooLong(129)));
        assert!(Role::parse(&"a".repeat(128)).is_ok());
        assert!(Role::parse(&"ü".repeat(33)).is_ok());
        assert!(matches!(
            Role::parse(&"ü".repeat(34)),
            Err(RoleError::TooLongEncoded(_))
        ));
        for name in ["..", ".", "a//b", "/a", "a/", "a/../b", "./a", "//"] {
            assert_eq!(Role::parse(name), Err(RoleError::Part(name.to_owned())));
        }
        assert!(matches!(Role::parse("10"), Err(RoleError::Script(_))));
        assert!(matches!(Role::parse("__proto__"), Err(RoleError::Script(_))));
        assert_eq!(Role::parse("a\nb"), Err(RoleError::Character('\n')));
        assert_eq!(Role::parse("😀"), Err(RoleError::Character('😀')));
        assert!(matches!(
            Role::parse("e\u{301}"),
            Err(RoleError::NotNormalised(_))
        ));
    }

    #[test]
    fn roles_are_ordered_as_files_are_judged() {
        let sorted = ["root", "targets", "a", "b", "snapshot", "timestamp"].map(role);
        let mut shuffled = sorted.clone();
        shuffled.reverse();
        shuffled.sort();
        assert_eq!(shuffled, sorted);
    }
}
