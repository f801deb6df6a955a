//! A certificate's key, its purposes, and the digest of its signature.

use std::fmt;

use openssl::{
    nid::Nid,
    pkey::Id,
    x509::{X509, X509Ref},
};
use x509_parser::extensions::ExtendedKeyUsage;

/// The type of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// RSA, including keys for RSA-PSS only.
    Rsa,
    /// ECDSA.
    Ec,
    /// Ed25519.
    Ed25519,
    /// Any other type, or unreadable.
    Other,
}

/// The names of key types in configurations.
pub const KEY_TYPES: [(&str, KeyType); 3] = [
    ("rsa", KeyType::Rsa),
    ("ec", KeyType::Ec),
    ("ed25519", KeyType::Ed25519),
];

/// The properties of a certificate that determine its strength.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFacts {
    /// The type of its key.
    pub key_type: KeyType,
    /// The size of its key, in bits.
    pub bits: u32,
    /// The digest of the issuer's signature, such as `sha256`; empty if the signature algorithm names none.
    pub digest: String,
}

impl KeyFacts {
    pub(super) fn of(certificate: &X509) -> Self {
        let key = certificate.public_key().ok();
        let key_type = match key.as_ref().map(|key| key.id()) {
            Some(Id::RSA | Id::RSA_PSS) => KeyType::Rsa,
            Some(Id::EC) => KeyType::Ec,
            Some(Id::ED25519) => KeyType::Ed25519,
            _ => KeyType::Other,
        };
        Self {
            key_type,
            bits: key.map_or(0, |key| key.bits()),
            digest: digest(certificate).unwrap_or_default(),
        }
    }
}

fn digest(certificate: &X509Ref) -> Option<String> {
    let algorithm = certificate.signature_algorithm().object().nid();
    let digest = algorithm.signature_algorithms()?.digest;
    (digest != Nid::UNDEF)
        .then(|| digest.long_name().ok().map(str::to_lowercase))
        .flatten()
}

impl fmt::Display for KeyType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = KEY_TYPES.iter().find(|(_, known)| known == self);
        formatter.write_str(name.map_or("other", |(name, _)| *name))
    }
}

/// Purposes that have a name (RFC 5280 section 4.2.1.12).
const PURPOSE_NAMES: [(&str, &str); 7] = [
    ("anyExtendedKeyUsage", "2.5.29.37.0"),
    ("serverAuth", "1.3.6.1.5.5.7.3.1"),
    ("clientAuth", "1.3.6.1.5.5.7.3.2"),
    ("codeSigning", "1.3.6.1.5.5.7.3.3"),
    ("emailProtection", "1.3.6.1.5.5.7.3.4"),
    ("timeStamping", "1.3.6.1.5.5.7.3.8"),
    ("OCSPSigning", "1.3.6.1.5.5.7.3.9"),
];

/// The object identifier of a named purpose.
pub fn purpose_named(name: &str) -> Option<&'static str> {
    let found = PURPOSE_NAMES.iter().find(|(known, _)| *known == name);
    found.map(|(_, oid)| *oid)
}

/// The names of purposes, to be listed in error messages.
pub fn purpose_names() -> Vec<&'static str> {
    PURPOSE_NAMES.iter().map(|(name, _)| *name).collect()
}

/// The name of a purpose, or its OID if it has none.
pub fn purpose_shown(oid: &str) -> &str {
    let found = PURPOSE_NAMES.iter().find(|(_, known)| *known == oid);
    found.map_or(oid, |(name, _)| name)
}

pub(super) fn purposes(usage: &ExtendedKeyUsage<'_>) -> Vec<String> {
    let flags = [
        usage.any,
        usage.server_auth,
        usage.client_auth,
        usage.code_signing,
        usage.email_protection,
        usage.time_stamping,
        usage.ocsp_signing,
    ];
    let named = PURPOSE_NAMES.iter().zip(flags).filter(|(_, there)| *there);
    let named = named.map(|((_, oid), _)| (*oid).to_owned());
    named
        .chain(usage.other.iter().map(|oid| oid.to_id_string()))
        .collect()
}
