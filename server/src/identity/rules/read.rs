//! Reads identity rules from their configuration.

use std::collections::BTreeMap;

use platform::config::{ConfigError, Text, Texts, unknown_name};

use crate::{
    config::{IdentityRule, IdentitySettings, Issuer},
    identity::facts::Field,
};

use super::{
    IdentityRules,
    name::Transform,
    pattern::FieldPattern,
    preset::{PRESETS, Preset},
    requirement::Requirements,
    rule::{Naming, Rule},
    template::Template,
};

/// In place of a pattern for `spki_sha256`: any key that is registered to an account.
const ACCOUNTS: &str = "@accounts";
const TRANSFORMS: [(&str, Transform); 3] = [
    ("lower", Transform::Lower),
    ("upper", Transform::Upper),
    ("none", Transform::None),
];

pub(super) fn rules(settings: IdentitySettings) -> Result<IdentityRules, ConfigError> {
    let mut rules: Vec<Rule> = Vec::new();
    for (place, written) in settings.rules {
        let rule = rule(&Place(place.clone()), written)?;
        if rules.iter().any(|earlier| earlier.name == rule.name) {
            let allowed = "audit records name the rule that decided, so every rule needs a different name";
            return Err(ConfigError::invalid(
                &format!("{place}.name"),
                &rule.name,
                allowed,
            ));
        }
        rules.push(rule);
    }
    Ok(IdentityRules { rules })
}

/// Where a rule stands in the configuration, such as `identity[0]`, for messages.
pub(super) struct Place(String);

impl Place {
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.0)
    }

    pub(super) fn below(&self, name: &str) -> Self {
        Self(self.key(name))
    }

    pub(super) fn invalid(&self, name: &str, value: &str, allowed: impl Into<String>) -> ConfigError {
        ConfigError::invalid(&self.key(name), value, allowed)
    }

    fn missing(&self, name: &str, expected: &str) -> ConfigError {
        ConfigError::missing(&self.key(name), expected)
    }

    fn choice<T: Copy>(
        &self,
        name: &str,
        given: Option<&Text>,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, ConfigError> {
        let Some(given) = given else {
            return Ok(None);
        };
        let chosen = choices.iter().find(|(name, _)| *name == given.as_str());
        chosen.map(|(_, choice)| Some(*choice)).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.invalid(name, given.as_str(), format!("allowed: {}", names.join(", ")))
        })
    }
}

fn rule(place: &Place, written: IdentityRule) -> Result<Rule, ConfigError> {
    let name = written.name.ok_or_else(|| {
        place.missing(
            "name",
            "a name that audit records and whoami show, such as people",
        )
    })?;
    let preset = place.choice("preset", written.preset.as_ref(), &PRESETS)?;
    let ca = written.issuer.map(|issuer| ca(place, issuer)).transpose()?;
    let (patterns, accounts) = patterns(place, preset, written.patterns.unwrap_or_default())?;
    let captures = capture_names(place, &patterns)?;
    let captures: Vec<&str> = captures.iter().map(String::as_str).collect();
    let principal = principal(place, preset, accounts, written.principal.as_ref(), &captures)?;
    let mut groups = Vec::new();
    for text in written.groups.0 {
        groups.push(Template::parse(&text, &captures).map_err(|why| place.invalid("groups", &text, why))?);
    }
    let groups_from = groups_from(place, preset, written.groups_from)?;
    let transform = place.choice("transform", written.transform.as_ref(), &TRANSFORMS)?;
    if transform.is_some() && matches!(principal, Naming::Account) {
        let why = "the name is that of the account; remove transform";
        return Err(place.invalid("transform", "set", why));
    }
    let requirements = written
        .require
        .map(|require| Requirements::new(&place.below("require"), require))
        .transpose()?;
    Ok(Rule {
        name: name.0,
        ca,
        patterns,
        principal,
        groups,
        groups_from,
        transform: transform.unwrap_or_default(),
        requirements: requirements.unwrap_or_default(),
    })
}

/// The name of a CA set. Names are keys of the configuration, and those are in lower case.
fn ca(place: &Place, issuer: Issuer) -> Result<String, ConfigError> {
    let ca = issuer.ca.ok_or_else(|| {
        place.missing(
            "issuer.ca",
            "the name of a set of client CAs: default, or one of client_cas",
        )
    })?;
    Ok(ca.0.to_lowercase())
}

/// The patterns of a rule, and whether the key must be registered to an account.
fn patterns(
    place: &Place,
    preset: Option<Preset>,
    written: BTreeMap<String, Text>,
) -> Result<(Vec<FieldPattern>, bool), ConfigError> {
    let mut accounts = preset == Some(Preset::RegisteredKey);
    let mut patterns = Vec::new();
    if let Some((field, pattern)) = preset.and_then(Preset::pattern) {
        let made = FieldPattern::new(field, pattern, true);
        patterns.push(made.map_err(|why| place.invalid("preset", pattern, why))?);
    }
    for (key, Text(pattern)) in written {
        let refused = |why: String| place.below("match").invalid(&key, &pattern, why);
        let field = Field::parse(&key).ok_or_else(|| refused(unknown_name(&key, &Field::names())))?;
        if field == Field::KeyHash && pattern == ACCOUNTS {
            accounts = true;
            continue;
        }
        patterns.push(FieldPattern::new(field, &pattern, false).map_err(refused)?);
    }
    if patterns.is_empty() && !accounts {
        let expected = "a table of fields and patterns, or use a preset; a rule for every certificate says \
                        subject = \".*\"";
        return Err(place.missing("match", expected));
    }
    Ok((patterns, accounts))
}

/// The names of the capture groups of all patterns.
fn capture_names(place: &Place, patterns: &[FieldPattern]) -> Result<Vec<String>, ConfigError> {
    let mut names: Vec<String> = Vec::new();
    for pattern in patterns {
        for name in pattern.groups() {
            if names.iter().any(|known| known == name) {
                let key = format!("match.{}", pattern.field);
                return Err(place.invalid(
                    &key,
                    name,
                    "another pattern of the rule already has a group with this name",
                ));
            }
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn principal(
    place: &Place,
    preset: Option<Preset>,
    accounts: bool,
    written: Option<&Text>,
    captures: &[&str],
) -> Result<Naming, ConfigError> {
    match written.map(Text::as_str).or(preset.and_then(Preset::principal)) {
        Some(text) if accounts => {
            let why = "the name of a registered key is that of its account; remove principal";
            Err(place.invalid("principal", text, why))
        }
        None if accounts => Ok(Naming::Account),
        None => Err(place.missing(
            "principal",
            "the name to give, such as \"${cn}\", or use a preset",
        )),
        Some(text) => Template::parse(text, captures)
            .map(Naming::Template)
            .map_err(|why| place.invalid("principal", text, why)),
    }
}

fn groups_from(place: &Place, preset: Option<Preset>, written: Texts) -> Result<Vec<Field>, ConfigError> {
    let mut fields: Vec<Field> = preset.and_then(Preset::groups_from).into_iter().collect();
    for name in written.0 {
        let unknown = || place.invalid("groups_from", &name, unknown_name(&name, &Field::names()));
        fields.push(Field::parse(&name).ok_or_else(unknown)?);
    }
    Ok(fields)
}
