//! Certificates of root keys. The library makes them and leaves signing to us, so that the key may be in a token.

use std::time::SystemTime;

use chrono::{DateTime, TimeDelta, Utc};
use openssl::{
    asn1::Asn1Type, error::ErrorStack, nid::Nid, pkey::PKey, rand::rand_bytes, x509::X509,
    x509::X509NameBuilder,
};
use platform::reason;
use signature::Keypair;
use tuf::{Gun, KeyType, PublicKey};
use x509_cert::{
    Certificate, TbsCertificate,
    builder::{self, Builder, CertificateBuilder, profile::BuilderProfile},
    der::{
        Decode, Document, Encode,
        asn1::{Any, BitString, Null},
    },
    ext::{
        Extension, ToExtension,
        pkix::{KeyUsage, KeyUsages},
    },
    name::Name,
    serial_number::SerialNumber,
    spki::{
        self, AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, EncodePublicKey, ObjectIdentifier,
        SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef,
    },
    time::{Time, Validity},
};

use crate::keys::{KeyError, SigningKey};

/// How long a root's certificate is valid, as that of notary and docker.
const LIFETIME: TimeDelta = TimeDelta::days(3_650);
/// How far the clocks of others may be behind.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::hours(1);
/// The bytes of a serial number.
const SERIAL_BYTES: usize = 16;
/// ecdsa-with-SHA256 (RFC 5758 section 3.2).
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
/// sha256WithRSAEncryption (RFC 4055 section 5).
const RSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");

/// A self-signed certificate of a root key for one repository, as a root lists it: its common name is the repository.
/// It has no extended key usage, because readers that pin an authority refuse it with one.
///
/// # Errors
/// When it cannot be made or signed, or the signature is not right.
pub fn root_certificate(key: &dyn SigningKey, gun: &Gun, now: DateTime<Utc>) -> Result<PublicKey, KeyError> {
    let public = key.public();
    let failed = |cause: builder::Error| KeyError::Certificate(cause.to_string());
    let of_openssl = |cause: ErrorStack| KeyError::OpenSsl(reason::of_openssl(&cause));
    let signer = Signer(public);
    let mut builder = unsigned(public, gun, now)?;
    let to_sign = builder.finalize(&signer).map_err(failed)?;
    let signature = BitString::from_bytes(&key.sign_certificate(&to_sign)?);
    let signature = signature.map_err(|cause| failed(cause.into()))?;
    let made: Certificate = builder.assemble(signature, &signer).map_err(failed)?;
    let der = made.to_der().map_err(|cause| failed(cause.into()))?;
    let pem = X509::from_der(&der)
        .and_then(|made| {
            let is_right = made.verify(&*PKey::public_key_from_der(public.public())?)?;
            Ok((made.to_pem()?, is_right))
        })
        .map_err(of_openssl)?;
    let (pem, true) = pem else {
        return Err(KeyError::Certificate(format!(
            "the signature with the key {} is not right",
            public.id()
        )));
    };
    let kind = match public.key_type() {
        KeyType::Rsa => KeyType::RsaX509,
        _ => KeyType::EcdsaX509,
    };
    Ok(PublicKey::new(kind, pem))
}

fn unsigned(
    public: &PublicKey,
    gun: &Gun,
    now: DateTime<Utc>,
) -> Result<CertificateBuilder<RootProfile>, KeyError> {
    let subject = name(gun).map_err(|cause| KeyError::OpenSsl(reason::of_openssl(&cause)))?;
    let mut serial = [0; SERIAL_BYTES];
    rand_bytes(&mut serial).map_err(|cause| KeyError::OpenSsl(reason::of_openssl(&cause)))?;
    let make = || {
        let at = |moment: DateTime<Utc>| Time::try_from(SystemTime::from(moment));
        CertificateBuilder::new(
            RootProfile(Name::from_der(&subject)?),
            SerialNumber::new(&serial)?,
            Validity::new(at(now - CLOCK_TOLERANCE)?, at(now + LIFETIME)?),
            SubjectPublicKeyInfoOwned::from_der(public.public())?,
        )
    };
    make().map_err(|cause: builder::Error| KeyError::Certificate(cause.to_string()))
}

/// The common name in DER. A repository may have a longer name than RFC 5280 allows for one; clients accept that.
fn name(gun: &Gun) -> Result<Vec<u8>, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid_with_type(Nid::COMMONNAME, gun.as_str(), Asn1Type::UTF8STRING)?;
    name.build().to_der()
}

/// What notary and docker put into a root's certificate.
struct RootProfile(Name);

impl BuilderProfile for RootProfile {
    fn get_issuer(&self, subject: &Name) -> Name {
        subject.clone()
    }

