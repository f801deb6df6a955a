//! Whom a rule is about.

use crate::identity::ANONYMOUS;

const EVERYBODY: &str = "*";
const GROUP: &str = "group:";

/// One entry of `principals` or `unless`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    /// `*`: everybody with an identity.
    Identified,
    /// `anonymous`: whoever has none.
    Anonymous,
    /// `group:NAME`: everybody in a group.
    Group(String),
    /// A principal.
    Name(String),
}

impl Subject {
    /// Reads an entry. Names are whole: a star within one would look like a pattern and be none.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            EVERYBODY => return Ok(Self::Identified),
            ANONYMOUS => return Ok(Self::Anonymous),
            _ => {}
        }
        if text.contains('*') || text.trim() != text || text == GROUP {
            return Err("a whole name, group:<name>, * for everybody with an identity, or anonymous".into());
        }
        Ok(match text.strip_prefix(GROUP) {
            Some(group) => Self::Group(group.to_owned()),
            None => Self::Name(text.to_owned()),
        })
    }

    /// Whether this is somebody: `principal` is nothing for who has no identity.
    pub(super) fn is(&self, principal: Option<&str>, groups: &[String]) -> bool {
        match (self, principal) {
            (Self::Identified, Some(_)) | (Self::Anonymous, None) => true,
            (Self::Group(group), Some(_)) => groups.contains(group),
            (Self::Name(name), Some(principal)) => name == principal,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anonymous_is_nobody_else_and_nobody_else_is_anonymous() {
        let is = |subject: &str, principal| Subject::parse(subject).unwrap().is(principal, &["ci".into()]);
        assert!(is("*", Some("alice")) && !is("*", None));
        assert!(is("anonymous", None) && !is("anonymous", Some("anonymous")));
        assert!(is("group:ci", Some("alice")) && !is("group:ci", None) && !is("group:ops", Some("alice")));
        assert!(is("alice", Some("alice")) && !is("alice", Some("Alice")) && !is("ci", Some("alice")));
    }

    #[test]
    fn what_looks_like_a_pattern_is_refused() {
        for wrong in ["ci:*", "**", "group:*", "group:", " alice", ""] {
            assert!(Subject::parse(wrong).is_err() || wrong.is_empty(), "{wrong}");
        }
    }
}
