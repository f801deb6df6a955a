//! `identity`: the list of identity rules as written. `identity/rules` gives the texts in it their meaning.

use std::collections::BTreeMap;

use platform::config::{ConfigError, Settings, Text, Texts};
use serde::Deserialize;

/// The rules in their order, each with its place such as `identity[0]`.
#[derive(Debug, Clone)]
pub struct IdentitySettings {
    /// The rules.
    pub rules: Vec<(String, IdentityRule)>,
}

/// One rule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityRule {
    /// Its name in records.
    pub name: Option<Text>,
    /// What the rule is made of unless it says otherwise.
    pub preset: Option<Text>,
    /// Who has to have issued the certificate.
    pub issuer: Option<Issuer>,
    /// Fields of the certificate and their patterns.
    #[serde(rename = "match")]
    pub patterns: Option<BTreeMap<String, Text>>,
    /// The template of the name.
    pub principal: Option<Text>,
    /// The templates of groups.
    #[serde(default)]
    pub groups: Texts,
    /// The fields whose values are groups.
    #[serde(default)]
    pub groups_from: Texts,
    /// What is done to the letters of names.
    pub transform: Option<Text>,
    /// What the certificate must fulfil.
    pub require: Option<Requirements>,
}

/// Who has to have issued a certificate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// The name of a set of client CAs.
    pub ca: Option<Text>,
}

/// What a rule requires of certificates that it matches.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirements {
    /// Extended key usages, by name or OID.
    #[serde(default)]
    pub eku: Texts,
    /// The longest validity.
    pub max_lifetime: Option<Text>,
    /// The smallest RSA key, in bits.
    pub min_rsa_bits: Option<i64>,
    /// The smallest elliptic-curve key, in bits.
    pub min_ec_bits: Option<i64>,
    /// The kinds of keys that are allowed.
    pub key_types: Option<Texts>,
    /// The digests that the certificate may be signed with.
    pub digests: Option<Texts>,
}

impl IdentitySettings {
    /// The rules of a configuration, if it has any.
    ///
    /// # Errors
    /// When the list is empty, or a rule has a key that is not known or a value of the wrong kind.
    pub fn read(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let rules = settings.tables("identity")?;
        Ok(rules.map(|rules| Self { rules }))
    }
}