    fn get_subject(&self) -> Name {
        self.0.clone()
    }

    fn build_extensions(
        &self,
        _spk: SubjectPublicKeyInfoRef<'_>,
        _issuer_spk: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        let usage = KeyUsage(KeyUsages::DigitalSignature.into());
        Ok(vec![usage.to_extension(tbs.subject(), &[])?])
    }
}

/// What the library has to know of who signs. The signature itself is made elsewhere.
struct Signer<'a>(&'a PublicKey);

/// A public key in DER.
#[derive(Clone)]
struct Der(Vec<u8>);

impl EncodePublicKey for Der {
    fn to_public_key_der(&self) -> spki::Result<Document> {
        Ok(Document::try_from(self.0.as_slice())?)
    }
}

impl Keypair for Signer<'_> {
    type VerifyingKey = Der;

    fn verifying_key(&self) -> Der {
        Der(self.0.public().to_vec())
    }
}

impl DynSignatureAlgorithmIdentifier for Signer<'_> {
    fn signature_algorithm_identifier(&self) -> spki::Result<AlgorithmIdentifierOwned> {
        Ok(match self.0.key_type() {
            KeyType::Rsa => AlgorithmIdentifierOwned {
                oid: RSA_WITH_SHA256,
                parameters: Some(Any::from(Null)),
            },
            _ => AlgorithmIdentifierOwned {
                oid: ECDSA_WITH_SHA256,
                parameters: None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use openssl::{
        ec::{EcGroup, EcKey},
        rsa::Rsa,
    };
    use tuf::SignatureMethod;

    use super::*;
    use crate::keys::PrivateKey;

    fn keys() -> Vec<PrivateKey> {
        let curves = [Nid::X9_62_PRIME256V1, Nid::SECP384R1, Nid::SECP521R1].map(|curve| {
            let group = EcGroup::from_curve_name(curve).unwrap();
            PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
        });
        let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let all = curves.into_iter().chain([rsa]);
        all.map(|key| PrivateKey::new(key).unwrap()).collect()
    }

    #[test]
    fn it_is_what_notary_and_docker_make() {
        let gun = Gun::parse(&format!("reg.example:5000/{}", "long/".repeat(30) + "app")).unwrap();
        let now = Utc::now();
        for key in keys() {
            let listed = root_certificate(&key, &gun, now).unwrap();
            let made = X509::from_pem(listed.public()).unwrap();
            let public = made.public_key().unwrap();
            assert_eq!(public.public_key_to_der().unwrap(), key.public().public());
            assert!(made.verify(&public).unwrap());
            let text = String::from_utf8(made.to_text().unwrap()).unwrap();
            assert!(text.contains("Version: 3"), "{text}");
            assert!(
                text.contains("X509v3 Key Usage: critical\n                Digital Signature\n"),
                "{text}"
            );
            assert_eq!(text.matches("X509v3 ").count(), 2, "{text}");
            let names = made.subject_name().entries_by_nid(Nid::COMMONNAME);
            let names: Vec<&[u8]> = names.map(|name| name.data().as_slice()).collect();
            assert_eq!(names, [gun.as_str().as_bytes()]);
            assert_eq!(
                made.subject_name().to_der().unwrap(),
                made.issuer_name().to_der().unwrap()
            );
            let days = made.not_before().diff(made.not_after()).unwrap().days;
            assert_eq!(days, 3_650);
            let algorithm = made.signature_algorithm().object().nid();
            let expected = match listed.key_type() {
                KeyType::RsaX509 => Nid::SHA256WITHRSAENCRYPTION,
                _ => Nid::ECDSA_WITH_SHA256,
            };
            assert_eq!(algorithm, expected);
        }
    }

    /// A key whose holder signs with another one.
    struct Liar {
        said: PrivateKey,
        used: PrivateKey,
    }

    impl SigningKey for Liar {
        fn public(&self) -> &PublicKey {
            self.said.public()
        }

        fn sign(&self, message: &[u8]) -> Result<(SignatureMethod, Vec<u8>), KeyError> {
            self.used.sign(message)
        }

        fn sign_certificate(&self, certificate: &[u8]) -> Result<Vec<u8>, KeyError> {
            self.used.sign_certificate(certificate)
        }
    }

    #[test]
    fn a_signature_of_another_key_makes_no_certificate() {
        let (said, used) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
        let gun = Gun::parse("reg.example/app").unwrap();
        let refused = root_certificate(&Liar { said, used }, &gun, Utc::now());
        assert!(matches!(refused, Err(KeyError::Certificate(_))), "{refused:?}");
    }
}
