//! The contents of a certificate, read once and strictly. The identity rules work on them.

mod alternative_names;
mod field;
mod key;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use openssl::{error::ErrorStack, sha::sha256, x509::X509};
use platform::{
    tls::ClientCertificate,
    x509::{hashes_of_key, text, write_name},
};
use x509_parser::{
    asn1_rs::{Any, FromDer},
    certificate::X509Certificate,
    extensions::ParsedExtension,
};

pub use field::{Field, is_oid};
pub use key::{KEY_TYPES, KeyFacts, KeyType, purpose_named, purpose_names, purpose_shown};
pub use platform::x509::text::{Fact, Unclear};

/// Object identifiers of subject attributes that have their own field.
const ATTRIBUTES: [(&str, Field); 5] = [
    ("2.5.4.3", Field::CommonName),
    ("2.5.4.10", Field::Organisation),
    ("2.5.4.11", Field::Unit),
    ("0.9.2342.19200300.100.1.25", Field::DomainComponent),
    ("0.9.2342.19200300.100.1.1", Field::UserId),
];
/// The extension that lists alternative names (RFC 5280 section 4.2.1.6).
const ALTERNATIVE_NAMES: &str = "2.5.29.17";
/// The extension that lists purposes (RFC 5280 section 4.2.1.12).
const PURPOSES: &str = "2.5.29.37";

/// Why the contents of a certificate cannot be relied on.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// It is not a certificate as RFC 5280 defines it.
    #[error("the certificate cannot be read: {0}")]
    Unreadable(String),
    /// An extension appears twice, and programs differ about which one counts.
    #[error("the certificate has the extension {0} twice")]
    TwiceExtension(String),
    /// A relevant extension cannot be parsed.
    #[error("the certificate's extension {0} cannot be read")]
    Extension(String),
    /// OpenSSL refuses it.
    #[error("the certificate cannot be read: {}", platform::reason::of_openssl(.0))]
    OpenSsl(#[from] ErrorStack),
}

/// The contents of a certificate. Only `verified_by` is the result of a verification.
#[derive(Debug, Clone)]
pub struct CertificateFacts {
    values: BTreeMap<Field, Vec<Fact>>,
    subject: String,
    issuer: String,
    issuers: Vec<String>,
    verified_by: Vec<String>,
    purposes: Vec<String>,
    key: KeyFacts,
    key_hashes: Vec<String>,
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
}

impl CertificateFacts {
    /// Reads a client's certificate. `chain` holds the issuers' certificates as far as they are known, `verified_by`
    /// the names of the client CA sets that verify it.
    ///
    /// # Errors
    /// When it cannot be parsed completely.
    pub fn new(leaf: &X509, chain: &[X509], verified_by: Vec<String>) -> Result<Self, FactsError> {
        let der = leaf.to_der()?;
        let unreadable = |cause: &dyn std::fmt::Display| FactsError::Unreadable(cause.to_string());
        let (rest, parsed) = X509Certificate::from_der(&der).map_err(|cause| unreadable(&cause))?;
        if !rest.is_empty() {
            return Err(unreadable(&"there is data after its end"));
        }
        let dated = ClientCertificate::new(leaf.clone()).ok_or_else(|| unreadable(&"its dates are wrong"))?;
        let mut facts = Self {
            values: BTreeMap::new(),
            subject: String::new(),
            issuer: String::new(),
            issuers: chain
                .iter()
                .filter_map(|issuer| ClientCertificate::new(issuer.clone()))
                .map(|issuer| issuer.subject())
                .collect(),
            verified_by,
            purposes: Vec::new(),
            key: KeyFacts::of(leaf),
            key_hashes: Vec::new(),
            not_before: dated.not_before(),
            not_after: dated.not_after(),
        };
        facts.add(Field::Serial, Ok(dated.serial()));
        facts.add(Field::CertificateHash, Ok(hex::encode(sha256(&der))));
        let hashes = hashes_of_key(leaf).ok_or_else(|| unreadable(&"its public key is malformed"))?;
        let key_hash = hashes.first().cloned().unwrap_or_default();
        facts.key_hashes = hashes;
        facts.add(Field::KeyHash, Ok(key_hash));
        facts.read_names(&parsed);
        facts.read_extensions(&parsed)?;
        Ok(facts)
    }

    fn add(&mut self, field: Field, fact: Fact) {
        self.values.entry(field).or_default().push(fact);
    }

