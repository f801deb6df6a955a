//! Private keys: making them, their form at rest, and signing.

use ed25519_dalek::{SECRET_KEY_LENGTH, Signer as _, SigningKey};
use openssl::{
    ec::{EcGroup, EcKey},
    ecdsa::EcdsaSig,
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private, Public},
    rsa::{Padding, Rsa},
    sign::{RsaPssSaltlen, Signer},
    x509::X509,
};
use signing::KeyAlgorithm;
use tuf::{KeyType, PublicKey};
use zeroize::Zeroizing;

/// A private key in use. Both libraries wipe it when it is dropped.
pub enum SecretKey {
    /// ECDSA; made on P-256, but stored keys of other curves work too.
    Ecdsa(EcKey<Private>),
    /// Ed25519.
    Ed25519(Box<SigningKey>),
    /// RSA; never made here, only found in the database.
    Rsa(PKey<Private>),
}

/// Why a private key cannot be made, read or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretKeyError {
    /// Keys of this type are not supported.
    #[error("its key type {0:?} is not supported")]
    UnknownType(String),
    /// The stored bytes are not a private key of the type.
    #[error("its private part is not a key of its type")]
    Malformed,
    /// OpenSSL failed. Its reason holds no key material.
    #[error("OpenSSL failed: {0}")]
    OpenSsl(String),
}

impl From<ErrorStack> for SecretKeyError {
    fn from(cause: ErrorStack) -> Self {
        Self::OpenSsl(platform::reason::of_openssl(&cause))
    }
}

