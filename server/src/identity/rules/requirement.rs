//! What a rule requires of certificates that it matches. A certificate that falls short is refused; later rules are
//! not tried.

use chrono::TimeDelta;
use platform::config::{ConfigError, Text, Texts, unknown_name};

use crate::{
    config,
    identity::facts::{
        CertificateFacts, KEY_TYPES, KeyType, is_oid, purpose_named, purpose_names, purpose_shown,
    },
};

use super::{
    outcome::{IdentityFault, NotIdentified},
    read::Place,
};

/// How much longer than allowed a certificate may be valid: issuers backdate certificates for clients whose clocks are
/// slow.
const LIFETIME_TOLERANCE: TimeDelta = TimeDelta::seconds(60);
/// The signature digests that a rule can require.
const DIGESTS: [&str; 7] = [
    "sha224", "sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512",
];
/// The key sizes that a rule can require, in bits.
const KEY_BITS: std::ops::RangeInclusive<i64> = 1..=65_536;

/// The requirements of a rule. What is absent is not required.
#[derive(Debug, Clone, Default)]
pub(super) struct Requirements {
    purposes: Vec<String>,
    max_lifetime: Option<TimeDelta>,
    min_rsa_bits: Option<u32>,
    min_ec_bits: Option<u32>,
    key_types: Option<Vec<KeyType>>,
    digests: Option<Vec<String>>,
}

impl Requirements {
    pub(super) fn new(place: &Place, written: config::Requirements) -> Result<Self, ConfigError> {
        Ok(Self {
            purposes: purposes(place, written.eku)?,
            max_lifetime: lifetime(place, written.max_lifetime)?,
            min_rsa_bits: bits(place, "min_rsa_bits", written.min_rsa_bits)?,
            min_ec_bits: bits(place, "min_ec_bits", written.min_ec_bits)?,
            key_types: written
                .key_types
                .map(|names| key_types(place, names))
                .transpose()?,
            digests: written.digests.map(|names| digests(place, names)).transpose()?,
        })
    }

    pub(super) fn check(&self, facts: &CertificateFacts) -> Result<(), NotIdentified> {
        self.check_purposes(facts)?;
        if let Some(longest) = self.max_lifetime
            && facts.lifetime() > longest + LIFETIME_TOLERANCE
        {
            return Err(NotIdentified::new(
                IdentityFault::LifetimeTooLong,
                format!(
                    "the certificate is valid for {}, and at most {} are allowed",
                    shown(facts.lifetime()),
                    shown(longest)
                ),
            ));
        }
        self.check_key(facts)
    }

    fn check_purposes(&self, facts: &CertificateFacts) -> Result<(), NotIdentified> {
        let missing = self
            .purposes
            .iter()
            .find(|purpose| !facts.purposes().contains(*purpose));
        let Some(missing) = missing else { return Ok(()) };
        let purpose = purpose_shown(missing);
        Err(NotIdentified::new(
            IdentityFault::WrongPurpose,
            format!("the certificate's extended key usage does not list {purpose}"),
        ))
    }

    fn check_key(&self, facts: &CertificateFacts) -> Result<(), NotIdentified> {
        let weak = |sentence: String| Err(NotIdentified::new(IdentityFault::KeyTooWeak, sentence));
        let key = facts.key();
        let (key_type, bits) = (key.key_type, key.bits);
        let least = match key_type {
            KeyType::Rsa => self.min_rsa_bits,
            KeyType::Ec => self.min_ec_bits,
            KeyType::Ed25519 => None,
            // The strength of an unknown key type cannot be judged, so it does not meet a required strength.
            KeyType::Other => self.min_rsa_bits.or(self.min_ec_bits).map(|_| u32::MAX),
        };
        match &self.key_types {
            Some(allowed) if !allowed.contains(&key_type) => {
                let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
                return weak(format!(
                    "the certificate's key is of type {key_type}, and only {} is allowed",
                    allowed.join(", ")
                ));
            }
            _ => {}
        }
        if least.is_some_and(|least| key_type == KeyType::Other || bits < least) {
            return weak(format!(
                "the certificate's key ({key_type}, {bits} bits) is too short, or of an unknown type"
            ));
        }
        match &self.digests {
            // An Ed25519 signature names no digest, because its digest is fixed.
            Some(allowed) if !key.digest.is_empty() && !allowed.contains(&key.digest) => weak(format!(
                "the certificate is signed with {}, and only {} is allowed",
                key.digest,
                allowed.join(", ")
            )),
            _ => Ok(()),
        }
    }
}

fn purposes(place: &Place, written: Texts) -> Result<Vec<String>, ConfigError> {
    let purposes = written.0.into_iter().map(|name| {
        let named = purpose_named(&name).map(str::to_owned);
        let purpose = named.or_else(|| is_oid(&name).then(|| name.clone()));
        purpose.ok_or_else(|| {
            let allowed = format!("an OID, or one of: {}", purpose_names().join(", "));
            place.invalid("eku", &name, allowed)
        })
    });
    purposes.collect()
}

fn lifetime(place: &Place, written: Option<Text>) -> Result<Option<TimeDelta>, ConfigError> {
    let Some(Text(text)) = written else {
        return Ok(None);
    };
    let duration = humantime::parse_duration(&text)
        .ok()
        .and_then(|d| TimeDelta::from_std(d).ok());
    let reasonable = duration.filter(|duration| *duration < TimeDelta::days(36_500));
    let allowed = "a time such as 24h or 30d";
    reasonable
        .map(Some)
        .ok_or_else(|| place.invalid("max_lifetime", &text, allowed))
}

fn bits(place: &Place, name: &str, written: Option<i64>) -> Result<Option<u32>, ConfigError> {
    let Some(bits) = written else {
        return Ok(None);
    };
    let number = u32::try_from(bits).ok().filter(|_| KEY_BITS.contains(&bits));
    let allowed = || format!("a whole number from {} to {}", KEY_BITS.start(), KEY_BITS.end());
    number.map(Some).ok_or_else(|| ConfigError::Invalid {
        key: place.key(name),
        value: bits.to_string(),
        allowed: allowed(),
    })
}

fn key_types(place: &Place, written: Texts) -> Result<Vec<KeyType>, ConfigError> {
    let known: Vec<&str> = KEY_TYPES.iter().map(|(name, _)| *name).collect();
    let types = written.0.iter().map(|name| {
        let found = KEY_TYPES.iter().find(|(known, _)| known == name);
        found
            .map(|(_, key_type)| *key_type)
            .ok_or_else(|| place.invalid("key_types", name, unknown_name(name, &known)))
    });
    types.collect()
}

fn digests(place: &Place, Texts(names): Texts) -> Result<Vec<String>, ConfigError> {
    match names.iter().find(|name| !DIGESTS.contains(&name.as_str())) {
        Some(name) => Err(place.invalid("digests", name, unknown_name(name, &DIGESTS))),
        None => Ok(names),
    }
}

fn shown(time: TimeDelta) -> String {
    let time = time.to_std().unwrap_or_default();
    humantime::format_duration(time).to_string()
}
