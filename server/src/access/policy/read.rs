//! Reads a policy from its configuration.

use platform::config::{ConfigError, Texts};

use crate::config::{self, Effect, PolicyMode, PolicyRule, PolicySettings};

use super::{
    Policy,
    action::Covered,
    glob::Glob,
    rule::{OwnKey, Rule},
    subject::Subject,
};

pub(super) fn policy(settings: PolicySettings) -> Result<Policy, ConfigError> {
    let mode = settings.mode;
    let mut rules: Vec<Rule> = Vec::new();
    for (place, written) in settings.rules {
        let rule = rule(&place, written, mode)?;
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
    Ok(Policy { rules, mode })
}

fn rule(place: &str, written: PolicyRule, default_mode: PolicyMode) -> Result<Rule, ConfigError> {
    let key = |name: &str| format!("{place}.{name}");
    let missing = |name: &str, expected: &str| ConfigError::missing(&key(name), expected);
    let effect = written.effect.ok_or_else(|| missing("effect", "allow or deny"))?;
    let principals = parsed(&key("principals"), written.principals, Subject::parse)?.ok_or_else(|| {
        let expected = "names, group:<name>, * for everybody with an identity, anonymous";
        missing("principals", expected)
    })?;
    let actions = parsed(&key("actions"), written.actions, Covered::parse)?
        .ok_or_else(|| missing("actions", "what the rule is about, such as pull and push"))?;
    let guns = parsed(&key("guns"), written.guns, Glob::parse)?;
    let named = guns.iter().flatten().find(|glob| glob.names_principal());
    if let Some(glob) = named
        && principals.contains(&Subject::Anonymous)
    {
        let why = "anonymous has no name that could stand for ${principal}; write a separate rule for it";
        return Err(ConfigError::invalid(&key("guns"), glob.as_str(), why));
    }
    let unless = parsed(&key("unless"), written.unless, Subject::parse)?.unwrap_or_default();
    let own_key = own_key(&key("require_own_key"), written.require_own_key)?;
    if !matches!(own_key, OwnKey::NotRequired)
        && (effect == Effect::Deny || !actions.iter().any(Covered::is_push))
    {
        let why = "only a rule that allows push can require it";
        return Err(ConfigError::invalid(&key("require_own_key"), "true", why));
    }
    if effect == Effect::Allow && written.mode == Some(PolicyMode::Audit) {
        let why = "only a deny rule can be in audit mode; for the whole policy set access.mode";
        return Err(ConfigError::invalid(&key("mode"), "audit", why));
    }
    Ok(Rule {
        name: written.name.map_or_else(|| place.to_owned(), |name| name.0),
        effect,
        mode: written.mode.unwrap_or(default_mode),
        principals,
        unless,
        actions,
        guns,
        own_key,
    })
}

/// `true` for every role, or a list of role names, with stars as in `push:<role>`.
fn own_key(key: &str, written: Option<config::OwnKey>) -> Result<OwnKey, ConfigError> {
    let roles = match written {
        None | Some(config::OwnKey::EveryRole(false)) => return Ok(OwnKey::NotRequired),
        Some(config::OwnKey::EveryRole(true)) => return Ok(OwnKey::EveryRole),
        Some(config::OwnKey::Roles(roles)) => Some(Texts(roles)),
    };
    let roles = parsed(key, roles, |role| {
        match Covered::parse(&format!("push:{role}"))? {
            Covered::PushOf(glob) => Ok(glob),
            Covered::Every | Covered::One(_) => Err("a role such as targets or targets/*".to_owned()),
        }
    })?;
    let roles = roles.unwrap_or_default();
    // The server makes every timestamp, so no upload contains one and the requirement would never apply.
    if let Some(timestamp) = roles.iter().find(|glob| glob.as_str() == "timestamp") {
        let why = "publishers sign root, targets, snapshot and delegations; the server signs timestamps";
        return Err(ConfigError::invalid(key, timestamp.as_str(), why));
    }
    Ok(OwnKey::Roles(roles))
}

/// The parsed entries of a list, if it is there. An empty list is refused: it looks as if it meant all, but matches
/// nothing.
fn parsed<T>(
    key: &str,
    texts: Option<Texts>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<Vec<T>>, ConfigError> {
    let Some(Texts(texts)) = texts else {
        return Ok(None);
    };
    if texts.is_empty() {
        return Err(ConfigError::invalid(
            key,
            "[]",
            "at least one entry; or leave the key out",
        ));
    }
    let entries = texts
        .iter()
        .map(|text| parse(text).map_err(|why| ConfigError::invalid(key, text, why)));
    entries.collect::<Result<_, _>>().map(Some)
}
