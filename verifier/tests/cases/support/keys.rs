//! Key pairs and certificates.

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::BasicConstraints;
use openssl::x509::{X509, X509Name, X509NameBuilder};
use tuf::{KeyType, PublicKey};

use super::now;

/// A key pair and the form in which metadata lists it.
#[derive(Clone)]
pub struct Key {
    pub public: PublicKey,
    private: PKey<Private>,
}

/// An authority that issues certificates.
pub struct Authority {
    certificate: X509,
    private: PKey<Private>,
}

impl Key {
    pub fn ecdsa() -> Self {
        let private = pair();
        let public = PublicKey::new(KeyType::Ecdsa, private.public_key_to_der().unwrap());
        Self { public, private }
    }

    /// A fresh pair with a self-signed certificate.
    pub fn certificate(common_name: &str) -> Self {
        Self::ecdsa().certified(common_name, 3650)
    }

    /// The same pair, listed by a new self-signed certificate.
    pub fn certified(&self, common_name: &str, days: i64) -> Self {
        let certificate = certificate(common_name, days, &self.private, &self.private, None, false);
        self.listed(KeyType::EcdsaX509, certificate.to_pem().unwrap())
    }

    /// The same pair, listed by a certificate of an authority.
    pub fn issued(&self, common_name: &str, authority: &Authority) -> Self {
        let issuer = authority.certificate.subject_name();
        let certificate = certificate(
            common_name,
            3650,
            &self.private,
            &authority.private,
            Some(issuer),
            false,
        );
        self.listed(KeyType::EcdsaX509, certificate.to_pem().unwrap())
    }

    /// The same pair, listed otherwise.
    pub fn listed(&self, key_type: KeyType, public: Vec<u8>) -> Self {
        Self {
            public: PublicKey::new(key_type, public),
            private: self.private.clone(),
        }
    }

    pub fn public_pem(&self) -> Vec<u8> {
        self.private.public_key_to_pem().unwrap()
    }

    pub fn id(&self) -> String {
        self.public.id().to_string()
    }

    pub fn bare_id(&self) -> String {
        self.public.bare().unwrap().id().to_string()
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature =
            EcdsaSig::sign(&openssl::sha::sha256(message), &self.private.ec_key().unwrap()).unwrap();
        [
            signature.r().to_vec_padded(32).unwrap(),
            signature.s().to_vec_padded(32).unwrap(),
        ]
        .concat()
    }
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let private = pair();
        let certificate = certificate(name, 3650, &private, &private, None, true);
        Self { certificate, private }
    }

    pub fn pem(&self) -> Vec<u8> {
        self.certificate.to_pem().unwrap()
    }
}

fn pair() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn certificate(
    common_name: &str,
    days: i64,
    key: &PKey<Private>,
    issuer_key: &PKey<Private>,
    issuer: Option<&openssl::x509::X509NameRef>,
    ca: bool,
) -> X509 {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_nid(Nid::COMMONNAME, common_name).unwrap();
    let name: X509Name = name.build();
    let day = |days: i64| Asn1Time::from_unix(now().timestamp() + days * 86_400).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(64, MsbOption::ONE, false).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder
        .set_serial_number(&Asn1Integer::from_bn(&serial).unwrap())
        .unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(issuer.unwrap_or(&name)).unwrap();
    builder.set_not_before(&day(-10)).unwrap();
    builder.set_not_after(&day(days)).unwrap();
    builder.set_pubkey(key).unwrap();
    if ca {
        builder
            .append_extension(BasicConstraints::new().critical().ca().build().unwrap())
            .unwrap();
    }
    builder.sign(issuer_key, MessageDigest::sha256()).unwrap();
    builder.build()
}
