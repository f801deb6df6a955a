//! Reads a public key and determines its names.

use chrono::{DateTime, Utc};
use openssl::{
    error::ErrorStack,
    pkey::{Id, PKey, Public},
    x509::X509,
};
use platform::x509::hash_of_key;
use tuf::{KeyType, PublicKey};

use crate::store::AccountKey;

/// The minimum size of an RSA key in bits: clients refuse shorter ones.
const MIN_RSA_BITS: u32 = 2048;

/// Why a key cannot be registered.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    /// The text does not contain what it should.
    #[error("it holds no {0} in PEM")]
    Format(&'static str),
    /// The certificate is of another key.
    #[error("the certificate is not one of this public key")]
    OtherKey,
    /// The key cannot be used.
    #[error("the type or size of the key is not supported: use ECDSA, Ed25519, or RSA of at least 2048 bits")]
    Kind,
    /// OpenSSL reports an error.
    #[error("OpenSSL refuses the key: {}", platform::reason::of_openssl(.0))]
    OpenSsl(#[from] ErrorStack),
}

/// The text that contains a key, in PEM.
#[derive(Debug, Clone, Copy)]
pub enum KeyText<'a> {
    /// A certificate; the text may contain more after it.
    Certificate(&'a [u8]),
    /// A bare public key.
    PublicKey(&'a [u8]),
    /// A public key, and a certificate of it.
    Both(&'a [u8], &'a [u8]),
}

impl KeyText<'_> {
    /// Reads the key.
    ///
    /// # Errors
    /// When the text does not contain a key that can be registered.
    pub fn read(
        &self,
        label: Option<&str>,
        note: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<AccountKey, KeyFault> {
        let (key, certificate) = match self {
            Self::Certificate(text) => {
                let leaf = certificate(text)?;
                (leaf.public_key()?, Some(leaf))
            }
            Self::PublicKey(text) => (public_key(text)?, None),
            Self::Both(key, leaf) => {
                let (key, leaf) = (public_key(key)?, certificate(leaf)?);
                if !leaf.public_key()?.public_eq(&key) {
                    return Err(KeyFault::OtherKey);
                }
                (key, Some(leaf))
            }
        };
        let read = account_key(&key, certificate.as_ref(), label, now)?;
        Ok(AccountKey {
            note: note.map(str::to_owned),
            ..read
        })
    }
}

fn certificate(text: &[u8]) -> Result<X509, KeyFault> {
    let found = X509::stack_from_pem(text).unwrap_or_default();
    let first = found.into_iter().next();
    first.ok_or(KeyFault::Format("certificate (-----BEGIN CERTIFICATE-----)"))
}

fn public_key(text: &[u8]) -> Result<PKey<Public>, KeyFault> {
    PKey::public_key_from_pem(text).map_err(|_| KeyFault::Format("public key (-----BEGIN PUBLIC KEY-----)"))
}

fn account_key(
    key: &PKey<Public>,
    certificate: Option<&X509>,
    label: Option<&str>,
    now: DateTime<Utc>,
) -> Result<AccountKey, KeyFault> {
    let spki = key.public_key_to_der()?;
    let (bare, certified) = match key.id() {
        Id::EC => (
            PublicKey::new(KeyType::Ecdsa, spki.clone()),
            Some(KeyType::EcdsaX509),
        ),
        Id::RSA if key.bits() >= MIN_RSA_BITS => {
            (PublicKey::new(KeyType::Rsa, spki.clone()), Some(KeyType::RsaX509))
        }
        // Clients do not support certificates of Ed25519 keys.
        Id::ED25519 => (PublicKey::new(KeyType::Ed25519, key.raw_public_key()?), None),
        _ => return Err(KeyFault::Kind),
    };
    let pem = certificate.map(|certificate| certificate.to_pem()).transpose()?;
    let certificate_key_id = certified.zip(pem.clone()).map(|(key_type, pem)| {
        let key = PublicKey::new(key_type, pem);
        key.id().to_string()
    });
    Ok(AccountKey {
        spki_sha256: hash_of_key(key)?,
        label: label.map(str::to_owned),
        public_key: String::from_utf8_lossy(&key.public_key_to_pem()?).into_owned(),
        certificate: pem.map(|pem| String::from_utf8_lossy(&pem).into_owned()),
        key_id: bare.id().to_string(),
        certificate_key_id,
        created_at: now,
        note: None,
    })
}

#[cfg(test)]
mod tests {
    use platform::pki::{Issued, KeyKind, Template, Usage};

    use super::*;

    #[test]
    fn one_key_has_three_names_and_a_renewed_certificate_changes_one() {
        for (kind, certified) in [
            (KeyKind::P256, true),
            (KeyKind::Rsa(2048), true),
            (KeyKind::Ed25519, false),
        ] {
            let mut template = Template::new("alice", Usage::Client, 1);
            template.key = kind;
            let issued = Issued::self_signed(&template).unwrap();
            let key = issued.certificate.public_key().unwrap();
            let bare = account_key(&key, None, None, Utc::now()).unwrap();
            let with = account_key(&key, Some(&issued.certificate), None, Utc::now()).unwrap();
            assert_eq!(
                (&bare.spki_sha256, &bare.key_id),
                (&with.spki_sha256, &with.key_id)
            );
            assert_eq!(with.certificate_key_id.is_some(), certified);
            assert_eq!((bare.certificate, bare.certificate_key_id), (None, None));
            let names = [
                Some(&with.spki_sha256),
                Some(&with.key_id),
                with.certificate_key_id.as_ref(),
            ];
            let mut different: Vec<&String> = names.into_iter().flatten().collect();
            different.sort();
            different.dedup();
            assert_eq!(different.len(), names.iter().flatten().count());
        }
    }

    #[test]
    fn weak_and_unknown_keys_are_refused() {
        for key in [
            KeyKind::Rsa(1024).generate().unwrap(),
            PKey::generate_x25519().unwrap(),
        ] {
            let public = PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap();
            let refused = account_key(&public, None, None, Utc::now()).unwrap_err();
            assert!(matches!(refused, KeyFault::Kind), "{refused}");
        }
    }
}
