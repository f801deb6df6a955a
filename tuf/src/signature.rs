//! Signatures and the methods they are made with.
//!
//! The message is always a canonical form; every method but EdDSA signs its SHA-256.

use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Public};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Verifier};
use thiserror::Error;

use crate::key::{KeyId, KeyType, PublicKey};
use crate::pem::first_public_key;
use crate::spki::{KeyError, ecdsa_key, rsa_key, rsa_key_from_pem};

/// Smallest RSA signature, in bytes.
const MIN_RSA_SIGNATURE: usize = 256;

/// How a signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureMethod {
    /// `ecdsa`: r and s as big-endian numbers of the curve's width, concatenated.
    Ecdsa,
    /// `rsapss`: PSS with MGF1 of SHA-256 and a salt of 32 bytes.
    RsaPss,
    /// `rsapkcs1v15`: PKCS#1 v1.5. Only verified, never made.
    RsaPkcs1v15,
    /// `eddsa`: Ed25519 over the message itself.
    EdDsa,
    /// `pycrypto-pkcs#1 pss`: like `rsapss`, by a key whose public value is PEM. Only verified, never made.
    PyCrypto,
}

/// A signature by a key that has an ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The key that made it.
    pub key_id: KeyId,
    /// How it was made.
    pub method: SignatureMethod,
    /// The bytes, before base64, laid out as the method says.
    pub bytes: Vec<u8>,
}

/// Why a signature does not verify.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// Keys of this type do not sign with this method.
    #[error("a key of type {0} does not sign with method {1}")]
    MethodForKey(String, &'static str),
    /// The public value is not a key that may verify.
    #[error("the public key is not usable: {0}")]
    Key(String),
    /// The signature has not the length the method demands.
    #[error("the signature has a wrong length")]
    Length,
    /// The signature was not made by this key over this message.
    #[error("the signature does not match")]
    Mismatch,
}

impl SignatureMethod {
    /// The method by which the server signs with a key of this type; `None` for types that it does not sign with.
    pub fn for_key(key: &PublicKey) -> Option<Self> {
        match key.key_type() {
            KeyType::Ecdsa | KeyType::EcdsaX509 => Some(Self::Ecdsa),
            KeyType::Rsa | KeyType::RsaX509 => Some(Self::RsaPss),
            KeyType::Ed25519 => Some(Self::EdDsa),
            KeyType::Other(_) => None,
        }
    }

    /// Reads a method, in any case; `None` if it is not known.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Ecdsa,
            Self::RsaPss,
            Self::RsaPkcs1v15,
            Self::EdDsa,
            Self::PyCrypto,
        ]
        .into_iter()
        .find(|method| text.eq_ignore_ascii_case(method.as_str()))
    }

    /// The method as metadata writes it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ecdsa => "ecdsa",
            Self::RsaPss => "rsapss",
            Self::RsaPkcs1v15 => "rsapkcs1v15",
            Self::EdDsa => "eddsa",
            Self::PyCrypto => "pycrypto-pkcs#1 pss",
        }
    }
}

/// Verifies that the key made the signature over the message.
///
/// # Errors
///
/// Fails when method and key type do not go together, when the key is not usable (wrong encoding, a curve other
/// than P-224, P-256, P-384 and P-521, RSA below 2,048 bits), and when the signature is not right.
pub fn verify_signature(
    key: &PublicKey,
    method: SignatureMethod,
    message: &[u8],
    sig: &[u8],
) -> Result<(), SignatureError> {
    use SignatureMethod as M;
    let public = key.public();
    match (method, key.key_type()) {
        (M::Ecdsa, KeyType::Ecdsa) => verify_ecdsa(public, message, sig),
        (M::Ecdsa, KeyType::EcdsaX509) => verify_ecdsa(&certified(public)?, message, sig),
        (M::RsaPss, KeyType::Rsa) => verify_pss(&rsa_key(public)?, message, sig),
        (M::RsaPss, KeyType::RsaX509) => verify_pss(&rsa_key(&certified(public)?)?, message, sig),
        (M::RsaPkcs1v15, KeyType::Rsa) => verify_pkcs1(&rsa_key(public)?, message, sig),
        (M::RsaPkcs1v15, KeyType::RsaX509) => verify_pkcs1(&rsa_key(&certified(public)?)?, message, sig),
        (M::PyCrypto, KeyType::Rsa) => verify_pss(&rsa_key_from_pem(public)?, message, sig),
        (M::EdDsa, KeyType::Ed25519) => verify_ed25519(public, message, sig),
        (method, other) => Err(SignatureError::MethodForKey(other.to_string(), method.as_str())),
    }
}

