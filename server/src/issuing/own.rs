//! A client CA of the server's own, which signs requests of its clients. Nothing of a request gets into a certificate but its
//! public key: name, groups, purposes and days are the server's.

use openssl::{
    nid::Nid,
    pkey::{Id, PKey, Public},
    x509::{X509, X509Req},
};
use platform::pki::{Issued, Template, Usage};

use super::{
    IssuingError, authority,
    bundle::{UserName, check_group},
    files::Directory,
    index::{Index, Record},
};
use crate::config::IssuingSettings;

/// The curves whose keys are certified.
const CURVES: [Nid; 3] = [Nid::X9_62_PRIME256V1, Nid::SECP384R1, Nid::SECP521R1];
/// The sizes of RSA keys that are certified, in bits. Larger ones only cost time.
const RSA_BITS: std::ops::RangeInclusive<u32> = 2048..=8192;
/// The smallest public exponent of an RSA key that is certified.
const RSA_EXPONENT: u32 = 65_537;

/// How many valid certificates one name may have. The index, which is written as a whole, must not grow without end.
pub(crate) const VALID_PER_NAME: usize = 100;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum RequestFault {
    /// It is not a request.
    #[error("it is no certificate request in PEM (PKCS#10)")]
    Format,
    /// Whoever made it does not show that the key is theirs.
    #[error("its signature is not of its own key")]
    Signature,
    /// Its key is not certified.
    #[error("its key is not certified: use P-256, P-384, P-521, Ed25519, or RSA of 2048 to 8192 bits")]
    Key,
}

/// The public key of a request whose holder has shown that it has the private one.
pub struct CheckedRequest(PKey<Public>);

impl CheckedRequest {
    /// Reads a request and verifies it.
    ///
    /// # Errors
    /// When it is malformed, not signed by its own key, or its key is too weak.
    pub fn parse(pem: &str) -> Result<Self, RequestFault> {
        let request = X509Req::from_pem(pem.as_bytes()).map_err(|_| RequestFault::Format)?;
        let key = request.public_key().map_err(|_| RequestFault::Format)?;
        if !is_certified(&key) {
            return Err(RequestFault::Key);
        }
        if !request.verify(&key).unwrap_or(false) {
            return Err(RequestFault::Signature);
        }
        Ok(Self(key))
    }

    /// The key.
    pub fn key(&self) -> &PKey<Public> {
        &self.0
    }
}

fn is_certified(key: &PKey<Public>) -> bool {
    match key.id() {
        Id::EC => key.ec_key().is_ok_and(|key| {
            let curve = key.group().curve_name();
            curve.is_some_and(|curve| CURVES.contains(&curve)) && key.check_key().is_ok()
        }),
        Id::RSA => {
            RSA_BITS.contains(&key.bits())
                && key.rsa().is_ok_and(|key| {
                    let least = openssl::bn::BigNum::from_u32(RSA_EXPONENT);
                    least.is_ok_and(|least| key.e() >= &*least && key.e().is_odd())
                })
        }
        Id::ED25519 => true,
        _ => false,
    }
}

/// The CA.
pub struct OwnAuthority {
    directory: Directory,
    issued: Issued,
    days: u32,
    groups: Vec<String>,
}

impl OwnAuthority {
    /// Opens the CA of a configuration.
    ///
    /// # Errors
    /// When there is none, its key cannot be read, or a group cannot be named in a certificate.
    pub fn load(settings: &IssuingSettings) -> Result<Self, IssuingError> {
        if !settings.directory.is_dir() {
            return Err(IssuingError::NoAuthority(settings.directory.clone()));
        }
        settings.groups.iter().try_for_each(|group| check_group(group))?;
        let directory = Directory::make(&settings.directory)?;
        let passphrase = authority::passphrase(settings.passphrase_file.as_deref())?;
        let issued = authority::open(&directory, passphrase.as_deref())?;
        Ok(Self {
            directory,
            issued,
            days: settings.days,
            groups: settings.groups.clone(),
        })
    }

