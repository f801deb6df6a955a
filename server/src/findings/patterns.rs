//! Finds rules that can never apply: a pattern that matches nothing, a name that no client can have, a rule that is never
//! reached. Only what is provable is reported, because a wrong warning makes people ignore the next one.

use tuf::Gun;

use super::Finding;
use crate::{
    access::policy::{Met, Policy},
    config::{Config, Listener},
    identity::rules::{IdentityRules, check_principal_name},
};

const FIX: &str = "correct it, or take it out";
/// The prefix of the principal names of token holders.
const OF_TOKENS: &str = "token:";

/// Examines the identity rules, the policy and the GUN prefixes of a configuration.
pub(super) fn of_rules(config: &Config) -> Vec<Finding> {
    // Rules that are refused as they are written are told of elsewhere.
    let Ok(identity) = IdentityRules::new(config.identity.clone()) else {
        return Vec::new();
    };
    let policy = config.policy.clone().and_then(|policy| Policy::new(policy).ok());
    let mut found = identity.unreachable();
    for prefix in config.gun_prefixes.each() {
        if let Err(cause) = Gun::parse(prefix) {
            found.push(format!(
                "repositories.gun_prefixes: {prefix:?} serves nothing: {cause}"
            ));
        }
    }
    if let Some(policy) = &policy {
        found.extend(policy.unreachable(&Met {
            // They are about GUNs, and rules may name repositories of the registry too.
            prefixes: match &config.registry {
                Some(_) => &[],
                None => config.gun_prefixes.each(),
            },
            name: &|name| may_be_called(config, &identity, name),
            group: &|group| may_be_grouped(config, &identity, group),
        }));
    }
    found.into_iter().map(|what| Finding::note(what, FIX)).collect()
}

fn certificates_are_taken(config: &Config) -> bool {
    config.listeners.iter().any(Listener::asks)
}

fn may_be_called(config: &Config, identity: &IdentityRules, name: &str) -> bool {
    if name.starts_with(OF_TOKENS) {
        return config.auth.is_some();
    }
    // The users of the file are not looked at: it may get others at any time.
    let named = config.password.is_some() || (certificates_are_taken(config) && identity.may_name(name));
    named && check_principal_name(name).is_ok()
}

fn may_be_grouped(config: &Config, identity: &IdentityRules, group: &str) -> bool {
    let by_password = config
        .password
        .as_ref()
        .is_some_and(|passwords| passwords.groups.is_some());
    by_password || (certificates_are_taken(config) && identity.may_group(group))
}
