//! Files of user names with hashed passwords (htpasswd), and of groups.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use argon2::{Argon2, Params, PasswordVerifier, password_hash::phc::PasswordHash};
use bcrypt::HashParts;

use crate::identity::rules::{check_group_name, check_principal_name};

/// The highest bcrypt cost accepted. A higher one would take seconds for each guess and each login.
const MAX_BCRYPT_COST: u32 = 16;
/// The most memory accepted for an argon2id hash, in KiB.
const MAX_ARGON2_MEMORY: u32 = 256 * 1024;
/// The most passes accepted for an argon2id hash.
const MAX_ARGON2_PASSES: u32 = 16;
/// The most lanes accepted for an argon2id hash.
const MAX_ARGON2_LANES: u32 = 16;

/// Why a file of users or groups cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PasswordFileError {
    /// It cannot be read.
    #[error("{}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// A line is refused.
    #[error("{} line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line number, from 1.
        line: usize,
        /// Why it is refused, with the name of the user or group.
        reason: String,
    },
}

/// A password hash of an accepted algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hash {
    /// `$2y$`, `$2b$` or `$2a$`.
    Bcrypt(String),
    /// `$argon2id$`, in the PHC string format.
    Argon2id(String),
}

impl Hash {
    /// Reads a hash.
    ///
    /// # Errors
    /// Why the hash is refused, and what would be accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        if ["$2y$", "$2b$", "$2a$"].iter().any(|kind| text.starts_with(kind)) {
            let parts: HashParts = text
                .parse()
                .map_err(|cause| format!("the bcrypt hash is damaged: {cause}"))?;
            if !(4..=MAX_BCRYPT_COST).contains(&parts.get_cost()) {
                return Err(format!(
                    "the cost of the bcrypt hash is not between 4 and {MAX_BCRYPT_COST}"
                ));
            }
            return Ok(Self::Bcrypt(text.to_owned()));
        }
        if text.starts_with("$argon2id$") {
            let damaged = |cause: &dyn std::fmt::Display| format!("the argon2id hash is damaged: {cause}");
            let hash = PasswordHash::new(text).map_err(|cause| damaged(&cause))?;
            let params = Params::try_from(&hash).map_err(|cause| damaged(&cause))?;
            if hash.hash.is_none() || hash.salt.is_none() {
                return Err(damaged(&"salt or hash is missing"));
            }
            if params.m_cost() > MAX_ARGON2_MEMORY
                || params.t_cost() > MAX_ARGON2_PASSES
                || params.p_cost() > MAX_ARGON2_LANES
            {
                return Err(format!(
                    "the argon2id hash asks for more than m={MAX_ARGON2_MEMORY}, t={MAX_ARGON2_PASSES}, \
                     p={MAX_ARGON2_LANES}"
                ));
            }
            return Ok(Self::Argon2id(text.to_owned()));
        }
        Err(
            "the password is not hashed with bcrypt or argon2id: set it again with \"htpasswd -B\""
                .to_owned(),
        )
    }

    /// As it is stored.
    pub(super) fn stored(&self) -> &str {
        match self {
            Self::Bcrypt(hash) | Self::Argon2id(hash) => hash,
        }
    }

    /// Whether the password matches. Takes the same time for wrong passwords as for the right one.
    pub fn verify(&self, password: &str) -> bool {
        match self {
            Self::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Self::Argon2id(hash) => PasswordHash::new(hash).is_ok_and(|hash| {
                Argon2::default()
                    .verify_password(password.as_bytes(), &hash)
                    .is_ok()
            }),
        }
    }
}

