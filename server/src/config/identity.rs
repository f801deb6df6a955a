//! `identity`: the list of identity rules as written. `identity/rules` interprets the texts in it.

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
    /// The preset with the rule's defaults.
    pub preset: Option<Text>,
    /// Which CA must have issued the certificate.
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
    /// How the letter case of names is changed.
    pub transform: Option<Text>,
    /// The requirements that the certificate must meet.
    pub require: Option<Requirements>,
}

/// Which CA must have issued a certificate.
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
    /// The key types that are allowed.
    pub key_types: Option<Texts>,
    /// The signature digests that are allowed.
    pub digests: Option<Texts>,
}

impl IdentitySettings {
    /// The rules of a configuration; `None` if it has none.
    ///
    /// # Errors
    /// When the list is empty, or a rule has an unknown key or a value of the wrong type.
    pub fn read(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let rules = settings.tables("identity")?;
        Ok(rules.map(|rules| Self { rules }))
    }
}
