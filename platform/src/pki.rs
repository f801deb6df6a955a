//! Issuing certificates: for the quickstart's development PKI and for tests.

use std::net::IpAddr;

use openssl::{
    asn1::{Asn1Integer, Asn1Time},
    bn::{BigNum, MsbOption},
    ec::{EcGroup, EcKey},
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{HasPublic, Id, PKey, Private},
    rsa::Rsa,
    x509::{
        X509, X509Builder, X509NameBuilder,
        extension::{
            AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
            SubjectKeyIdentifier,
        },
    },
};

/// Tolerance for clocks that are behind, in seconds.
const BACKDATE: i64 = 300;
/// Seconds in a day.
const DAY: i64 = 24 * 60 * 60;
/// X.509 version 3 is written as 2 (RFC 5280 section 4.1.2.1).
const X509_V3: i32 = 2;

/// The kind of key a certificate is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// RSA with a modulus of this many bits.
    Rsa(u32),
    /// Ed25519.
    Ed25519,
}

impl KeyKind {
    /// A new key.
    ///
    /// # Errors
    /// When OpenSSL cannot make one.
    pub fn generate(self) -> Result<PKey<Private>, ErrorStack> {
        match self {
            Self::P256 => curve_key(Nid::X9_62_PRIME256V1),
            Self::P384 => curve_key(Nid::SECP384R1),
            Self::Rsa(bits) => PKey::from_rsa(Rsa::generate(bits)?),
            Self::Ed25519 => PKey::generate_ed25519(),
        }
    }
}

fn curve_key(curve: Nid) -> Result<PKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(curve)?;
    PKey::from_ec_key(EcKey::generate(&group)?)
}

/// What a certificate may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// Issuing certificates.
    Authority,
    /// A TLS server.
    Server,
    /// A TLS client.
    Client,
    /// Both ends.
    ServerAndClient,
    /// No extended key usage at all.
    Unrestricted,
}

/// The contents of a certificate to issue.
#[derive(Debug, Clone)]
pub struct Template {
    /// The organisations in the subject, in this order.
    pub organisations: Vec<String>,
    /// The common name.
    pub common_name: String,
    /// DNS names.
    pub dns: Vec<String>,
    /// IP addresses.
    pub addresses: Vec<IpAddr>,
    /// What it may be used for.
    pub usage: Usage,
    /// The kind of its key.
    pub key: KeyKind,
    /// Validity in seconds from now: start and end.
    pub validity: (i64, i64),
}

impl Template {
    /// A P-256 certificate for `usage`, valid for `days` from now.
    pub fn new(common_name: &str, usage: Usage, days: u32) -> Self {
        Self {
            organisations: Vec::new(),
            common_name: common_name.to_owned(),
            dns: Vec::new(),
            addresses: Vec::new(),
            usage,
            key: KeyKind::P256,
            validity: (-BACKDATE, i64::from(days) * DAY),
        }
    }
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: X509,
    /// Its private key.
    pub key: PKey<Private>,
}

impl Issued {
    /// A certificate that signs itself.
    ///
    /// # Errors
    /// When OpenSSL refuses.
    pub fn self_signed(template: &Template) -> Result<Self, ErrorStack> {
        let key = template.key.generate()?;
        let certificate = build(template, &key, (None, &key))?;
        Ok(Self { certificate, key })
    }

    /// A certificate signed by this one.
    ///
    /// # Errors
    /// When OpenSSL refuses.
    pub fn issue(&self, template: &Template) -> Result<Self, ErrorStack> {
        let key = template.key.generate()?;
        let certificate = self.certify(template, &key)?;
        Ok(Self { certificate, key })
    }

    /// A certificate for a key that exists, signed by this one; the template's kind of key does not matter.
    ///
    /// # Errors
    /// When OpenSSL refuses.
    pub fn certify<T: HasPublic>(&self, template: &Template, key: &PKey<T>) -> Result<X509, ErrorStack> {
        build(template, key, (Some(self), &self.key))
    }

    /// The certificate as PEM text.
    ///
    /// # Errors
    /// When OpenSSL refuses.
    pub fn certificate_pem(&self) -> Result<Vec<u8>, ErrorStack> {
        self.certificate.to_pem()
    }

    /// The key as unencrypted PKCS#8 PEM text.
    ///
    /// # Errors
    /// When OpenSSL refuses.
    pub fn key_pem(&self) -> Result<Vec<u8>, ErrorStack> {
        self.key.private_key_to_pem_pkcs8()
    }
}

fn build<T: HasPublic>(
    template: &Template,
    key: &PKey<T>,
    (issuer, signing_key): (Option<&Issued>, &PKey<Private>),
) -> Result<X509, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    for organisation in &template.organisations {
        name.append_entry_by_nid(Nid::ORGANIZATIONNAME, organisation)?;
    }
    name.append_entry_by_nid(Nid::COMMONNAME, &template.common_name)?;
    let name = name.build();
    let now = chrono::Utc::now().timestamp();
    let mut builder = X509::builder()?;
    builder.set_version(X509_V3)?;
    let serial_number = serial_number()?;
    builder.set_serial_number(&serial_number)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(issuer.map_or(&name, |i| i.certificate.subject_name()))?;
    let (start, end) = (
        Asn1Time::from_unix(now + template.validity.0)?,
        Asn1Time::from_unix(now + template.validity.1)?,
    );
    builder.set_not_before(&start)?;
    builder.set_not_after(&end)?;
    builder.set_pubkey(key)?;
    extend(&mut builder, template, issuer)?;
    let digest = if signing_key.id() == Id::ED25519 {
        MessageDigest::null()
    } else {
        MessageDigest::sha256()
    };
    builder.sign(signing_key, digest)?;
    Ok(builder.build())
}

fn extend(builder: &mut X509Builder, template: &Template, issuer: Option<&Issued>) -> Result<(), ErrorStack> {
    if template.usage == Usage::Authority {
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
    } else {
        builder.append_extension(BasicConstraints::new().critical().build()?)?;
        builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
        let mut purposes = ExtendedKeyUsage::new();
        match template.usage {
            Usage::Server => Some(purposes.server_auth()),
            Usage::Client => Some(purposes.client_auth()),
            Usage::ServerAndClient => Some(purposes.server_auth().client_auth()),
            Usage::Authority | Usage::Unrestricted => None,
        }
        .map(|purposes| builder.append_extension(purposes.build()?))
        .transpose()?;
    }
    let issuer_certificate = issuer.map(|i| &*i.certificate);
    let key_id = SubjectKeyIdentifier::new().build(&builder.x509v3_context(issuer_certificate, None))?;
    builder.append_extension(key_id)?;
    if issuer.is_some() {
        let issuer_key_id = AuthorityKeyIdentifier::new()
            .keyid(false)
            .build(&builder.x509v3_context(issuer_certificate, None))?;
        builder.append_extension(issuer_key_id)?;
    }
    if !template.dns.is_empty() || !template.addresses.is_empty() {
        let mut names = SubjectAlternativeName::new();
        for dns in &template.dns {
            names.dns(dns);
        }
        for address in &template.addresses {
            names.ip(&address.to_string());
        }
        let names = names.build(&builder.x509v3_context(issuer_certificate, None))?;
        builder.append_extension(names)?;
    }
    Ok(())
}

/// 126 random bits, so that serial numbers never repeat and stay positive.
fn serial_number() -> Result<Asn1Integer, ErrorStack> {
    let mut number = BigNum::new()?;
    number.rand(126, MsbOption::ONE, false)?;
    number.to_asn1_integer()
}
