//! Rules and listeners as they were written in the configuration.

use platform::config::{Text as Written, Texts};

use crate::{
    config::{Effect, IdentityRule, Listener, OwnKey, PolicyMode, PolicyRule, Serves},
    pages::{ListenerRow, Text, WrittenRule},
};

pub(super) fn listener(listener: &Listener) -> ListenerRow {
    let addresses = listener.addresses.iter().map(ToString::to_string);
    ListenerRow {
        name: Text::from(listener.name.as_str()),
        addresses: Text::new(addresses.collect::<Vec<_>>().join(", ")),
        asks: if listener.demands() {
            "demanded in the handshake"
        } else if listener.proxy_trust.takes_certificates() {
            "handed on by proxies"
        } else if listener.asks() {
            "asked for; refused with a reason"
        } else {
            "not asked for"
        },
        serves: match listener.serves {
            Serves::All => "everything",
            Serves::AllButPages => "everything but pages",
            Serves::Health => "health, metrics",
        },
    }
}

fn joined(texts: &Texts) -> Text {
    Text::new(texts.0.join(", "))
}

pub(super) fn policy_rule(place: &str, rule: &PolicyRule) -> WrittenRule {
    let on_trial = rule.mode == Some(PolicyMode::Audit);
    let values = [
        ("principals", rule.principals.as_ref().map(joined)),
        ("unless", rule.unless.as_ref().map(joined)),
        ("actions", rule.actions.as_ref().map(joined)),
        ("guns", rule.guns.as_ref().map(joined)),
        (
            "require_own_key",
            rule.require_own_key.as_ref().map(|own| match own {
                OwnKey::EveryRole(every) => Text::new(every.to_string()),
                OwnKey::Roles(roles) => Text::new(roles.join(", ")),
            }),
        ),
    ];
    WrittenRule {
        name: named(rule.name.as_ref(), place),
        what: Text::from(match (rule.effect, on_trial) {
            (Some(Effect::Deny), true) => "deny, on trial",
            (Some(Effect::Deny), false) => "deny",
            _ => "allow",
        }),
        values: values
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect(),
    }
}

pub(super) fn identity_rule(place: &str, rule: &IdentityRule) -> WrittenRule {
    let text = |text: &Option<Written>| text.as_ref().map(|text| Text::from(text.0.as_str()));
    let list = |texts: &Texts| (!texts.0.is_empty()).then(|| joined(texts));
    let patterns = rule.patterns.as_ref().map(|patterns| {
        let patterns = patterns
            .iter()
            .map(|(field, pattern)| format!("{field} = {}", pattern.0));
        Text::new(patterns.collect::<Vec<_>>().join(", "))
    });
    let require = rule.require.as_ref();
    let values = [
        ("preset", text(&rule.preset)),
        (
            "issuer.ca",
            rule.issuer.as_ref().and_then(|issuer| text(&issuer.ca)),
        ),
        ("match", patterns),
        ("groups", list(&rule.groups)),
        ("groups_from", list(&rule.groups_from)),
        ("transform", text(&rule.transform)),
        ("require.eku", require.and_then(|require| list(&require.eku))),
        (
            "require.max_lifetime",
            require.and_then(|require| text(&require.max_lifetime)),
        ),
        (
            "require.min_rsa_bits",
            require.and_then(|require| Some(Text::new(require.min_rsa_bits?.to_string()))),
        ),
        (
            "require.min_ec_bits",
            require.and_then(|require| Some(Text::new(require.min_ec_bits?.to_string()))),
        ),
        (
            "require.key_types",
            require.and_then(|require| require.key_types.as_ref().map(joined)),
        ),
        (
            "require.digests",
            require.and_then(|require| require.digests.as_ref().map(joined)),
        ),
    ];
    WrittenRule {
        name: named(rule.name.as_ref(), place),
        what: rule.principal.as_ref().map_or_else(
            || Text::from("by the preset"),
            |principal| Text::from(principal.0.as_str()),
        ),
        values: values
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect(),
    }
}

fn named(name: Option<&Written>, place: &str) -> Text {
    Text::from(name.map_or(place, |name| name.0.as_str()))
}
