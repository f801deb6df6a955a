//! Key pairs, with certificates of every kind.

use std::sync::atomic::{AtomicU32, Ordering};

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sha::sha256;
use openssl::sign::{RsaPssSaltlen, Signer};
use openssl::x509::extension::BasicConstraints;
use openssl::x509::{X509, X509NameBuilder};
use tuf::{KeyType, PublicKey, Signature, SignatureMethod};

use super::now;

/// A key pair and the public key that metadata lists for it.
#[derive(Clone)]
pub struct Key {
    pub public: PublicKey,
    private: PKey<Private>,
}

/// What a certificate for a key should look like.
pub struct Certificate {
    pub common_names: Vec<String>,
    /// Validity in days from now.
    pub from: i64,
    pub to: i64,
    pub ca: bool,
    pub digest: MessageDigest,
}

impl Certificate {
    /// A usable one for the GUN.
    pub fn of(common_name: &str) -> Self {
        Self {
            common_names: vec![common_name.to_owned()],
            from: -10,
            to: 3650,
            ca: false,
            digest: MessageDigest::sha256(),
        }
    }

    pub fn days(self, from: i64, to: i64) -> Self {
        Self { from, to, ..self }
    }

    /// The PEM of a self-signed certificate.
    pub fn pem(&self, key: &PKey<Private>) -> Vec<u8> {
        static SERIAL: AtomicU32 = AtomicU32::new(1);
        let mut name = X509NameBuilder::new().unwrap();
        for common_name in &self.common_names {
            name.append_entry_by_nid(Nid::COMMONNAME, common_name).unwrap();
        }
        let name = name.build();
        let day = |days: i64| Asn1Time::from_unix(now().timestamp() + days * 86_400).unwrap();
        let serial = BigNum::from_u32(SERIAL.fetch_add(1, Ordering::Relaxed)).unwrap();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder
            .set_serial_number(&Asn1Integer::from_bn(&serial).unwrap())
            .unwrap();
        builder.set_subject_name(&name).unwrap();
        builder.set_issuer_name(&name).unwrap();
        builder.set_not_before(&day(self.from)).unwrap();
        builder.set_not_after(&day(self.to)).unwrap();
        builder.set_pubkey(key).unwrap();
        if self.ca {
            builder
                .append_extension(BasicConstraints::new().critical().ca().build().unwrap())
                .unwrap();
        }
        builder.sign(key, self.digest).unwrap();
        builder.build().to_pem().unwrap()
    }
}

impl Key {
    pub fn ecdsa() -> Self {
        let private = ec_pair();
        let public = PublicKey::new(KeyType::Ecdsa, private.public_key_to_der().unwrap());
        Self { public, private }
    }

    pub fn rsa(bits: u32) -> Self {
        let private = PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
        let public = PublicKey::new(KeyType::Rsa, private.public_key_to_der().unwrap());
        Self { public, private }
    }

    /// The same pair, listed by a certificate.
    pub fn certified(&self, certificate: &Certificate) -> Self {
        let key_type = match self.public.key_type() {
            KeyType::Rsa | KeyType::RsaX509 => KeyType::RsaX509,
            _ => KeyType::EcdsaX509,
        };
        self.listed(key_type, certificate.pem(&self.private))
    }

    /// The same pair, listed with this type and value.
    pub fn listed(&self, key_type: KeyType, public: Vec<u8>) -> Self {
        Self {
            public: PublicKey::new(key_type, public),
            private: self.private.clone(),
        }
    }

    /// The PEM of a certificate for this pair.
    pub fn pem(&self, certificate: &Certificate) -> Vec<u8> {
        certificate.pem(&self.private)
    }

    /// A fresh ECDSA pair with a usable certificate.
    pub fn certificate(common_name: &str) -> Self {
        Self::ecdsa().certified(&Certificate::of(common_name))
    }

    pub fn id(&self) -> &str {
        self.public.id().as_str()
    }

    pub fn sign(&self, message: &[u8]) -> Signature {
        let method = SignatureMethod::for_key(&self.public).unwrap();
        let bytes = match method {
            SignatureMethod::Ecdsa => {
                let sig = EcdsaSig::sign(&sha256(message), &self.private.ec_key().unwrap()).unwrap();
                [
                    sig.r().to_vec_padded(32).unwrap(),
                    sig.s().to_vec_padded(32).unwrap(),
                ]
                .concat()
            }
            _ => {
                let mut signer = Signer::new(MessageDigest::sha256(), &self.private).unwrap();
                signer.set_rsa_padding(openssl::rsa::Padding::PKCS1_PSS).unwrap();
                signer.set_rsa_pss_saltlen(RsaPssSaltlen::custom(32)).unwrap();
                signer.sign_oneshot_to_vec(message).unwrap()
            }
        };
        Signature {
            key_id: self.public.id().clone(),
            method,
            bytes,
        }
    }
}

fn ec_pair() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}
