//! Patterns of image names, and which of two is more specific.

use std::cmp::Reverse;
use std::fmt;

use thiserror::Error;

use crate::reference::matched_name;

/// A pattern of completed image names: `*` stands for any characters but a slash, `**` for any characters at all, each also
/// for none. Everything else stands for itself; hosts are compared in lower case and without the default port.
#[derive(Debug, Clone)]
pub struct Pattern {
    written: String,
    steps: Vec<Step>,
}

/// The text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatternError {
    /// It is empty.
    #[error("a pattern must not be empty; \"**\" matches every image")]
    Empty,
    /// Its first part can be no host.
    #[error(
        "{0:?} matches no image, because names begin with the host of their registry: Docker's are docker.io/NAME, and a \
         host has a dot, a colon, or is localhost"
    )]
    NoHost(String),
    /// It is that of a short name.
    #[error("{0:?} matches no image, because the completed name is docker.io/library/NAME")]
    ShortName(String),
    /// Its slashes are not those of a name.
    #[error("{0:?} matches no image, because names have no empty components")]
    EmptyComponent(String),
    /// It is that of a tag.
    #[error("{0:?} matches no image, because a pattern is one of names: leave the tag out")]
    Tag(String),
    /// It has a character that no name has.
    #[error("{0:?} matches no image, because of the character {1:?}")]
    Character(String, char),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Byte(u8),
    AnyButSlash,
    Any,
}

/// How specific a pattern is; the greater one wins. First counts how much of a name is fixed from its beginning on,
/// because that is what names of registries and organisations are given out by; then how much is fixed at all; then that
/// fewer `**`, and then that fewer `*` are in it.
pub(crate) type Specificity = (usize, usize, Reverse<usize>, Reverse<usize>);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// For texts that could match no image: see [`PatternError`].
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        let in_names = |c: char| c.is_ascii_alphanumeric() || "._-/:[]*".contains(c);
        if let Some(bad) = text.chars().find(|&c| !in_names(c)) {
            return Err(PatternError::Character(text.to_owned(), bad));
        }
        let normal = matched_name(text);
        let (host, path) = match normal.split_once('/') {
            Some((host, path)) => (host, Some(path)),
            None => (normal.as_str(), None),
        };
        let is_host = host.contains(['.', ':', '*']) || host == "localhost";
        if !is_host || path.is_none() && !host.contains("**") {
            return Err(PatternError::NoHost(text.to_owned()));
        }
        if let Some(path) = path {
            if path.split('/').any(str::is_empty) {
                return Err(PatternError::EmptyComponent(text.to_owned()));
            }
            if path.contains(':') {
                return Err(PatternError::Tag(text.to_owned()));
            }
            if host == "docker.io" && !path.contains('/') && !path.contains("**") {
                return Err(PatternError::ShortName(text.to_owned()));
            }
            let in_paths = |c: &char| !c.is_ascii_uppercase() && *c != '[' && *c != ']';
            if let Some(bad) = path.chars().find(|c| !in_paths(c)) {
                return Err(PatternError::Character(text.to_owned(), bad));
            }
        }
        Ok(Self {
            written: text.to_owned(),
            steps: steps(&normal),
        })
    }

    /// `**`, which matches every image.
    pub fn everything() -> Self {
        Self {
            written: "**".to_owned(),
            steps: vec![Step::Any],
        }
    }

    /// Whether it matches a name in the form that [`matched_name`] gives.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let symbols: Vec<Step> = name.bytes().map(Step::Byte).collect();
        reaches_end(&self.steps, &symbols)
    }

    /// Whether it certainly matches every name that another pattern matches. It may say no although it does.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        reaches_end(&self.steps, &other.steps)
    }

    /// Whether both match the same names because they are written alike.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.steps == other.steps
    }

    pub(crate) fn specificity(&self) -> Specificity {
        let is_literal = |step: &&Step| matches!(step, Step::Byte(_));
        let count = |wanted: Step| self.steps.iter().filter(|&&step| step == wanted).count();
        (
            self.steps.iter().take_while(is_literal).count(),
            self.steps.iter().filter(is_literal).count(),
            Reverse(count(Step::Any)),
            Reverse(count(Step::AnyButSlash)),
        )
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.written
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// Whether a text matches a pattern in which `*` stands for any characters: names of Kubernetes namespaces.
pub(crate) fn wildcard(pattern: &str, text: &str) -> bool {
    let pattern: Vec<Step> = pattern
        .bytes()
        .map(|b| if b == b'*' { Step::Any } else { Step::Byte(b) })
        .collect();
    let symbols: Vec<Step> = text.bytes().map(Step::Byte).collect();
    reaches_end(&pattern, &symbols)
}

/// Two stars or more are one `**`.
fn steps(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        steps.push(match byte {
            b'*' if bytes.peek() == Some(&b'*') => {
                while bytes.next_if_eq(&b'*').is_some() {}
                Step::Any
            }
            b'*' => Step::AnyButSlash,
            byte => Step::Byte(byte),
        });
    }
    steps
}

