//! Public keys and the key IDs that name them.

use std::fmt;

use openssl::pkey::{Id, PKey};
use thiserror::Error;

use crate::canonical::push_string;
use crate::encoding::encode_base64;
use crate::pem::first_public_key;
use crate::spki::{rsa_key, rsa_key_from_pem};

/// The ID of a key: the SHA-256 of its canonical form, as 64 lower case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

/// The text is not a key ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a key ID is written as 64 lower case hexadecimal digits")]
pub struct KeyIdError;

/// The kind of a public key, which says how its public value is encoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// `ecdsa`: DER SubjectPublicKeyInfo.
    Ecdsa,
    /// `rsa`: DER SubjectPublicKeyInfo (PEM for the method of PyCrypto).
    Rsa,
    /// `ed25519`: the 32 bytes of the key.
    Ed25519,
    /// `ecdsa-x509`: PEM certificates, leaf first.
    EcdsaX509,
    /// `rsa-x509`: PEM certificates, leaf first.
    RsaX509,
    /// Any other text. Such keys are kept in documents, but no signature by them verifies.
    Other(String),
}

/// A public key as metadata carries it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    key_type: KeyType,
    public: Vec<u8>,
    id: KeyId,
}

impl KeyId {
    /// Reads a key ID.
    ///
    /// # Errors
    ///
    /// Refuses everything but 64 lower case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, KeyIdError> {
        let digit = |b| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 64 && text.bytes().all(digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(KeyIdError)
        }
    }

    /// 64 lower case hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl KeyType {
    /// Reads a key type; texts that are not known are kept.
    pub fn parse(text: &str) -> Self {
        match text {
            "ecdsa" => Self::Ecdsa,
            "rsa" => Self::Rsa,
            "ed25519" => Self::Ed25519,
            "ecdsa-x509" => Self::EcdsaX509,
            "rsa-x509" => Self::RsaX509,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The type as metadata writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ecdsa => "ecdsa",
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
            Self::EcdsaX509 => "ecdsa-x509",
            Self::RsaX509 => "rsa-x509",
            Self::Other(text) => text,
        }
    }
}

impl PublicKey {
    /// A key from its type and its public value in the encoding of that type. The value is not parsed before a
    /// signature is verified with it.
    pub fn new(key_type: KeyType, public: Vec<u8>) -> Self {
        let id = compute_id(&key_type, &public);
        Self { key_type, public, id }
    }

    /// The kind of the key.
    pub fn key_type(&self) -> &KeyType {
        &self.key_type
    }

    /// The public value, before base64.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The computed ID. Metadata may list a key under another one, which then never verifies.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The SHA-256 of the bare public key as a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), which is the same
    /// for a key and for every certificate of it; `None` if the key is not usable.
    pub fn spki_sha256(&self) -> Option<[u8; 32]> {
        let info = match self.key_type {
            KeyType::EcdsaX509 | KeyType::RsaX509 => first_public_key(&self.public)?,
            KeyType::Ecdsa | KeyType::Rsa => self.public.clone(),
            KeyType::Ed25519 => PKey::public_key_from_raw_bytes(&self.public, Id::ED25519)
                .and_then(|key| key.public_key_to_der())
                .ok()?,
            KeyType::Other(_) => return None,
        };
        Some(openssl::sha::sha256(&info))
    }

    /// A value that is equal for all forms in which the public half of one private key may be listed: bare, in any
    /// certificate, in any encoding that verifies signatures; `None` if the key is not usable.
    pub fn identity(&self) -> Option<[u8; 32]> {
        let info = match self.key_type {
            KeyType::Rsa => {
                let key = rsa_key(&self.public).or_else(|_| rsa_key_from_pem(&self.public));
                key.ok()?.public_key_to_der().ok()?
            }
            KeyType::Ed25519 => {
                let public = self.public.as_slice().try_into().ok()?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(public).ok()?;
                // By adding a point of small order one gets another public key that verifies signatures of the same
                // private key.
                key.to_edwards().mul_by_cofactor().compress().to_bytes().to_vec()
            }
            _ => return self.spki_sha256(),
        };
        Some(openssl::sha::sha256(&info))
    }

