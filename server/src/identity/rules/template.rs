//! Templates for names composed of parts of a certificate, such as `ci:${sa}`.

use crate::identity::facts::{CertificateFacts, Field};

use super::{outcome::NotIdentified, pattern::Captures};

/// A template: text with references in it.
#[derive(Debug, Clone)]
pub(super) struct Template(Vec<Part>);

/// A piece of a template.
#[derive(Debug, Clone)]
pub(super) enum Part {
    /// What stands for itself.
    Literal(String),
    /// What a capture group of the rule's patterns matched.
    Capture(String),
    /// The only value of a field.
    Value(Field),
}

impl Template {
    /// Reads a template; a reference names one of `captures`, or else a field.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str, captures: &[&str]) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after
                .split_once('}')
                .ok_or("${ has no closing brace: write ${name}")?;
            if !before.is_empty() {
                parts.push(Part::Literal(before.to_owned()));
            }
            parts.push(reference(name, captures)?);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// Its pieces.
    pub(super) fn parts(&self) -> &[Part] {
        &self.0
    }

    pub(super) fn fill(
        &self,
        facts: &CertificateFacts,
        captures: &Captures,
    ) -> Result<String, NotIdentified> {
        let parts = self.0.iter().map(|part| match part {
            Part::Literal(text) => Ok(text.clone()),
            Part::Capture(name) => captures.get(name).cloned().ok_or_else(|| {
                NotIdentified::ambiguous(format!("the certificate has nothing for ${{{name}}}"))
            }),
            Part::Value(field) => only(facts, field),
        });
        parts.collect()
    }
}

fn reference(name: &str, captures: &[&str]) -> Result<Part, String> {
    if captures.contains(&name) {
        return Ok(Part::Capture(name.to_owned()));
    }
    Field::parse(name).map(Part::Value).ok_or_else(|| {
        let fields = Field::names().join(", ");
        match captures {
            [] => format!("unknown ${{{name}}}; the patterns have no named groups, the fields are {fields}"),
            _ => format!(
                "unknown ${{{name}}}; the patterns' groups are {}, the fields {fields}",
                captures.join(", ")
            ),
        }
    })
}

fn only(facts: &CertificateFacts, field: &Field) -> Result<String, NotIdentified> {
    match facts.values(field) {
        [Ok(value)] => Ok(value.clone()),
        [Err(why)] => Err(NotIdentified::ambiguous(format!(
            "the certificate's {field} {why}"
        ))),
        [] => Err(NotIdentified::ambiguous(format!(
            "the certificate has no {field}, from which its name is taken"
        ))),
        several => Err(NotIdentified::ambiguous(format!(
            "the certificate has {} values of {field}, so its holder is ambiguous",
            several.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_that_nothing_can_fill_are_refused_at_once() {
        assert!(Template::parse("ci:${sa}-${cn}$", &["sa"]).is_ok());
        for wrong in ["${sa", "${}", "${nobody}"] {
            assert!(Template::parse(wrong, &["sa"]).is_err(), "{wrong}");
        }
    }
}
