//! Which certificates may sign roots, and which are too weak to sign anything.
//!
//! Root keys are X.509 certificates, trusted because the root lists them: chains are not verified and alternative
//! names are not looked at. What counts is that the common name covers the GUN.

use chrono::{DateTime, TimeDelta, Utc};
use x509_parser::asn1_rs::oid;
use x509_parser::oid_registry::{OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA, Oid};
use x509_parser::pem::Pem;
use x509_parser::public_key::PublicKey as CertifiedPublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::gun::Gun;
use crate::key::{KeyType, PublicKey};
use crate::pem::{first_certificate, write_certificate};
use crate::spki::{MIN_RSA_BITS, is_ecdsa};

const DSA_WITH_SHA1: Oid<'static> = oid!(1.2.840.10040.4.3);
const ECDSA_WITH_SHA1: Oid<'static> = oid!(1.2.840.10045.4.1);

/// How much earlier than its first day a certificate may be used, for clocks that differ.
const EARLY: TimeDelta = TimeDelta::days(1);

/// Whether the dates of certificates matter.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dates {
    /// For roots that were accepted once: a certificate that expired since must not block its own replacement.
    Ignored,
    /// For a root that is being published.
    CheckedAt(DateTime<Utc>),
}

/// The properties of a certificate that the rules look at.
struct Certificate {
    der: Vec<u8>,
    common_name: Option<String>,
    is_ca: bool,
    not_before: i64,
    not_after: i64,
    signed_with_sha1: bool,
    key: CertifiedKey,
}

enum CertifiedKey {
    Ecdsa,
    Rsa { bits: usize },
    Other,
}

impl CertifiedKey {
    fn of(key: &SubjectPublicKeyInfo<'_>) -> Self {
        if is_ecdsa(key.raw) {
            return Self::Ecdsa;
        }
        match key.parsed() {
            Ok(CertifiedPublicKey::RSA(rsa)) => {
                let bytes = rsa.modulus.iter().skip_while(|&&byte| byte == 0);
                let zeros = bytes.clone().next().map_or(0, |byte| byte.leading_zeros());
                Self::Rsa {
                    bits: bytes.count() * 8 - zeros as usize,
                }
            }
            _ => Self::Other,
        }
    }
}

/// The key of a root role's certificate, if the certificate is usable for this repository.
///
/// The key is written again from the usable certificates. Its ID equals that of the listed key only if the listed PEM
/// has exactly the bytes that are written here.
pub(crate) fn root_key(gun: &Gun, listed: &PublicKey, dates: Dates) -> Option<PublicKey> {
    let certificates = parse_pem(listed.public())?;
    let (leaf, intermediates) = certificates.split_first()?;
    if leaf.is_ca || intermediates.iter().any(|c| !c.is_ca) {
        return None;
    }
    if !leaf.covers(gun) || leaf.weakness().is_some() || !leaf.is_current(dates) {
        return None;
    }
    let key_type = match leaf.key {
        CertifiedKey::Ecdsa => KeyType::EcdsaX509,
        CertifiedKey::Rsa { .. } => KeyType::RsaX509,
        CertifiedKey::Other => return None,
    };
    let usable = |c: &&Certificate| c.weakness().is_none() && c.is_current(dates);
    let mut pem = String::new();
    for certificate in std::iter::once(leaf).chain(intermediates.iter().filter(usable)) {
        write_certificate(&mut pem, &certificate.der);
    }
    Some(PublicKey::new(key_type, pem.into_bytes()))
}

/// When the certificate of a root role's key expires, if it is usable for this repository apart from its dates.
pub(crate) fn root_key_end(gun: &Gun, listed: &PublicKey) -> Option<DateTime<Utc>> {
    root_key(gun, listed, Dates::Ignored)?;
    let leaf = parse_pem(listed.public())?.into_iter().next()?;
    DateTime::from_timestamp(leaf.not_after, 0)
}

/// Why the certificate of a delegation's key is too weak, if it is one and too weak. Its dates do not matter.
pub(crate) fn delegation_weakness(key: &PublicKey) -> Option<&'static str> {
    if !matches!(key.key_type(), KeyType::EcdsaX509 | KeyType::RsaX509) {
        return None;
    }
    // A certificate that cannot be read cannot verify a signature either, so it needs no refusal here.
    Certificate::parse(first_certificate(key.public())?)?.weakness()
}

/// Every certificate of a PEM text that holds certificates only.
fn parse_pem(text: &[u8]) -> Option<Vec<Certificate>> {
    Pem::iter_from_buffer(text)
        .map(|block| {
            let block = block.ok().filter(|block| block.label == "CERTIFICATE")?;
            Certificate::parse(block.contents)
        })
        .collect()
}

impl Certificate {
    fn parse(der: Vec<u8>) -> Option<Self> {
        let (rest, parsed) = x509_parser::parse_x509_certificate(&der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let algorithm = &parsed.signature_algorithm.algorithm;
        let signed_with_sha1 = [
            OID_PKCS1_SHA1WITHRSA,
            OID_SHA1_WITH_RSA,
            ECDSA_WITH_SHA1,
            DSA_WITH_SHA1,
        ]
        .contains(algorithm);
        // Of several common names the last counts.
        let name = parsed.subject().iter_common_name().last();
        let certificate = Self {
            common_name: name.and_then(|name| name.as_str().ok()).map(str::to_owned),
            is_ca: parsed.is_ca(),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            signed_with_sha1,
            key: CertifiedKey::of(parsed.public_key()),
            der: Vec::new(),
        };
        Some(Self { der, ..certificate })
    }

    /// Whether the common name is the GUN, or a prefix of it followed by `*`. A star elsewhere is an ordinary
    /// character.
    fn covers(&self, gun: &Gun) -> bool {
        let name = self.common_name.as_deref().unwrap_or_default();
        name == gun.as_str() || name.ends_with('*') && gun.as_str().starts_with(name.trim_end_matches('*'))
    }

    /// Why the certificate must not be used whatever the day.
    fn weakness(&self) -> Option<&'static str> {
        if self.not_before > self.not_after {
            return Some("certificate validity window is invalid");
        }
        if self.signed_with_sha1 {
            return Some("certificate uses SHA-1 for its signature");
        }
        match self.key {
            CertifiedKey::Rsa { bits } if bits < MIN_RSA_BITS as usize => Some("RSA bit length is too short"),
            _ => None,
        }
    }

    fn is_current(&self, dates: Dates) -> bool {
        match dates {
            Dates::Ignored => true,
            Dates::CheckedAt(now) => {
                now.timestamp() <= self.not_after && (now + EARLY).timestamp() >= self.not_before
            }
        }
    }
}