/// The lines of a file that are neither empty nor comments, with their numbers.
fn read(path: &Path) -> Result<Vec<(usize, String)>, PasswordFileError> {
    let text = platform::files::read_to_string(path).map_err(|cause| PasswordFileError::Read {
        path: path.to_path_buf(),
        cause,
    })?;
    let lines = text.lines().enumerate();
    Ok(lines
        .map(|(number, line)| (number + 1, line.trim().to_owned()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .collect())
}

/// Reads lines of `user:hash`.
///
/// # Errors
/// When the file cannot be read, or a line is refused. An ignored line would leave its user unable to log in without a
/// reason.
pub fn users(path: &Path) -> Result<BTreeMap<String, Hash>, PasswordFileError> {
    let mut users = BTreeMap::new();
    for (line, text) in read(path)? {
        let refuse = |reason: String| PasswordFileError::Line {
            path: path.to_path_buf(),
            line,
            reason,
        };
        let (user, hash) = text
            .split_once(':')
            .ok_or_else(|| refuse("is not \"user:hash\"".to_owned()))?;
        check_principal_name(user).map_err(|cause| refuse(cause.sentence))?;
        let hash = Hash::parse(hash).map_err(|reason| refuse(format!("user {user}: {reason}")))?;
        if users.insert(user.to_owned(), hash).is_some() {
            return Err(refuse(format!("user {user} appears twice")));
        }
    }
    Ok(users)
}

/// Reads lines of `group: user user`; returns the groups of each user.
///
/// # Errors
/// When the file cannot be read, or a line is refused.
pub fn groups(path: &Path) -> Result<BTreeMap<String, BTreeSet<String>>, PasswordFileError> {
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (line, text) in read(path)? {
        let refuse = |reason: String| PasswordFileError::Line {
            path: path.to_path_buf(),
            line,
            reason,
        };
        let (group, users) = text
            .split_once(':')
            .ok_or_else(|| refuse("is not \"group: user user\"".to_owned()))?;
        check_group_name(group).map_err(|cause| refuse(cause.sentence))?;
        for user in users.split_whitespace() {
            groups
                .entry(user.to_owned())
                .or_default()
                .insert(group.to_owned());
        }
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> bcrypt::HashParts {
        bcrypt::hash_with_salt("secret", 4, [7; 16]).unwrap()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn the_three_kinds_of_bcrypt_are_the_same() {
        let made = made();
        for kind in [
            bcrypt::Version::TwoA,
            bcrypt::Version::TwoB,
            bcrypt::Version::TwoY,
        ] {
            let hash = Hash::parse(&made.format_for_version(kind)).unwrap();
            assert!(hash.verify("secret"));
            assert!(!hash.verify("Secret") && !hash.verify(""));
        }
    }

    #[test]
    fn other_kinds_of_hashes_and_monstrous_ones_are_refused_with_line_and_user() {
        for (hash, why) in [
            (
                "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
                "not hashed with bcrypt or argon2id",
            ),
            ("$apr1$salt$hash", "not hashed with bcrypt or argon2id"),
            ("secret", "not hashed with bcrypt or argon2id"),
            (
                "$2x$04$Q5vVLtuZ1wuAW7Rr2zBmQ.Zn0c0mJtWcLyLJrLoXJJB6vEVtV7aK6",
                "not hashed",
            ),
            (
                "$2y$31$Q5vVLtuZ1wuAW7Rr2zBmQ.Zn0c0mJtWcLyLJrLoXJJB6vEVtV7aK6",
                "cost",
            ),
            ("$2y$04$short", "damaged"),
            (
                "$argon2id$v=19$m=4194304,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
                "more than",
            ),
            (
                "$argon2i$v=19$m=16,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
                "not hashed",
            ),
            ("$argon2id$v=19$m=16,t=3,p=1", "damaged"),
        ] {
            let file = file(&format!("# users\nalice:{}\n\nbob:{hash}\n", made()));
            let refused = users(file.path()).unwrap_err().to_string();
            assert!(
                refused.contains("line 4: user bob: ") && refused.contains(why),
                "{refused}"
            );
        }
    }

    #[test]
    fn names_of_others_and_doubles_are_refused() {
        for (line, why) in [
            ("anonymous", "reserved"),
            ("token:x", "not hashed"),
            ("a\u{200b}b", "control characters"),
            ("alice", "twice"),
        ] {
            let file = file(&format!("alice:{}\n{line}:{}\n", made(), made()));
            let refused = users(file.path()).unwrap_err().to_string();
            assert!(refused.contains("line 2: ") && refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn groups_list_their_users() {
        let file = file("ops: alice bob\ndev: alice\n");
        let groups = groups(file.path()).unwrap();
        let of = |user: &str| groups[user].iter().cloned().collect::<Vec<_>>();
        assert_eq!(of("alice"), ["dev", "ops"]);
        assert_eq!(of("bob"), ["ops"]);
    }
}