impl SecretKey {
    /// A new key.
    ///
    /// # Errors
    /// When OpenSSL fails.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, SecretKeyError> {
        match algorithm {
            KeyAlgorithm::Ecdsa => {
                let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
                Ok(Self::Ecdsa(EcKey::generate(&group)?))
            }
            KeyAlgorithm::Ed25519 => {
                let mut seed = Zeroizing::new([0; SECRET_KEY_LENGTH]);
                openssl::rand::rand_priv_bytes(seed.as_mut())?;
                Ok(Self::Ed25519(Box::new(SigningKey::from_bytes(&seed))))
            }
        }
    }

    /// Reads the form at rest: SEC1 `ECPrivateKey` DER (RFC 5915) for ECDSA, the public key, the
    /// seed and the public key again (96 bytes) for Ed25519, PKCS#1 DER for RSA.
    ///
    /// # Errors
    /// When the bytes are something else.
    pub fn from_plaintext(key_type: &KeyType, plaintext: &[u8]) -> Result<Self, SecretKeyError> {
        match key_type {
            KeyType::Ecdsa | KeyType::EcdsaX509 => EcKey::private_key_from_der(plaintext)
                .and_then(|key| key.check_key().map(|()| Self::Ecdsa(key)))
                .map_err(|_| SecretKeyError::Malformed),
            KeyType::Ed25519 => ed25519_from_plaintext(plaintext).ok_or(SecretKeyError::Malformed),
            KeyType::Rsa | KeyType::RsaX509 => Rsa::private_key_from_der(plaintext)
                .and_then(PKey::from_rsa)
                .map(Self::Rsa)
                .map_err(|_| SecretKeyError::Malformed),
            KeyType::Other(name) => Err(SecretKeyError::UnknownType(name.clone())),
        }
    }

    /// The form at rest; see [`SecretKey::from_plaintext`].
    ///
    /// # Errors
    /// When OpenSSL fails.
    pub fn to_plaintext(&self) -> Result<Zeroizing<Vec<u8>>, SecretKeyError> {
        Ok(Zeroizing::new(match self {
            Self::Ecdsa(key) => key.private_key_to_der()?,
            Self::Rsa(key) => key.rsa()?.private_key_to_der()?,
            Self::Ed25519(key) => {
                let public = key.verifying_key();
                [public.as_bytes().as_slice(), key.as_bytes(), public.as_bytes()].concat()
            }
        }))
    }

    /// The public half as a TUF key of type `key_type`: DER SubjectPublicKeyInfo, or 32 raw bytes
    /// for Ed25519.
    ///
    /// # Errors
    /// When OpenSSL fails.
    pub fn public_key(&self, key_type: &KeyType) -> Result<PublicKey, SecretKeyError> {
        let public = match self {
            Self::Ecdsa(key) => key.public_key_to_der()?,
            Self::Rsa(key) => key.public_key_to_der()?,
            Self::Ed25519(key) => key.verifying_key().to_bytes().to_vec(),
        };
        Ok(PublicKey::new(key_type.clone(), public))
    }

    /// Whether `public` is the public half of this key.
    pub fn belongs_to(&self, public: &PublicKey) -> bool {
        let given = match public.key_type() {
            KeyType::EcdsaX509 | KeyType::RsaX509 => match certified_key(public.public()) {
                Some(key) => key.public_key_to_der(),
                None => return false,
            },
            _ => Ok(public.public().to_vec()),
        };
        match (self.public_key(public.key_type()), given) {
            (Ok(own), Ok(given)) => own.public() == given,
            _ => false,
        }
    }

    /// The name of the signature method, as replies carry it.
    pub fn method(&self) -> &'static str {
        match self {
            Self::Ecdsa(_) => "ecdsa",
            Self::Ed25519(_) => "eddsa",
            Self::Rsa(_) => "rsapss",
        }
    }

    /// Signs. ECDSA gives `r||s`, each padded to the size of the curve; RSA gives PSS with SHA-256
    /// and a salt of 32 bytes.
    ///
    /// `digest` must be the SHA-256 of `content`.
    ///
    /// # Errors
    /// When OpenSSL fails.
    pub fn sign(&self, content: &[u8], digest: &[u8; 32]) -> Result<Vec<u8>, SecretKeyError> {
        match self {
            Self::Ecdsa(key) => {
                let half = (key.group().order_bits().div_ceil(8))
                    .try_into()
                    .unwrap_or(i32::MAX);
                let signature = EcdsaSig::sign(digest, key)?;
                let mut bytes = signature.r().to_vec_padded(half)?;
                bytes.extend(signature.s().to_vec_padded(half)?);
                Ok(bytes)
            }
            Self::Ed25519(key) => Ok(key.sign(content).to_bytes().to_vec()),
            Self::Rsa(key) => {
                let mut signer = Signer::new(MessageDigest::sha256(), key)?;
                signer.set_rsa_padding(Padding::PKCS1_PSS)?;
                signer.set_rsa_mgf1_md(MessageDigest::sha256())?;
                signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
                Ok(signer.sign_oneshot_to_vec(content)?)
            }
        }
    }
}

fn ed25519_from_plaintext(plaintext: &[u8]) -> Option<SecretKey> {
    let (first, rest) = plaintext.split_at_checked(SECRET_KEY_LENGTH)?;
    let (seed, second) = rest.split_at_checked(SECRET_KEY_LENGTH)?;
    let seed: Zeroizing<[u8; SECRET_KEY_LENGTH]> = Zeroizing::new(seed.try_into().ok()?);
    let key = SigningKey::from_bytes(&seed);
    let public = key.verifying_key();
    (first == public.as_bytes() && second == public.as_bytes()).then(|| SecretKey::Ed25519(Box::new(key)))
}

fn certified_key(certificate: &[u8]) -> Option<PKey<Public>> {
    X509::from_pem(certificate)
        .or_else(|_| X509::from_der(certificate))
        .ok()?
        .public_key()
        .ok()
}

#[cfg(test)]
mod tests {
    use openssl::sha::sha256;
    use tuf::{SignatureMethod, verify_signature};

    use super::*;
    use crate::test_vectors;