    /// The CA's certificate.
    pub fn certificate(&self) -> &X509 {
        &self.issued.certificate
    }

    /// Those of these groups that a certificate may name.
    pub fn groups_of(&self, groups: &[String]) -> Vec<String> {
        let mut named: Vec<String> = groups
            .iter()
            .filter(|group| self.groups.contains(group))
            .cloned()
            .collect();
        named.sort();
        named.dedup();
        named
    }

    /// Signs a certificate for the key of a request. It ends with the CA at the latest.
    ///
    /// # Errors
    /// When OpenSSL refuses.
    pub fn sign(
        &self,
        request: &CheckedRequest,
        name: &UserName,
        groups: &[String],
    ) -> Result<X509, IssuingError> {
        let mut template = Template::new(name.as_str(), Usage::Client, self.days);
        template.organisations = groups.to_vec();
        if let Some(end) = platform::tls::utc(self.issued.certificate.not_after()) {
            let left = (end - crate::clock::Clock::System.now()).num_seconds();
            template.validity.1 = template.validity.1.min(left);
        }
        Ok(self.issued.certify(&template, request.key())?)
    }

    /// Adds a certificate to the CA's index, by which it can be revoked later. It must not be handed out before.
    ///
    /// # Errors
    /// When the name has too many, or the index cannot be written.
    pub fn record(&self, certificate: &X509, name: &UserName, groups: &[String]) -> Result<(), IssuingError> {
        let mut index = Index::open(&self.directory)?;
        let now = crate::clock::Clock::System.now();
        let valid = index.records().iter().filter(|record| {
            record.name == name.as_str() && record.revoked.is_none() && record.not_after > now
        });
        if valid.count() >= VALID_PER_NAME {
            return Err(IssuingError::TooMany(name.as_str().to_owned()));
        }
        index.add(Record::of_certificate(certificate, name.as_str(), groups));
        index.save()
    }
}

#[cfg(test)]
mod tests {
    use openssl::{hash::MessageDigest, x509::X509ReqBuilder};
    use platform::pki::KeyKind;

    use super::*;

    fn request(kind: KeyKind) -> Vec<u8> {
        let key = kind.generate().unwrap();
        let mut builder = X509ReqBuilder::new().unwrap();
        builder.set_pubkey(&key).unwrap();
        let digest = if kind == KeyKind::Ed25519 {
            MessageDigest::null()
        } else {
            MessageDigest::sha256()
        };
        builder.sign(&key, digest).unwrap();
        builder.build().to_der().unwrap()
    }

    fn pem(der: &[u8]) -> String {
        use base64::{Engine, engine::general_purpose::STANDARD};
        format!(
            "-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n",
            STANDARD.encode(der)
        )
    }

    #[test]
    fn strong_keys_are_taken_and_weak_ones_are_not() {
        for good in [KeyKind::P256, KeyKind::P384, KeyKind::Rsa(2048), KeyKind::Ed25519] {
            assert!(CheckedRequest::parse(&pem(&request(good))).is_ok(), "{good:?}");
        }
        let weak = CheckedRequest::parse(&pem(&request(KeyKind::Rsa(1024))))
            .err()
            .unwrap();
        assert!(matches!(weak, RequestFault::Key), "{weak}");
    }

    #[test]
    fn a_request_has_to_be_signed_by_its_own_key() {
        let mut altered = request(KeyKind::P256);
        let last = altered.len() - 1;
        altered[last] ^= 1;
        let refused = CheckedRequest::parse(&pem(&altered)).err().unwrap();
        assert!(
            matches!(refused, RequestFault::Signature | RequestFault::Format),
            "{refused}"
        );
        for wrong in [
            "",
            "hello",
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        ] {
            assert!(CheckedRequest::parse(wrong).is_err());
        }
    }
}
