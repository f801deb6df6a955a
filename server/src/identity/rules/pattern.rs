//! A field and the pattern that one of its values must match completely.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};

use crate::identity::facts::{CertificateFacts, Fact, Field};

use super::outcome::NotIdentified;

/// The largest compiled pattern, in bytes.
const SIZE_LIMIT: usize = 1 << 20;

/// What the named capture groups of a rule's patterns matched.
pub(super) type Captures = BTreeMap<String, String>;

/// A field with its pattern.
#[derive(Debug, Clone)]
pub(super) struct FieldPattern {
    pub(super) field: Field,
    written: String,
    pattern: Regex,
    /// Whether a certificate with several values is refused even if only one of them matches.
    single: bool,
}

/// What a pattern finds in a certificate.
pub(super) enum Found {
    /// No value matches; the text lists the values.
    No(String),
    /// A value matches, with these captures.
    Yes(Captures),
    /// A value matches or may match, but is ambiguous.
    Unclear(NotIdentified),
}

impl FieldPattern {
    /// Compiles a pattern. It is always anchored at both ends; matching takes linear time. With `single`, a
    /// certificate may have only one value of the field; a common name must always be the only one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(field: Field, written: &str, single: bool) -> Result<Self, String> {
        let compile = |pattern: &str| {
            RegexBuilder::new(pattern)
                .size_limit(SIZE_LIMIT)
                .build()
                .map_err(|cause| cause.to_string())
        };
        // Compiled without the anchors first: "a)|(?:b" is not a valid pattern, but inside a group it would be one
        // that escapes the anchors.
        compile(written)?;
        let pattern = compile(&format!(r"\A(?:{written})\z"))?;
        let single = single || field == Field::CommonName;
        Ok(Self {
            field,
            written: written.to_owned(),
            pattern,
            single,
        })
    }

    /// The pattern as it was written.
    pub(super) fn written(&self) -> &str {
        &self.written
    }

    /// Whether it matches a text as a whole.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.pattern.is_match(text)
    }

    /// The names of its capture groups.
    pub(super) fn groups(&self) -> impl Iterator<Item = &str> {
        self.pattern.capture_names().flatten()
    }

    pub(super) fn find(&self, facts: &CertificateFacts) -> Found {
        let Self { field, written, .. } = self;
        let values = facts.values(field);
        if values.is_empty() {
            return Found::No(format!("the certificate has no {field}"));
        }
        if self.single && values.len() > 1 {
            let count = values.len();
            return Found::Unclear(NotIdentified::ambiguous(format!(
                "the certificate has {count} values of {field}, so its holder is ambiguous"
            )));
        }
        let mut found: Vec<Captures> = Vec::new();
        for value in values {
            match value {
                Err(why) => {
                    return Found::Unclear(NotIdentified::ambiguous(format!(
                        "the certificate's {field} {why}"
                    )));
                }
                Ok(text) => found.extend(self.captures(text).filter(|new| !found.contains(new))),
            }
        }
        match (found.pop(), found.is_empty()) {
            (None, _) => Found::No(format!("{field} is {} and must match {written}", shown(values))),
            (Some(captures), true) => Found::Yes(captures),
            (Some(_), false) => Found::Unclear(NotIdentified::ambiguous(format!(
                "several values of {field} match, so the certificate's holder is ambiguous"
            ))),
        }
    }

    fn captures(&self, text: &str) -> Option<Captures> {
        let found = self.pattern.captures(text)?;
        let captures = self
            .groups()
            .filter_map(|name| Some((name.to_owned(), found.name(name)?.as_str().to_owned())));
        Some(captures.collect())
    }
}

fn shown(values: &[Fact]) -> String {
    let values = values.iter().flatten().map(|value| format!("{value:?}"));
    values.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_values_and_nothing_gets_out_of_the_anchors() {
        let pattern = |written| FieldPattern::new(Field::Uri, written, false);
        let ab = pattern("a|ab").unwrap();
        assert!(ab.captures("ab").is_some() && ab.captures("abc").is_none() && ab.captures("a\n").is_none());
        let lines = pattern("(?m)^a$").unwrap();
        assert!(lines.captures("a").is_some() && lines.captures("a\nb").is_none());
        for wrong in ["a)|(?:b", "(", "(?x)a # b", r"\w{1000}{1000}"] {
            assert!(pattern(wrong).is_err(), "{wrong}");
        }
    }
}
