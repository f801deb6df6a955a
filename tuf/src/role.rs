//! The names of roles: the four base roles and delegations.

use std::cmp::Ordering;
use std::fmt;

use thiserror::Error;

/// Longest role name, in bytes: the width of the storage column.
const MAX_BYTES: usize = 255;

/// The name of a role.
///
/// The order of role names is the order in which documents are validated and stored: root, targets and
/// delegations (parents first, then by bytes), snapshot, timestamp.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RoleName {
    /// The role that names the keys of the base roles.
    Root,
    /// The top of the tree of targets.
    Targets,
    /// The role that names the version of everything but itself and the timestamp.
    Snapshot,
    /// The role that names the current snapshot.
    Timestamp,
    /// A role below `targets`.
    Delegation(DelegationName),
}

/// The full name of a delegation, such as `targets/releases`.
///
/// Lower case letters, digits, `-` and `_` in one or more segments below `targets/`, at most 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DelegationName(String);

/// The text is not the name of a role.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a role name")]
pub struct RoleNameError(pub String);

impl RoleName {
    /// The base roles, in the order in which a root document is checked for them.
    pub const BASE: [Self; 4] = [Self::Root, Self::Targets, Self::Snapshot, Self::Timestamp];

    /// Reads a role name, strictly.
    ///
    /// # Errors
    ///
    /// Refuses everything that is neither a base role nor a valid [`DelegationName`].
    pub fn parse(text: &str) -> Result<Self, RoleNameError> {
        match text {
            "root" => Ok(Self::Root),
            "targets" => Ok(Self::Targets),
            "snapshot" => Ok(Self::Snapshot),
            "timestamp" => Ok(Self::Timestamp),
            _ => DelegationName::parse(text).map(Self::Delegation),
        }
    }

    /// The name as written in metadata and addresses.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Snapshot => "snapshot",
            Self::Timestamp => "timestamp",
            Self::Delegation(name) => name.as_str(),
        }
    }

    /// Whether documents of this role list targets: `targets` itself and every delegation.
    pub fn is_targets_type(&self) -> bool {
        matches!(self, Self::Targets | Self::Delegation(_))
    }

    /// The role that delegates to this one; `None` for the base roles.
    pub fn parent(&self) -> Option<Self> {
        match self {
            Self::Delegation(name) => Some(name.parent()),
            _ => None,
        }
    }

    /// Every role above a delegation, from `targets` downwards; empty for the base roles.
    pub fn ancestors(&self) -> Vec<Self> {
        let mut line: Vec<Self> = std::iter::successors(self.parent(), Self::parent).collect();
        line.reverse();
        line
    }

    fn rank(&self) -> (u8, usize) {
        match self {
            Self::Root => (0, 0),
            Self::Targets => (1, 0),
            Self::Delegation(name) => (1, name.depth()),
            Self::Snapshot => (2, 0),
            Self::Timestamp => (3, 0),
        }
    }
}

impl DelegationName {
    /// Reads the full name of a delegation.
    ///
    /// # Errors
    ///
    /// Refuses names that do not start with `targets/`, with empty segments, with other characters than
    /// `a-z 0-9 - _ /`, or of more than 255 bytes.
    pub fn parse(text: &str) -> Result<Self, RoleNameError> {
        let segment = |s: &str| {
            !s.is_empty()
                && s.bytes()
                    .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
        };
        let valid = text.len() <= MAX_BYTES
            && text
                .strip_prefix("targets/")
                .is_some_and(|below| below.split('/').all(segment));
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(RoleNameError(text.to_owned()))
        }
    }

    /// The full name, starting with `targets/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The role that delegates to this one.
    pub fn parent(&self) -> RoleName {
        match self.0.rsplit_once('/') {
            Some((parent, _)) if parent != "targets" => RoleName::Delegation(Self(parent.to_owned())),
            _ => RoleName::Targets,
        }
    }

    /// How many levels below `targets`, at least 1.
    fn depth(&self) -> usize {
        self.0.matches('/').count()
    }
}

impl Ord for RoleName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank()
            .cmp(&other.rank())
            .then_with(|| self.as_str().cmp(other.as_str()))
    }
}

impl PartialOrd for RoleName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for DelegationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(text: &str) -> RoleName {
        RoleName::parse(text).unwrap()
    }

    #[test]
    fn valid_names_print_as_they_were_read() {
        for text in [
            "root",
            "targets",
            "snapshot",
            "timestamp",
            "targets/a",
            "targets/a-b_0/c",
        ] {
            assert_eq!(role(text).to_string(), text);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let long = format!("targets/{}", "a".repeat(248));
        for text in [
            "",
            "Root",
            "targets/",
            "targets/a/",
            "targets//a",
            "targets/A",
            "targets/a.b",
            "targets/a b",
            "targets/*",
            "targets/..",
            "x/targets",
            "../targets",
            "targets.json",
            "targets/\u{e9}",
            &long,
        ] {
            assert_eq!(
                RoleName::parse(text),
                Err(RoleNameError(text.to_owned())),
                "{text}"
            );
        }
        assert!(RoleName::parse(&long[..255]).is_ok());
    }

    #[test]
    fn parents_lead_up_to_targets() {
        assert_eq!(role("targets/a/b").parent(), Some(role("targets/a")));
        assert_eq!(role("targets/a").parent(), Some(RoleName::Targets));
        assert_eq!(RoleName::Targets.parent(), None);
        assert_eq!(
            role("targets/a/b").ancestors(),
            [RoleName::Targets, role("targets/a")]
        );
        assert!(RoleName::Snapshot.ancestors().is_empty());
    }

    #[test]
    fn order_is_root_then_targets_by_depth_and_bytes_then_snapshot_then_timestamp() {
        let sorted = [
            "root",
            "targets",
            "targets/a",
            "targets/b",
            "targets/a/z",
            "targets/b/a",
            "snapshot",
            "timestamp",
        ]
        .map(role);
        let mut shuffled = sorted.clone();
        shuffled.reverse();
        shuffled.sort();
        assert_eq!(shuffled, sorted);
    }
}
