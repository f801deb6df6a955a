//! The paths that a role is delegated, and how clients read them.
//!
//! tough's wildcards also match `/`, those of python-tuf and tuf-js do not; tuf-js's match no leading dot; one `?` is a
//! byte, a character, or a unit of UTF-16. A pattern may stand in a repository as long as all of them agree about every
//! target in it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::fields::{Fields, is_lower_hex, path_problem};
use crate::refusal::Refusal;

/// What has a meaning of its own in a pattern to one client and not to another.
const SPECIAL: [char; 6] = ['[', ']', '{', '}', '(', ')'];

/// The paths of a delegation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Paths {
    /// Paths in full, and patterns of paths.
    Named(BTreeSet<String>, Vec<Pattern>),
    /// Beginnings of the SHA-256 of a path, in hexadecimal.
    HashPrefixes(BTreeSet<String>),
}

/// A target, and the SHA-256 of its path in hexadecimal.
pub(crate) struct Hashed<'a> {
    pub(crate) path: &'a str,
    sha256: String,
}

/// A path, or a pattern of paths with `*` and `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: String,
    /// What stands before the first wildcard.
    literal: usize,
}

/// Whether clients agree that a pattern covers a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Covers {
    Yes,
    No,
    Differently,
}

impl<'a> Hashed<'a> {
    pub(crate) fn new(path: &'a str) -> Self {
        let sha256 = hex::encode(openssl::sha::sha256(path.as_bytes()));
        Self { path, sha256 }
    }
}

impl Paths {
    pub(crate) fn read(fields: &Fields<'_>) -> Result<Self, Refusal> {
        match (fields.get("paths"), fields.get("path_hash_prefixes")) {
            (Some(_), None) => {
                let patterns = fields.array("paths")?.iter().map(Pattern::read);
                let patterns: Vec<Pattern> = patterns
                    .collect::<Result<_, _>>()
                    .map_err(|problem| fields.refuse("paths", problem))?;
                let (patterns, literal): (Vec<_>, Vec<_>) =
                    patterns.into_iter().partition(Pattern::has_wildcard);
                Ok(Self::Named(
                    literal.into_iter().map(|path| path.text).collect(),
                    patterns,
                ))
            }
            (None, Some(_)) => {
                let read = |value: &Value| match value.as_str() {
                    Some(text) if (1..=64).contains(&text.len()) && is_lower_hex(text) => {
                        Some(text.to_owned())
                    }
                    _ => None,
                };
                let prefixes: Option<_> = fields.array("path_hash_prefixes")?.iter().map(read).collect();
                prefixes.map(Self::HashPrefixes).ok_or_else(|| {
                    fields.refuse(
                        "path_hash_prefixes",
                        "each must be 1 to 64 lower case hexadecimal digits",
                    )
                })
            }
            _ => Err(fields.refuse("", "must have either paths or path_hash_prefixes")),
        }
    }

    /// Whether the role is trusted with a target, as every client reads it; the pattern that they read differently
    /// otherwise.
    pub(crate) fn covers(&self, target: &Hashed<'_>) -> Result<bool, &str> {
        match self {
            Self::Named(literal, patterns) => {
                let mut found = literal.contains(target.path);
                for pattern in patterns {
                    match pattern.covers(target.path) {
                        Covers::Yes => found = true,
                        Covers::No => {}
                        Covers::Differently => return Err(&pattern.text),
                    }
                }
                Ok(found)
            }
            Self::HashPrefixes(prefixes) => {
                let known = |length| {
                    target
                        .sha256
                        .get(..length)
                        .is_some_and(|prefix| prefixes.contains(prefix))
                };
                Ok((1..=64).any(known))
            }
        }
    }

    /// How many of the paths have wildcards.
    pub(crate) fn wildcards(&self) -> usize {
        match self {
            Self::Named(_, patterns) => patterns.len(),
            Self::HashPrefixes(_) => 0,
        }
    }
}

impl Pattern {
    fn read(value: &Value) -> Result<Self, String> {
        let text = value.as_str().ok_or("each must be a string")?;
        Self::parse(text).map_err(|problem| format!("the pattern {text:?} {problem}"))
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(problem) = path_problem(text) {
            return Err(problem.to_owned());
        }
        if let Some(special) = text.chars().find(|c| SPECIAL.contains(c)) {
            return Err(format!(
                "must not contain {special:?}, which clients read differently"
            ));
        }
        if text.contains("**") {
            return Err("must not contain **, which clients read differently".to_owned());
        }
        if text.split('/').any(|part| part.starts_with(['#', '!'])) {
            return Err(
                "must not have a part that begins with # or !, which clients read differently".to_owned(),
            );
        }
        Ok(Self {
            literal: text.find(['*', '?']).unwrap_or(text.len()),
            text: text.to_owned(),
        })
    }

    fn has_wildcard(&self) -> bool {
        self.literal < self.text.len()
    }

    pub(crate) fn covers(&self, target: &str) -> Covers {
        let literal = self.text.get(..self.literal).unwrap_or_default();
        if !target.starts_with(literal) {
            return Covers::No;
        }
        let everywhere = matches(
            self.text.as_bytes(),
            target.as_bytes(),
            u32::from(b'*'),
            u32::from(b'?'),
        );
        let by_part = by_parts(&self.text, target, |pattern, part| {
            let (pattern, part): (Vec<char>, Vec<char>) = (pattern.chars().collect(), part.chars().collect());
            matches(&pattern, &part, '*'.into(), '?'.into())
        });
        let script = by_parts(&self.text, target, |pattern, part| {
            let hidden = part.starts_with('.') && pattern.starts_with(['*', '?']);
            let (pattern, part): (Vec<u16>, Vec<u16>) =
                (pattern.encode_utf16().collect(), part.encode_utf16().collect());
            !hidden && matches(&pattern, &part, '*'.into(), '?'.into())
        });
        match (everywhere, by_part, script) {
            (true, true, true) => Covers::Yes,
            (false, false, false) => Covers::No,
            _ => Covers::Differently,
        }
    }
}