    fn parse(row: &test_vectors::Row) -> (SecretKey, PublicKey) {
        let key_type = KeyType::parse(&row.algorithm);
        let plaintext = hex::decode(&row.plaintext_hex).unwrap();
        let public = PublicKey::new(key_type.clone(), hex::decode(&row.public_hex).unwrap());
        (SecretKey::from_plaintext(&key_type, &plaintext).unwrap(), public)
    }

    fn signs(secret: &SecretKey, public: &PublicKey, method: SignatureMethod) -> bool {
        let bytes = secret.sign(b"content", &sha256(b"content")).unwrap();
        verify_signature(public, method, b"content", &bytes).is_ok()
    }

    #[test]
    fn keys_of_the_notary_signer_are_read_and_written_byte_for_byte() {
        for row in test_vectors::rows() {
            let (secret, public) = parse(&row);
            assert_eq!(hex::encode(&*secret.to_plaintext().unwrap()), row.plaintext_hex);
            assert!(secret.belongs_to(&public));
            assert_eq!(public.id().as_str(), row.key_id);
        }
    }

    #[test]
    fn new_keys_have_the_notary_signers_form_and_sign() {
        for (algorithm, length, method) in [
            (KeyAlgorithm::Ecdsa, 121, SignatureMethod::Ecdsa),
            (KeyAlgorithm::Ed25519, 96, SignatureMethod::EdDsa),
        ] {
            let secret = SecretKey::generate(algorithm).unwrap();
            let public = secret.public_key(&algorithm.key_type()).unwrap();
            let plaintext = secret.to_plaintext().unwrap();
            assert_eq!(plaintext.len(), length);
            let again = SecretKey::from_plaintext(&algorithm.key_type(), &plaintext).unwrap();
            assert!(again.belongs_to(&public));
            assert!(signs(&again, &public, method));
            assert_eq!(again.sign(b"", &sha256(b"")).unwrap().len(), 64);
        }
    }

    #[test]
    fn stored_keys_of_other_kinds_sign() {
        let rsa = SecretKey::Rsa(PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap());
        let again = SecretKey::from_plaintext(&KeyType::Rsa, &rsa.to_plaintext().unwrap()).unwrap();
        assert!(signs(
            &again,
            &rsa.public_key(&KeyType::Rsa).unwrap(),
            SignatureMethod::RsaPss
        ));
        for (curve, length) in [(Nid::SECP224R1, 56), (Nid::SECP384R1, 96), (Nid::SECP521R1, 132)] {
            let key = EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap();
            assert_eq!(
                SecretKey::Ecdsa(key).sign(b"", &sha256(b"")).unwrap().len(),
                length
            );
        }
    }

    #[test]
    fn other_forms_are_refused() {
        let ecdsa = EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap();
        let pkcs8 = PKey::from_ec_key(ecdsa).unwrap().private_key_to_pkcs8().unwrap();
        let refused = |key_type, bytes: &[u8]| SecretKey::from_plaintext(&key_type, bytes).err();
        assert_eq!(refused(KeyType::Ecdsa, &pkcs8), Some(SecretKeyError::Malformed));
        let ed25519 = SecretKey::generate(KeyAlgorithm::Ed25519)
            .unwrap()
            .to_plaintext()
            .unwrap();
        for wrong in [
            &ed25519[..64],
            &ed25519[32..],
            &[ed25519.as_slice(), &[0]].concat(),
            &[0; 96],
            b"",
        ] {
            assert_eq!(refused(KeyType::Ed25519, wrong), Some(SecretKeyError::Malformed));
        }
        let unknown = SecretKeyError::UnknownType("sphincs".to_owned());
        assert_eq!(refused(KeyType::Other("sphincs".to_owned()), b"x"), Some(unknown));
    }

    #[test]
    fn another_keys_public_half_is_noticed() {
        let rows = test_vectors::rows();
        let (one, _) = parse(&rows[0]);
        let (_, other) = parse(&rows[1]);
        assert!(!one.belongs_to(&other));
    }
}