/// Whether the steps of a pattern take in all symbols. A symbol that is itself a star must be taken in by one that stands for
/// at least as much.
fn reaches_end(steps: &[Step], symbols: &[Step]) -> bool {
    let takes = |step: Step, symbol: Step| match (step, symbol) {
        (Step::Any, _) | (Step::AnyButSlash, Step::AnyButSlash) => true,
        (Step::AnyButSlash, Step::Byte(byte)) => byte != b'/',
        (Step::Byte(expected), Step::Byte(byte)) => expected == byte,
        _ => false,
    };
    let enter = |places: &mut Vec<bool>| {
        for (place, step) in steps.iter().enumerate() {
            if places.get(place) == Some(&true)
                && !matches!(step, Step::Byte(_))
                && let Some(after) = places.get_mut(place + 1)
            {
                *after = true;
            }
        }
    };
    let mut places = vec![false; steps.len() + 1];
    if let Some(first) = places.first_mut() {
        *first = true;
    }
    enter(&mut places);
    for symbol in symbols {
        let mut next = vec![false; steps.len() + 1];
        for (place, step) in steps.iter().enumerate() {
            if places.get(place) != Some(&true) || !takes(*step, *symbol) {
                continue;
            }
            // A star stays where it is, so that it can take in more.
            let to = if matches!(step, Step::Byte(_)) {
                place + 1
            } else {
                place
            };
            if let Some(reached) = next.get_mut(to) {
                *reached = true;
            }
        }
        enter(&mut next);
        places = next;
    }
    places.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap_or_else(|reason| panic!("{text}: {reason}"))
    }

    #[test]
    fn one_star_stays_within_a_component_and_two_do_not() {
        for (text, name, matches) in [
            ("reg.example/*", "reg.example/a", true),
            ("reg.example/*", "reg.example/a/b", false),
            ("reg.example/**", "reg.example/a/b", true),
            ("reg.example/**", "reg.example", false),
            ("reg.example/**/b", "reg.example/a/c/b", true),
            ("reg.example/a*c", "reg.example/abc", true),
            ("reg.example/a*c", "reg.example/ac", true),
            ("reg.example/a*c", "reg.example/a/c", false),
            ("**", "anything.at/all", true),
            ("REG.example:443/a", "reg.example/a", true),
            ("*.example/a", "x.example/a", true),
            ("*.example/a", "evil.host/x.example/a", false),
        ] {
            assert_eq!(pattern(text).matches(name), matches, "{text} {name}");
        }
    }

    #[test]
    fn patterns_that_match_nothing_are_refused() {
        for text in [
            "",
            "acme/app",
            "reg.example",
            "reg.example/",
            "docker.io/alpine",
            "reg.example/A",
            "a b/**",
            "alpine",
            "reg.example//a",
            "reg.example/a/",
            "reg.example/a:v1",
            "reg.example/[a]",
        ] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_fixed_from_the_beginning_on_wins() {
        let order = [
            "**",
            "**/a-very-long-end",
            "reg.example/**",
            "reg.example/*",
            "reg.example/**/app",
            "reg.example/prod/**",
            "reg.example/prod/app",
        ];
        for two in order.windows(2) {
            assert!(
                pattern(two[0]).specificity() < pattern(two[1]).specificity(),
                "{two:?}"
            );
        }
        assert_eq!(pattern("r.x/*a").specificity(), pattern("r.x/*b").specificity());
    }

    #[test]
    fn a_scope_covers_what_it_certainly_matches() {
        for (scope, other, covered) in [
            ("lab.example/**", "lab.example/a/*", true),
            ("lab.example/**", "lab.example/**", true),
            ("lab.example/*", "lab.example/**", false),
            ("lab.example/*", "lab.example/a*", true),
            ("lab.example/**", "**", false),
            ("lab.example/a", "lab.example/*", false),
            ("**", "lab.example/a", true),
        ] {
            assert_eq!(pattern(scope).covers(&pattern(other)), covered, "{scope} {other}");
        }
    }

    #[test]
    fn namespaces_match_as_a_whole() {
        assert!(wildcard("team-*", "team-a") && wildcard("kube-system", "kube-system"));
        assert!(!wildcard("kube-system", "kube-system2") && !wildcard("team-*", "my-team-a"));
    }
}
