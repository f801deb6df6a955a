//! `policy` and `access.mode`: the policy as written. `access/policy` interprets the texts in it.

use std::fmt;

use platform::config::{ConfigError, Settings, Text, Texts};
use serde::{Deserialize, Deserializer, de};

const MODES: [(&str, PolicyMode); 2] = [("enforce", PolicyMode::Enforce), ("audit", PolicyMode::Audit)];

/// The rules in their order, each with its place such as `policy[0]`.
#[derive(Debug, Clone)]
pub struct PolicySettings {
    /// The rules.
    pub rules: Vec<(String, PolicyRule)>,
    /// `access.mode`.
    pub mode: PolicyMode,
}

/// Whether a denial is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyMode {
    /// The request is refused.
    Enforce,
    /// The denial is recorded, and the request allowed.
    Audit,
}

/// What a rule does where it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It allows.
    Allow,
    /// It denies.
    Deny,
}

/// One rule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRule {
    /// Its name in records; if it has none, its place is used.
    pub name: Option<Text>,
    /// Whether it allows or denies.
    pub effect: Option<Effect>,
    /// The principals that it covers.
    pub principals: Option<Texts>,
    /// The exceptions from `principals`.
    pub unless: Option<Texts>,
    /// The actions that it covers.
    pub actions: Option<Texts>,
    /// The repositories that it covers; all if absent.
    pub guns: Option<Texts>,
    /// The roles that a publisher must sign with its own key.
    pub require_own_key: Option<OwnKey>,
    /// Whether the rule is enforced.
    pub mode: Option<PolicyMode>,
}

/// `require_own_key`: true or false for every role, or a list of role patterns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnKey {
    /// All roles, or none.
    EveryRole(bool),
    /// These roles.
    Roles(Vec<String>),
}

impl<'de> Deserialize<'de> for OwnKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OwnKeyVisitor)
    }
}

struct OwnKeyVisitor;

impl<'de> de::Visitor<'de> for OwnKeyVisitor {
    type Value = OwnKey;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("allowed: true, false, or a list of roles")
    }

    fn visit_bool<E: de::Error>(self, every: bool) -> Result<OwnKey, E> {
        Ok(OwnKey::EveryRole(every))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut entries: A) -> Result<OwnKey, A::Error> {
        let mut roles = Vec::new();
        while let Some(Text(role)) = entries.next_element()? {
            roles.push(role);
        }
        Ok(OwnKey::Roles(roles))
    }
}

impl PolicySettings {
    /// The policy of a configuration; `None` if it has none.
    ///
    /// # Errors
    /// When the list is empty, or a rule has an unknown key or a value of the wrong type.
    pub fn read(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let mode = settings
            .choice("access.mode", &MODES)?
            .unwrap_or(PolicyMode::Enforce);
        let rules = settings.tables("policy")?;
        Ok(rules.map(|rules| Self { rules, mode }))
    }
}