    /// The key itself: for a certificate the key in it, otherwise the same. Its ID is the one that `notary key list`
    /// shows for a root key, whose certificate has another ID in every root that lists it. `None` if there is no usable
    /// certificate.
    pub fn bare(&self) -> Option<Self> {
        let key_type = match self.key_type {
            KeyType::EcdsaX509 => KeyType::Ecdsa,
            KeyType::RsaX509 => KeyType::Rsa,
            _ => return Some(self.clone()),
        };
        Some(Self::new(key_type, first_public_key(&self.public)?))
    }

    /// The answer of the key endpoints: one line of JSON, `public` before `private`.
    pub fn to_endpoint_json(&self) -> String {
        let key_type = serde_json::Value::from(self.key_type.as_str());
        let public = encode_base64(&self.public);
        format!(r#"{{"keytype":{key_type},"keyval":{{"public":"{public}","private":null}}}}"#)
    }
}

fn compute_id(key_type: &KeyType, public: &[u8]) -> KeyId {
    let mut message = br#"{"keytype":"#.to_vec();
    push_string(&mut message, key_type.as_str());
    message.extend_from_slice(br#","keyval":{"private":null,"public":"#);
    push_string(&mut message, &encode_base64(public));
    message.extend_from_slice(b"}}");
    KeyId(hex::encode(openssl::sha::sha256(&message)))
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.key_type.as_str(), self.id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::decode_base64;

    const PUBLIC: &str = "Gz2Msb7NKWDX7+Yp+vmfQapaOxi9Tq6egYE7Pq1ca/g=";
    const ID: &str = "5b7852458033845fa1da5371f416a6c003e84444cd5dfabfd1f2c2ceaddc55ac";

    #[test]
    fn id_is_the_hash_of_the_canonical_key_without_private_value() {
        let key = PublicKey::new(KeyType::Ed25519, decode_base64(PUBLIC).unwrap());
        assert_eq!(key.id().as_str(), ID);
    }

    #[test]
    fn endpoint_answer_has_public_before_private() {
        let key = PublicKey::new(KeyType::Ed25519, decode_base64(PUBLIC).unwrap());
        assert_eq!(
            key.to_endpoint_json(),
            format!(r#"{{"keytype":"ed25519","keyval":{{"public":"{PUBLIC}","private":null}}}}"#)
        );
    }

    #[test]
    fn key_types_print_as_they_were_read() {
        for text in ["ecdsa", "rsa", "ed25519", "ecdsa-x509", "rsa-x509", "sphincs\"+"] {
            assert_eq!(KeyType::parse(text).as_str(), text);
        }
        assert_eq!(KeyType::parse("ECDSA"), KeyType::Other("ECDSA".into()));
    }

    #[test]
    fn ed25519_keys_that_differ_in_a_point_of_small_order_are_one() {
        let point = |bytes: &[u8]| {
            let key = ed25519_dalek::VerifyingKey::from_bytes(bytes.try_into().unwrap()).unwrap();
            key.to_edwards()
        };
        let public = decode_base64(PUBLIC).unwrap();
        let order_eight =
            hex::decode("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa").unwrap();
        let shifted = (point(&public) + point(&order_eight))
            .compress()
            .to_bytes()
            .to_vec();
        let key = |public: &[u8]| PublicKey::new(KeyType::Ed25519, public.to_vec());
        assert_ne!(key(&public).id(), key(&shifted).id());
        assert_eq!(key(&public).identity(), key(&shifted).identity());
        assert_ne!(key(&public).identity(), key(&order_eight).identity());
        assert_eq!(key(&[0xff; 31]).identity(), None);
    }

    #[test]
    fn only_lower_case_hexadecimal_is_a_key_id() {
        assert_eq!(KeyId::parse(ID).unwrap().as_str(), ID);
        for text in ["", &ID[1..], &ID.to_uppercase()] {
            assert_eq!(KeyId::parse(text), Err(KeyIdError));
        }
    }
}
