//! The principals that a rule applies to.

use crate::identity::ANONYMOUS;

const EVERYBODY: &str = "*";
const GROUP: &str = "group:";
/// An entry with at most so many wrong letters is taken for a misspelt word.
const MISSPELT: usize = 2;

/// One entry of `principals` or `unless`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    /// `*`: every client with an identity.
    Identified,
    /// `anonymous`: a client without an identity.
    Anonymous,
    /// `group:NAME`: every member of a group.
    Group(String),
    /// The principal with this name.
    Name(String),
}

impl Subject {
    /// Reads an entry. Names are compared as a whole, so a star is refused: it would look like a pattern but not work
    /// as one.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            EVERYBODY => return Ok(Self::Identified),
            ANONYMOUS => return Ok(Self::Anonymous),
            _ => {}
        }
        if text.contains('*') || text.trim() != text || text == GROUP {
            return Err("a whole name, group:<name>, * for everybody with an identity, or anonymous".into());
        }
        if let Some(meant) = misspelt(text) {
            return Err(format!("no such entry; did you mean {meant}?"));
        }
        Ok(match text.strip_prefix(GROUP) {
            Some(group) => Self::Group(group.to_owned()),
            None => Self::Name(text.to_owned()),
        })
    }

    /// Whether the entry covers this principal; `principal` is `None` for an anonymous client.
    pub(super) fn is(&self, principal: Option<&str>, groups: &[String]) -> bool {
        match (self, principal) {
            (Self::Identified, Some(_)) | (Self::Anonymous, None) => true,
            (Self::Group(group), Some(_)) => groups.contains(group),
            (Self::Name(name), Some(principal)) => name == principal,
            _ => false,
        }
    }
}

/// What an entry was probably meant to be. As the name of a principal, a misspelt `group:` or `anonymous` would apply to
/// nobody, and a rule that denies would deny nothing.
fn misspelt(text: &str) -> Option<String> {
    let near = |written: &str, word: &str| {
        let written = written.to_lowercase();
        strsim::damerau_levenshtein(&written, word) <= MISSPELT
    };
    if let Some((word, rest)) = text.split_once(':')
        && !text.starts_with(GROUP)
        && near(word, GROUP.trim_end_matches(':'))
    {
        return Some(format!("{GROUP}{rest}"));
    }
    near(text, ANONYMOUS).then(|| ANONYMOUS.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_words_are_refused_and_names_that_only_resemble_them_are_not() {
        for (wrong, meant) in [
            ("gruop:ci", "group:ci"),
            ("Group:ci", "group:ci"),
            ("groups:ci", "group:ci"),
            ("grp:ci", "group:ci"),
            ("anonymus", "anonymous"),
            ("Anonymous", "anonymous"),
        ] {
            let refused = Subject::parse(wrong).unwrap_err();
            assert!(refused.contains(&format!("did you mean {meant}?")), "{refused}");
        }
        for name in [
            "group",
            "user:alice",
            "token:bob",
            "system:group:x",
            "spiffe://a/b",
            "grouper",
            "synonym",
        ] {
            assert_eq!(Subject::parse(name), Ok(Subject::Name(name.to_owned())));
        }
    }

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