    fn read_names(&mut self, parsed: &X509Certificate<'_>) {
        for attribute in parsed.subject().iter_attributes() {
            let oid = attribute.attr_type().to_id_string();
            if let Some((_, field)) = ATTRIBUTES.iter().find(|(known, _)| *known == oid) {
                self.add(field.clone(), text::string(attribute.attr_value()));
            }
        }
        let subject = write_name(parsed.subject());
        if !subject.shown.is_empty() {
            let fact = subject.unclear.map_or_else(|| Ok(subject.shown.clone()), Err);
            self.add(Field::Subject, fact);
        }
        self.subject = subject.shown;
        let issuer = write_name(parsed.issuer());
        let fact = issuer.unclear.map_or_else(|| Ok(issuer.shown.clone()), Err);
        self.add(Field::Issuer, fact);
        self.issuer = issuer.shown;
    }

    fn read_extensions(&mut self, parsed: &X509Certificate<'_>) -> Result<(), FactsError> {
        for extension in parsed.extensions() {
            let oid = extension.oid.to_id_string();
            let field = Field::Extension(oid.clone());
            if self.values.contains_key(&field) {
                return Err(FactsError::TwiceExtension(oid));
            }
            self.add(field, extension_text(extension.value));
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(names) => {
                    for (field, fact) in alternative_names::read(names) {
                        self.add(field, fact);
                    }
                }
                ParsedExtension::ExtendedKeyUsage(usage) => self.purposes = key::purposes(usage),
                ParsedExtension::CertificatePolicies(policies) => {
                    for policy in policies {
                        self.add(Field::Policy, Ok(policy.policy_id.to_id_string()));
                    }
                }
                _ if [ALTERNATIVE_NAMES, PURPOSES].contains(&oid.as_str()) => {
                    return Err(FactsError::Extension(oid));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The values of a field, in the certificate's order.
    pub fn values(&self, field: &Field) -> &[Fact] {
        self.values.get(field).map_or(&[], Vec::as_slice)
    }

    /// The value of a field that always has exactly one; otherwise an empty string.
    fn only(&self, field: &Field) -> &str {
        match self.values(field) {
            [Ok(value)] => value,
            _ => "",
        }
    }

    /// The subject on one line for display, without control characters.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The issuer on one line for display, without control characters.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The alternative names that are unambiguous, each as its field's name, a colon and the value.
    pub fn alternative_names(&self) -> Vec<String> {
        let kinds = [Field::Dns, Field::Uri, Field::Email, Field::Ip, Field::Upn];
        let names = kinds.iter().flat_map(|field| {
            let values = self.values(field).iter().flatten();
            values.map(move |value| format!("{field}:{value}"))
        });
        names.collect()
    }

    /// The subjects of the issuers' certificates that the client sent, nearest first.
    pub fn issuers(&self) -> &[String] {
        &self.issuers
    }

    /// The serial number in upper-case hexadecimal digits.
    pub fn serial(&self) -> &str {
        self.only(&Field::Serial)
    }

    /// The SHA-256 of its public key (SubjectPublicKeyInfo) in lower-case hexadecimal digits.
    pub fn spki_sha256(&self) -> &str {
        self.only(&Field::KeyHash)
    }

    /// The SHA-256 of its public key, followed by the hashes that older versions used for the same key.
    pub fn key_hashes(&self) -> &[String] {
        &self.key_hashes
    }

    /// The SHA-256 of the certificate in lower-case hexadecimal digits.
    pub fn cert_sha256(&self) -> &str {
        self.only(&Field::CertificateHash)
    }

    /// The SHA-256 of the certificate in base64url, as tokens name it (RFC 8705 section 3.1).
    pub fn thumbprint(&self) -> String {
        let digest = data_encoding::HEXLOWER.decode(self.cert_sha256().as_bytes());
        digest.map_or_else(
            |_| String::new(),
            |digest| data_encoding::BASE64URL_NOPAD.encode(&digest),
        )
    }

    /// The client CA sets that verify it.
    pub fn verified_by(&self) -> &[String] {
        &self.verified_by
    }

    /// The object identifiers of its extended key usage; empty if it has none.
    pub fn purposes(&self) -> &[String] {
        &self.purposes
    }

    /// Its key and signature digest.
    pub fn key(&self) -> &KeyFacts {
        &self.key
    }

    /// The start of its validity.
    pub fn not_before(&self) -> DateTime<Utc> {
        self.not_before
    }

    /// The end of its validity.
    pub fn not_after(&self) -> DateTime<Utc> {
        self.not_after
    }

    /// The whole period of its validity.
    pub fn lifetime(&self) -> TimeDelta {
        self.not_after - self.not_before
    }
}

fn extension_text(value: &[u8]) -> Fact {
    let parsed = Any::from_der(value).ok().filter(|(rest, _)| rest.is_empty());
    match parsed.map(|(_, value)| text::string(&value)) {
        Some(Ok(text)) if text.starts_with(['#', '\\']) => Ok(format!("\\{text}")),
        Some(Ok(text)) => Ok(text),
        Some(Err(Unclear::Control)) => Err(Unclear::Control),
        _ => Ok(text::hexadecimal(value)),
    }
}

#[cfg(test)]
pub(crate) mod tests;
