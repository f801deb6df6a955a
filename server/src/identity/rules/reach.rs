//! Finds identity rules that provably decide about no certificate, and names and groups that no rule can produce.

use crate::identity::facts::Field;

use super::{
    IdentityRules,
    name::Transform,
    pattern::FieldPattern,
    rule::{Naming, Rule},
    template::{Part, Template},
};

/// Patterns that match every value.
const EVERYTHING: [&str; 3] = [".*", "^.*$", "(.*)"];
/// Fields without which there is no subject.
const OF_SUBJECTS: [Field; 6] = [
    Field::CommonName,
    Field::Subject,
    Field::Organisation,
    Field::Unit,
    Field::DomainComponent,
    Field::UserId,
];

impl IdentityRules {
    /// Rules that decide about no certificate: they ask for what no field is like, or an earlier one decides about all
    /// of theirs; a sentence each.
    pub fn unreachable(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (place, rule) in self.rules.iter().enumerate() {
            found.extend(rule.patterns.iter().filter_map(|pattern| {
                let form = never(pattern)?;
                let (name, field, written) = (&rule.name, &pattern.field, pattern.written());
                Some(format!(
                    "identity rule {name}: {written:?} matches no {field}: {form}"
                ))
            }));
            let earlier = self
                .rules
                .iter()
                .take(place)
                .find(|earlier| earlier.decides_for(rule));
            if let Some(earlier) = earlier {
                found.push(format!(
                    "identity rule {}: it is never reached, because the rule {} before it matches every certificate that this one matches",
                    rule.name, earlier.name
                ));
            }
        }
        found
    }

    /// Whether some certificate may give a principal this name.
    pub fn may_name(&self, name: &str) -> bool {
        self.rules.iter().any(|rule| match &rule.principal {
            Naming::Account => true,
            Naming::Template(template) => rule.may_fill(template, name),
        })
    }

    /// Whether some certificate may put its holder into this group.
    pub fn may_group(&self, group: &str) -> bool {
        self.rules.iter().any(|rule| {
            matches!(rule.principal, Naming::Account)
                || rule.groups_from.iter().any(|field| rule.may_be(field, group))
                || rule.groups.iter().any(|template| rule.may_fill(template, group))
        })
    }
}

impl Rule {
    /// Whether it matches every certificate that `later` matches: each of its conditions is one of the other's too, or
    /// asks for a subject alone, which the other asks for too.
    fn decides_for(&self, later: &Rule) -> bool {
        let account = |rule: &Rule| matches!(rule.principal, Naming::Account);
        (self.ca.is_none() || self.ca == later.ca)
            && (!account(self) || account(later))
            && self.patterns.iter().all(|pattern| {
                let same = |other: &FieldPattern| {
                    other.field == pattern.field && other.written() == pattern.written()
                };
                let subject = pattern.field == Field::Subject && EVERYTHING.contains(&pattern.written());
                (subject && later.needs_a_subject()) || later.patterns.iter().any(same)
            })
    }

    /// Whether it matches certificates alone that have a subject; some have only alternative names.
    fn needs_a_subject(&self) -> bool {
        self.patterns
            .iter()
            .any(|pattern| OF_SUBJECTS.contains(&pattern.field))
    }

    /// Whether a template may be filled so that it is this text after the rule's transformation.
    fn may_fill(&self, template: &Template, text: &str) -> bool {
        if let [Part::Value(field)] = template.parts() {
            return self.may_be(field, text);
        }
        if !self.is_transformed(text) {
            return false;
        }
        let parts = template.parts().iter().map(|part| match part {
            Part::Literal(literal) => Some(self.transform.apply(literal).unwrap_or_else(|_| literal.clone())),
            Part::Capture(_) | Part::Value(_) => None,
        });
        fits(&parts.collect::<Vec<_>>(), text)
    }

    /// Whether the value of a field may become this text. A value that is used as it is has to match what the rule asks of
    /// its field.
    fn may_be(&self, field: &Field, text: &str) -> bool {
        let mut asked = self.patterns.iter().filter(|pattern| pattern.field == *field);
        let single = self.transform == Transform::None && *field == Field::CommonName;
        self.is_transformed(text) && (!single || asked.all(|pattern| pattern.matches(text)))
    }

    /// Whether the transformation may give this text. Where it refuses, nobody can tell.
    fn is_transformed(&self, text: &str) -> bool {
        self.transform.apply(text).map_or(true, |turned| turned == text)
    }
}