fn by_parts(pattern: &str, target: &str, part: impl Fn(&str, &str) -> bool) -> bool {
    let (mut patterns, mut parts) = (pattern.split('/'), target.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(name)) if part(pattern, name) => {}
            _ => return false,
        }
    }
}

/// Whether a text matches a pattern in which `any` stands for any number of units, and `one` for one.
fn matches<T: Copy + PartialEq + Into<u32>>(pattern: &[T], text: &[T], any: u32, one: u32) -> bool {
    let (mut at, mut read) = (0, 0);
    // Where the last `any` stands, and how much of the text it is taken to stand for.
    let mut retry: Option<(usize, usize)> = None;
    while let Some(&unit) = text.get(read) {
        match pattern.get(at) {
            Some(&p) if p.into() == any => {
                retry = Some((at, read));
                at += 1;
                continue;
            }
            Some(&p) if p.into() == one || p == unit => {
                at += 1;
                read += 1;
                continue;
            }
            _ => {}
        }
        let Some((star, from)) = retry else { return false };
        retry = Some((star, from + 1));
        at = star + 1;
        read = from + 1;
    }
    pattern
        .get(at..)
        .unwrap_or_default()
        .iter()
        .all(|&p| p.into() == any)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, target: &str) -> Covers {
        Pattern::parse(pattern).unwrap().covers(target)
    }

    #[test]
    fn clients_agree_about_most_targets() {
        for (pattern, target, expected) in [
            ("docs/*", "docs/a", Covers::Yes),
            ("docs/*", "docs/", Covers::Yes),
            ("docs/*", "docs", Covers::No),
            ("docs/*", "bin/a", Covers::No),
            ("*.tgz", "a.tgz", Covers::Yes),
            ("*.tgz", "a.tgz.sig", Covers::No),
            ("a*b*c", "aXbYbZc", Covers::Yes),
            ("a*b*c", "aXbYbZ", Covers::No),
            ("v?.txt", "v1.txt", Covers::Yes),
            ("v?.txt", "v.txt", Covers::No),
            ("*/a", "x/a", Covers::Yes),
            ("a/*/c", "a/b/c", Covers::Yes),
            (".*", ".hidden", Covers::Yes),
            ("*", "*", Covers::Yes),
        ] {
            assert_eq!(covers(pattern, target), expected, "{pattern} {target}");
        }
    }

    #[test]
    fn clients_differ_about_slashes_leading_dots_and_characters_of_several_bytes() {
        for (pattern, target) in [
            ("docs/*", "docs/a/b"),
            ("*", "a/b"),
            ("a?b", "a/b"),
            ("*/c", "a/b/c"),
            ("*", ".hidden"),
            ("docs/*", "docs/.hidden"),
            ("?", "é"),
            ("??", "é"),
            ("??", "\u{1f600}"),
        ] {
            assert_eq!(covers(pattern, target), Covers::Differently, "{pattern} {target}");
        }
    }

    #[test]
    fn our_reading_of_patterns_is_that_of_tough() {
        let targets = [
            "a", "a/b", "a/b/c", ".a", "a.b", "é", "aé", "ab", "a/.b", "*", "?",
        ];
        for text in [
            "a", "*", "?", "??", "a*", "*b", "a/*", "*/b", "a?b", "*.b", "a/?", "a*b*",
        ] {
            let theirs = tough::schema::PathPattern::new(text).unwrap();
            let theirs = tough::schema::PathSet::Paths(vec![theirs]);
            let pattern = Pattern::parse(text).unwrap();
            for target in targets {
                let name = tough::TargetName::new(target).unwrap();
                let delegations = delegations(&theirs);
                let found = delegations.target_is_delegated(&name);
                let ours = pattern.covers(target);
                assert!(
                    matches!(
                        (ours, found),
                        (Covers::Yes, true) | (Covers::No, false) | (Covers::Differently, _)
                    ),
                    "{text} {target} {ours:?}"
                );
            }
        }
    }

    fn delegations(paths: &tough::schema::PathSet) -> tough::schema::Delegations {
        let mut delegations = tough::schema::Delegations::new();
        delegations.roles.push(tough::schema::DelegatedRole {
            name: "role".to_owned(),
            keyids: Vec::new(),
            threshold: std::num::NonZeroU64::MIN,
            paths: paths.clone(),
            terminating: false,
            targets: None,
        });
        delegations
    }

    #[test]
    fn hash_prefixes_of_one_digit_cover_everything() {
        let all = Paths::HashPrefixes((0..16).map(|digit| format!("{digit:x}")).collect());
        for path in ["a", "docs/b", ".c", "é"] {
            assert_eq!(all.covers(&Hashed::new(path)), Ok(true));
        }
        let hash = hex::encode(openssl::sha::sha256(b"a"));
        let one = Paths::HashPrefixes(BTreeSet::from([hash[..3].to_owned()]));
        assert_eq!(one.covers(&Hashed::new("a")), Ok(true));
        assert_eq!(one.covers(&Hashed::new("b")), Ok(false));
    }
}