/// The key of the first certificate. Its dates do not matter here.
fn certified(pem: &[u8]) -> Result<Vec<u8>, SignatureError> {
    first_public_key(pem).ok_or_else(|| SignatureError::Key("not a certificate".into()))
}

fn verify_ecdsa(spki: &[u8], message: &[u8], sig: &[u8]) -> Result<(), SignatureError> {
    let (key, width) = ecdsa_key(spki)?;
    if sig.len() != 2 * width {
        return Err(SignatureError::Length);
    }
    let (r, s) = sig.split_at(width);
    let digest = openssl::sha::sha256(message);
    let verified = BigNum::from_slice(r)
        .and_then(|r| EcdsaSig::from_private_components(r, BigNum::from_slice(s)?))
        .and_then(|sig| sig.verify(&digest, &key));
    matched(verified)
}

fn verify_pss(key: &PKey<Public>, message: &[u8], sig: &[u8]) -> Result<(), SignatureError> {
    check_rsa_length(sig)?;
    let verified = Verifier::new(MessageDigest::sha256(), key).and_then(|mut verifier| {
        verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
        verifier.set_rsa_mgf1_md(MessageDigest::sha256())?;
        verifier.set_rsa_pss_saltlen(RsaPssSaltlen::custom(32))?;
        verifier.verify_oneshot(sig, message)
    });
    matched(verified)
}

fn verify_pkcs1(key: &PKey<Public>, message: &[u8], sig: &[u8]) -> Result<(), SignatureError> {
    check_rsa_length(sig)?;
    let verified = Verifier::new(MessageDigest::sha256(), key).and_then(|mut verifier| {
        verifier.set_rsa_padding(Padding::PKCS1)?;
        verifier.verify_oneshot(sig, message)
    });
    matched(verified)
}

fn check_rsa_length(sig: &[u8]) -> Result<(), SignatureError> {
    if sig.len() < MIN_RSA_SIGNATURE {
        Err(SignatureError::Length)
    } else {
        Ok(())
    }
}

fn verify_ed25519(public: &[u8], message: &[u8], sig: &[u8]) -> Result<(), SignatureError> {
    let public = public
        .try_into()
        .map_err(|_| SignatureError::Key("not 32 bytes long".into()))?;
    let key = ed25519_dalek::VerifyingKey::from_bytes(public)
        .map_err(|_| SignatureError::Key("not a point of the curve".into()))?;
    let sig = ed25519_dalek::Signature::from_slice(sig).map_err(|_| SignatureError::Length)?;
    // Strict: under a key of small order one signature would verify for every message.
    key.verify_strict(message, &sig)
        .map_err(|_| SignatureError::Mismatch)
}

/// Some wrong signatures are errors to the library, such as numbers out of range and bad padding. They count as wrong.
fn matched(verified: Result<bool, ErrorStack>) -> Result<(), SignatureError> {
    match verified {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(SignatureError::Mismatch),
    }
}

impl From<KeyError> for SignatureError {
    fn from(error: KeyError) -> Self {
        Self::Key(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_read_in_any_case() {
        for method in ["ecdsa", "rsapss", "rsapkcs1v15", "eddsa", "pycrypto-pkcs#1 pss"] {
            assert_eq!(
                SignatureMethod::parse(&method.to_uppercase()).unwrap().as_str(),
                method
            );
        }
        assert_eq!(SignatureMethod::parse("hmac"), None);
    }

    #[test]
    fn a_key_of_another_type_signs_with_no_method() {
        let key = PublicKey::new(KeyType::Other("dsa".into()), vec![1]);
        assert_eq!(SignatureMethod::for_key(&key), None);
    }

    #[test]
    fn an_ed25519_key_of_small_order_verifies_nothing() {
        // The neutral point as key and as R, with s = 0, satisfies the plain equation for every message.
        let mut neutral = vec![0; 32];
        neutral[0] = 1;
        let sig = [neutral.clone(), vec![0; 32]].concat();
        let key = PublicKey::new(KeyType::Ed25519, neutral);
        assert_eq!(
            verify_signature(&key, SignatureMethod::EdDsa, b"anything", &sig),
            Err(SignatureError::Mismatch)
        );
    }
}