/// How the values of a field are written, if a pattern that is plain text asks for something else.
fn never(pattern: &FieldPattern) -> Option<&'static str> {
    let written = pattern.written();
    let plain = regex::escape(written) == written;
    let hex = |digits: fn(u8) -> bool| written.bytes().all(digits);
    let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let upper = |byte: u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    match pattern.field {
        Field::KeyHash | Field::CertificateHash if plain && !(written.len() == 64 && hex(lower)) => {
            Some("the value is written as 64 hexadecimal digits in lower case, without colons")
        }
        Field::Serial if plain && !(written.len().is_multiple_of(2) && hex(upper)) => Some(
            "the value is written as pairs of hexadecimal digits in upper case, without colons and 0x, such as 0A1B",
        ),
        // OpenSSL's old form. Where there are alternatives, another may be right.
        Field::Subject | Field::Issuer if written.starts_with('/') && !written.contains('|') => {
            Some("the value is written as in RFC 4514, such as CN=alice,O=example; whoami shows it")
        }
        _ => None,
    }
}

/// Whether a text is made of these parts in their order; nothing stands for anything.
fn fits(parts: &[Option<String>], text: &str) -> bool {
    match parts {
        [] => text.is_empty(),
        [Some(literal), rest @ ..] => text
            .strip_prefix(literal.as_str())
            .is_some_and(|text| fits(rest, text)),
        [None, rest @ ..] => text
            .char_indices()
            .map(|(place, _)| place)
            .chain([text.len()])
            .any(|place| text.get(place..).is_some_and(|text| fits(rest, text))),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use platform::config::Settings;
    use serde_json::{Value, json};

    use super::*;

    fn rules(list: Value) -> IdentityRules {
        let settings = Settings::new(json!({ "identity": list }), PathBuf::new(), |_| None);
        IdentityRules::read(&settings).unwrap()
    }

    #[test]
    fn a_rule_after_one_with_no_more_conditions_is_never_reached() {
        let shadowed = |list| rules(list).unreachable().len();
        let any = json!({"name": "any", "match": {"subject": ".*"}, "principal": "${cn}"});
        let ci = json!({"name": "ci", "match": {"ou": "ci"}, "principal": "ci:${cn}"});
        let pinned = json!({"name": "pinned", "match": {"ou": "ci", "o": "x"}, "issuer": {"ca": "a"}, "principal": "${cn}"});
        let empty = json!({"name": "empty", "match": {"uri_san": ".*"}, "principal": "${uri_san}"});
        assert_eq!(shadowed(json!([ci, any])), 0);
        assert_eq!(shadowed(json!([any, ci])), 1);
        assert_eq!(shadowed(json!([ci, pinned, any])), 1);
        assert_eq!(shadowed(json!([pinned, ci, any])), 0);
        // A certificate may have no subject.
        assert_eq!(shadowed(json!([any, empty])), 0);
    }

    #[test]
    fn values_that_are_written_otherwise_are_told() {
        let hash = "0123456789abcdef".repeat(4);
        for (field, pattern, told) in [
            ("spki_sha256", hash.as_str(), false),
            ("spki_sha256", "[0-9a-f]+", false),
            ("spki_sha256", &hash.to_uppercase(), true),
            ("cert_sha256", "01:23:45", true),
            ("serial", "0A1B", false),
            ("serial", "0A.*", false),
            ("serial", "A1B", true),
            ("serial", "0a1b", true),
            ("serial", "0x0A1B", true),
            ("subject", "CN=a,O=b", false),
            ("subject", "/CN=a|CN=a", false),
            ("subject", "/O=b/CN=a", true),
            ("issuer", "/CN=.*", true),
            ("uri_san", "/x", false),
        ] {
            let list = json!([{"name": "r", "match": {field: pattern}, "principal": "x"}]);
            assert_eq!(
                rules(list).unreachable().len(),
                usize::from(told),
                "{field} {pattern}"
            );
        }
    }

    #[test]
    fn names_and_groups_are_possible_unless_no_rule_can_give_them() {
        let given = rules(json!([
            {"name": "ci", "match": {"uri_san": "spiffe://x/(?P<sa>.*)"}, "principal": "ci:${sa}", "groups": ["CI", "of-${ou}"],
             "transform": "lower"},
            {"name": "people", "match": {"cn": "[a-z]+"}, "principal": "${cn}"}
        ]));
        for (name, may) in [
            ("ci:x", true),
            ("alice", true),
            ("Alice", false),
            ("ci:X", false),
            ("a.b", false),
        ] {
            assert_eq!(given.may_name(name), may, "{name}");
        }
        for (group, may) in [("ci", true), ("CI", false), ("of-ops", true), ("ops", false)] {
            assert_eq!(given.may_group(group), may, "{group}");
        }
        assert!(
            IdentityRules::built_in().may_name("anybody, O=x") && !IdentityRules::built_in().may_group("ci")
        );
    }
}
