//! Writes a policy file.

use serde_json::Value;

use super::{ImportError, Imported};
use crate::pattern::Pattern;
use crate::reference::ImageReference;

/// A policy in the making.
#[derive(Debug, Default)]
pub(super) struct Draft {
    origin: &'static str,
    pub(super) audit: bool,
    pub(super) anchors: Vec<(String, String)>,
    pub(super) signers: Vec<(String, String)>,
    pub(super) teams: Vec<String>,
    /// Pattern, and the rest of the rule.
    rules: Vec<(Pattern, String)>,
    pub(super) notes: Vec<String>,
}

/// A text as YAML reads it without surprises: JSON's strings are YAML's.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A list of texts.
pub(super) fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts: Vec<String> = texts.into_iter().map(quoted).collect();
    format!("[{}]", texts.join(", "))
}

impl Draft {
    /// An empty one, from a configuration of this name.
    pub(super) fn of(origin: &'static str) -> Self {
        Self {
            origin,
            ..Self::default()
        }
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Adds a rule. One whose pattern can match nothing, or what another rule matches already, is told instead.
    pub(super) fn rule(&mut self, pattern: &str, rest: String) {
        let parsed = match Pattern::parse(pattern) {
            Ok(parsed) => parsed,
            Err(cause) => return self.note(format!("left out, so that its images are denied: {cause}")),
        };
        if self.rules.iter().any(|(other, _)| other.is_same(&parsed)) {
            return self.note(format!(
                "{pattern} is there several times; the first is kept, which is the stricter one"
            ));
        }
        self.rules.push((parsed, rest));
    }

    /// The completed form of a repository's name or of a pattern of some.
    pub(super) fn completed(text: &str) -> String {
        if text.contains('*') {
            return text.to_owned();
        }
        ImageReference::parse(text).map_or_else(|_| text.to_owned(), |image| image.name().to_owned())
    }

    pub(super) fn finish(self) -> Imported {
        let mut text = format!(
            "# From {}. Check it with `countersign policy check`.\nversion: 1\n",
            self.origin
        );
        let mode = if self.audit { "audit" } else { "enforce" };
        text.push_str(&format!("defaults: {{ action: deny, mode: {mode} }}\n"));
        let mut section = |name: &str, entries: Vec<String>| {
            if !entries.is_empty() {
                text.push_str(&format!("{name}:\n{}\n", entries.join("\n")));
            }
        };
        let named = |(name, value): &(String, String)| format!("  {}: {value}", quoted(name));
        section("anchors", self.anchors.iter().map(named).collect());
        section("signers", self.signers.iter().map(named).collect());
        let team = |name: &String| format!("  {}: [\"FILL IN: the names of its signers\"]", quoted(name));
        section("teams", self.teams.iter().map(team).collect());
        let rule = |(pattern, rest): &(Pattern, String)| {
            format!("  - {{ match: {}, {rest} }}", quoted(pattern.as_str()))
        };
        section("rules", self.rules.iter().map(rule).collect());
        Imported {
            policy: text,
            notes: self.notes,
        }
    }
}

/// The members of a JSON object.
pub(super) fn members<'a>(
    value: &'a Value,
    place: &str,
) -> Result<&'a serde_json::Map<String, Value>, ImportError> {
    value
        .as_object()
        .ok_or_else(|| ImportError::kind(place, "an object"))
}

/// A list of texts.
pub(super) fn texts<'a>(value: &'a Value, place: &str) -> Result<Vec<&'a str>, ImportError> {
    let wrong = || ImportError::kind(place, "a list of texts");
    let elements = value.as_array().ok_or_else(wrong)?;
    elements
        .iter()
        .map(|element| element.as_str().ok_or_else(wrong))
        .collect()
}

pub(super) fn flag(value: &Value, place: &str) -> Result<bool, ImportError> {
    value
        .as_bool()
        .ok_or_else(|| ImportError::kind(place, "true or false"))
}

pub(super) fn json(text: &str) -> Result<Value, ImportError> {
    serde_json::from_str(text).map_err(|cause| ImportError::Syntax {
        format: "JSON",
        cause: cause.to_string(),
    })
}

/// Tells of members that are not carried over.
pub(super) fn note_others(
    draft: &mut Draft,
    section: &str,
    names: impl Iterator<Item = String>,
    known: &[&str],
) {
    for name in names.filter(|name| !known.contains(&name.as_str())) {
        draft.note(format!("{section}.{name} is not known, and was not carried over"));
    }
}
