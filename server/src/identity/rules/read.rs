//! Rules from the configuration: the list `identity`.

use platform::config::{ConfigError, Settings};

use crate::{
    config::table::{Table, unknown},
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

/// In the place of a pattern for `spki_sha256`: a key that is registered to an account.
const ACCOUNTS: &str = "@accounts";
const TRANSFORMS: [(&str, Transform); 3] = [
    ("lower", Transform::Lower),
    ("upper", Transform::Upper),
    ("none", Transform::None),
];

pub(super) fn rules(settings: &Settings) -> Result<Option<IdentityRules>, ConfigError> {
    let Some(tables) = Table::list(settings, "identity")? else {
        return Ok(None);
    };
    let mut rules: Vec<Rule> = Vec::new();
    for table in tables {
        let path = table.path().to_owned();
        let rule = rule(table)?;
        if rules.iter().any(|earlier| earlier.name == rule.name) {
            let allowed = "the names of rules stand in records, so each must be its own";
            return Err(ConfigError::invalid(&format!("{path}.name"), &rule.name, allowed));
        }
        rules.push(rule);
    }
    Ok(Some(IdentityRules { rules }))
}

fn rule(mut table: Table) -> Result<Rule, ConfigError> {
    let name = table
        .text("name")?
        .ok_or_else(|| table.missing("name", "a name for records and whoami, such as people"))?;
    let preset = table.choice("preset", &PRESETS)?;
    let ca = ca(&mut table)?;
    let (patterns, accounts) = patterns(&mut table, preset)?;
    let captures = capture_names(&table, &patterns)?;
    let captures: Vec<&str> = captures.iter().map(String::as_str).collect();
    let principal = principal(&mut table, preset, accounts, &captures)?;
    let mut groups = Vec::new();
    for text in table.texts("groups")?.unwrap_or_default() {
        groups.push(Template::parse(&text, &captures).map_err(|why| table.invalid("groups", &text, why))?);
    }
    let groups_from = groups_from(&mut table, preset)?;
    let transform = table.choice("transform", &TRANSFORMS)?;
    if transform.is_some() && matches!(principal, Naming::Account) {
        let why = "the name is the account's: leave transform out";
        return Err(table.invalid("transform", "set", why));
    }
    let requirements = table.table("require")?.map(Requirements::read).transpose()?;
    table.finish()?;
    Ok(Rule {
        name,
        ca,
        patterns,
        principal,
        groups,
        groups_from,
        transform: transform.unwrap_or_default(),
        requirements: requirements.unwrap_or_default(),
    })
}

/// The name of a set of CAs; the names of configuration keys are in lower case.
fn ca(table: &mut Table) -> Result<Option<String>, ConfigError> {
    let Some(mut issuer) = table.table("issuer")? else {
        return Ok(None);
    };
    let ca = issuer.text("ca")?.ok_or_else(|| {
        issuer.missing(
            "ca",
            "the name of a set of client CAs: default, or one of client_cas",
        )
    })?;
    issuer.finish()?;
    Ok(Some(ca.to_lowercase()))
}

/// The patterns of a rule, and whether the key has to be registered to an account.
fn patterns(table: &mut Table, preset: Option<Preset>) -> Result<(Vec<FieldPattern>, bool), ConfigError> {
    let mut accounts = preset == Some(Preset::RegisteredKey);
    let mut patterns = Vec::new();
    if let Some((field, pattern)) = preset.and_then(Preset::pattern) {
        let made = FieldPattern::new(field, pattern, true);
        patterns.push(made.map_err(|why| table.invalid("preset", pattern, why))?);
    }
    let given = table.table("match")?;
    let place = format!("{}.match", table.path());
    for (key, pattern) in given.map(Table::into_texts).transpose()?.unwrap_or_default() {
        let place = format!("{place}.{key}");
        let field = Field::parse(&key)
            .ok_or_else(|| ConfigError::invalid(&place, &pattern, unknown(&key, &Field::names())))?;
        if field == Field::KeyHash && pattern == ACCOUNTS {
            accounts = true;
            continue;
        }
        let made = FieldPattern::new(field, &pattern, false);
        patterns.push(made.map_err(|why| ConfigError::invalid(&place, &pattern, why))?);
    }
    if patterns.is_empty() && !accounts {
        let expected = "a table of fields and patterns, or use a preset; a rule for every certificate says \
                        subject = \".*\"";
        return Err(table.missing("match", expected));
    }
    Ok((patterns, accounts))
}

/// The names of the groups of all patterns.
fn capture_names(table: &Table, patterns: &[FieldPattern]) -> Result<Vec<String>, ConfigError> {
    let mut names: Vec<String> = Vec::new();
    for pattern in patterns {
        for name in pattern.groups() {
            if names.iter().any(|known| known == name) {
                let key = format!("match.{}", pattern.field);
                return Err(table.invalid(
                    &key,
                    name,
                    "another pattern of the rule has a group of this name",
                ));
            }
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn principal(
    table: &mut Table,
    preset: Option<Preset>,
    accounts: bool,
    captures: &[&str],
) -> Result<Naming, ConfigError> {
    let given = table.text("principal")?;
    match given.as_deref().or(preset.and_then(Preset::principal)) {
        Some(text) if accounts => {
            let why = "the name of a registered key is that of its account: leave principal out";
            Err(table.invalid("principal", text, why))
        }
        None if accounts => Ok(Naming::Account),
        None => Err(table.missing(
            "principal",
            "the name to give, such as \"${cn}\", or use a preset",
        )),
        Some(text) => Template::parse(text, captures)
            .map(Naming::Template)
            .map_err(|why| table.invalid("principal", text, why)),
    }
}

fn groups_from(table: &mut Table, preset: Option<Preset>) -> Result<Vec<Field>, ConfigError> {
    let mut fields: Vec<Field> = preset.and_then(Preset::groups_from).into_iter().collect();
    for name in table.texts("groups_from")?.unwrap_or_default() {
        let field = Field::parse(&name)
            .ok_or_else(|| table.invalid("groups_from", &name, unknown(&name, &Field::names())))?;
        fields.push(field);
    }
    Ok(fields)
}
