//! A policy from the configuration: the list `policy`, and `access.mode`.

use platform::config::{ConfigError, Settings};

use crate::config::table::Table;

use super::{
    Policy,
    action::Covered,
    glob::Glob,
    rule::{Effect, Mode, OwnKey, Rule},
    subject::Subject,
};

const EFFECTS: [(&str, Effect); 2] = [("allow", Effect::Allow), ("deny", Effect::Deny)];
const MODES: [(&str, Mode); 2] = [("enforce", Mode::Enforce), ("audit", Mode::Audit)];

pub(super) fn policy(settings: &Settings) -> Result<Option<Policy>, ConfigError> {
    let mode = settings.choice("access.mode", &MODES)?.unwrap_or(Mode::Enforce);
    let Some(tables) = Table::list(settings, "policy")? else {
        return Ok(None);
    };
    let mut rules: Vec<Rule> = Vec::new();
    for table in tables {
        let path = table.path().to_owned();
        let rule = rule(table, mode)?;
        if rules.iter().any(|earlier| earlier.name == rule.name) {
            let allowed = "the names of rules stand in records, so each must be its own";
            return Err(ConfigError::invalid(&format!("{path}.name"), &rule.name, allowed));
        }
        rules.push(rule);
    }
    Ok(Some(Policy { rules, mode }))
}

fn rule(mut table: Table, default_mode: Mode) -> Result<Rule, ConfigError> {
    let name = table.text("name")?;
    let effect = table
        .choice("effect", &EFFECTS)?
        .ok_or_else(|| table.missing("effect", "allow or deny"))?;
    let principals = parsed(&mut table, "principals", Subject::parse)?.ok_or_else(|| {
        let expected = "names, group:<name>, * for everybody with an identity, anonymous";
        table.missing("principals", expected)
    })?;
    let actions = parsed(&mut table, "actions", Covered::parse)?
        .ok_or_else(|| table.missing("actions", "what the rule is about, such as pull and push"))?;
    let guns = parsed(&mut table, "guns", Glob::parse)?;
    let named = guns.iter().flatten().find(|glob| glob.names_principal());
    if let Some(glob) = named
        && principals.contains(&Subject::Anonymous)
    {
        let why = "anonymous has no name: make a rule of its own for it";
        return Err(table.invalid("guns", glob.as_str(), why));
    }
    let unless = parsed(&mut table, "unless", Subject::parse)?.unwrap_or_default();
    let own_key = own_key(&mut table)?;
    if !matches!(own_key, OwnKey::NotRequired)
        && (effect == Effect::Deny || !actions.iter().any(Covered::is_push))
    {
        let why = "only a rule that allows push can require it";
        return Err(table.invalid("require_own_key", "true", why));
    }
    let mode = table.choice("mode", &MODES)?;
    if effect == Effect::Allow && mode == Some(Mode::Audit) {
        let why = "only a rule that denies can be tried so; for a whole policy set access.mode";
        return Err(table.invalid("mode", "audit", why));
    }
    let name = name.unwrap_or_else(|| table.path().to_owned());
    table.finish()?;
    Ok(Rule {
        name,
        effect,
        mode: mode.unwrap_or(default_mode),
        principals,
        unless,
        actions,
        guns,
        own_key,
    })
}

/// `true` for every role, or the names of roles, with stars as in `push:<role>`.
fn own_key(table: &mut Table) -> Result<OwnKey, ConfigError> {
    const KEY: &str = "require_own_key";
    if !table.holds_list(KEY) {
        return Ok(match table.flag(KEY)? {
            true => OwnKey::EveryRole,
            false => OwnKey::NotRequired,
        });
    }
    let roles = parsed(table, KEY, |role| {
        match Covered::parse(&format!("push:{role}"))? {
            Covered::PushOf(glob) => Ok(glob),
            Covered::Every | Covered::One(_) => Err("a role such as targets or targets/*".to_owned()),
        }
    })?;
    let roles = roles.unwrap_or_default();
    // Nobody uploads a timestamp: the server makes each of them, so this would never be asked for.
    if let Some(timestamp) = roles.iter().find(|glob| glob.as_str() == "timestamp") {
        let why = "publishers sign root, targets, snapshot and delegations; the server signs timestamps";
        return Err(table.invalid(KEY, timestamp.as_str(), why));
    }
    Ok(OwnKey::Roles(roles))
}

/// The entries of a list; nothing if there is no such key. An empty one is refused: it looks like all, and is none.
fn parsed<T>(
    table: &mut Table,
    key: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<Vec<T>>, ConfigError> {
    let Some(texts) = table.texts(key)? else {
        return Ok(None);
    };
    if texts.is_empty() {
        return Err(table.invalid(key, "[]", "at least one entry; or leave the key out"));
    }
    let entries = texts
        .iter()
        .map(|text| parse(text).map_err(|why| table.invalid(key, text, why)));
    entries.collect::<Result<_, _>>().map(Some)
}
