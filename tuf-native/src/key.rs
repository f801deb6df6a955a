//! Public keys as TUF 1.0 metadata carries them.

use std::fmt;

use openssl::ec::EcKey;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Public};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Verifier};
use serde_json::{Value, json};
use thiserror::Error;
pub use tuf::KeyId;

/// Smallest RSA modulus, in bits: tough refuses less.
const MIN_RSA_BITS: u32 = 2048;

/// Largest RSA modulus, in bits: tough refuses more.
const MAX_RSA_BITS: u32 = 8192;

/// The three kinds of keys that every client verifies with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `ecdsa` with `ecdsa-sha2-nistp256`: the public value is a SubjectPublicKeyInfo in PEM, signatures are in DER.
    EcdsaP256,
    /// `ed25519` with `ed25519`: the public value is hexadecimal, signatures are 64 bytes.
    Ed25519,
    /// `rsa` with `rsassa-pss-sha256`: the public value is a SubjectPublicKeyInfo in PEM of 2048 to 8192 bits; the salt
    /// has the length of the hash.
    RsaPss,
}

/// A public key that every client of TUF 1.0 verifies with.
#[derive(Clone)]
pub struct PublicKey {
    scheme: Scheme,
    /// The public value as it is written in metadata.
    public: String,
    verifier: Usable,
    id: KeyId,
    identity: [u8; 32],
}

#[derive(Clone)]
enum Usable {
    Ed25519(ed25519_dalek::VerifyingKey),
    Library(PKey<Public>),
}

/// Why something is not a [`PublicKey`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not every client knows keys of this type and scheme.
    #[error(
        "keys of type {0:?} with scheme {1:?} are not read by every client: use ecdsa with ecdsa-sha2-nistp256, ed25519 \
         with ed25519, or rsa with rsassa-pss-sha256"
    )]
    Scheme(String, String),
    /// The JSON is not a key.
    #[error("a key has the members keytype, scheme and keyval, and keyval has the member public alone")]
    Shape,
    /// Clients would compute different key IDs, or not read the key.
    #[error("the public value of a {0} key is written {1}")]
    Encoding(&'static str, &'static str),
    /// The RSA modulus is too short or too long.
    #[error("RSA keys have 2048 to 8192 bits, this one has {0}")]
    RsaBits(u32),
    /// The value is no point of the curve, or the library does not read it.
    #[error("the public value is not a usable {0} key")]
    Unusable(&'static str),
}

impl Scheme {
    /// `keytype`, as metadata writes it.
    pub fn key_type(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa",
            Self::Ed25519 => "ed25519",
            Self::RsaPss => "rsa",
        }
    }

    /// `scheme`, as metadata writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::Ed25519 => "ed25519",
            Self::RsaPss => "rsassa-pss-sha256",
        }
    }

    fn parse(key_type: &str, scheme: &str) -> Option<Self> {
        [Self::EcdsaP256, Self::Ed25519, Self::RsaPss]
            .into_iter()
            .find(|known| known.key_type() == key_type && known.as_str() == scheme)
    }
}

impl PublicKey {
    /// An ECDSA key on P-256 from its SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// Refuses other curves, and other encodings than a named curve with an uncompressed point.
    pub fn from_p256_der(der: &[u8]) -> Result<Self, KeyError> {
        let key = read_p256(der).ok_or(KeyError::Unusable("ecdsa"))?;
        Self::new(Scheme::EcdsaP256, pem(&key)?, Usable::Library(key), der)
    }

    /// An Ed25519 key from its 32 bytes.
    ///
    /// # Errors
    /// Refuses bytes that are not a point of the curve, and points of small order, with which anything verifies.
    pub fn from_ed25519(raw: &[u8]) -> Result<Self, KeyError> {
        let unusable = KeyError::Unusable("ed25519");
        let bytes: &[u8; 32] = raw.try_into().map_err(|_| unusable.clone())?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| unusable.clone())?;
        if key.is_weak() {
            return Err(unusable);
        }
        // By adding a point of small order one gets another public key that verifies signatures of the same private key.
        let same = key.to_edwards().mul_by_cofactor().compress().to_bytes();
        Self::new(Scheme::Ed25519, hex::encode(raw), Usable::Ed25519(key), &same)
    }

    /// An RSA key from its SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// Refuses keys of less than 2048 or more than 8192 bits, and other encodings.
    pub fn from_rsa_der(der: &[u8]) -> Result<Self, KeyError> {
        let key = read_rsa(der)?;
        Self::new(Scheme::RsaPss, pem(&key)?, Usable::Library(key), der)
    }

    /// The public half of a key that OpenSSL holds.
    ///
    /// # Errors
    /// Refuses keys that not every client verifies with.
    pub fn from_pkey<T: openssl::pkey::HasPublic>(key: &PKey<T>) -> Result<Self, KeyError> {
        let der = || key.public_key_to_der().map_err(|_| KeyError::Shape);
        match key.id() {
            Id::EC => Self::from_p256_der(&der()?),
            Id::RSA => Self::from_rsa_der(&der()?),
            Id::ED25519 => Self::from_ed25519(&key.raw_public_key().map_err(|_| KeyError::Shape)?),
            other => Err(KeyError::Scheme(format!("{other:?}"), String::new())),
        }
    }

    /// The same key as one of a Notary repository: its bare form, without a certificate.
    ///
    /// # Errors
    /// Refuses keys that not every client of TUF 1.0 verifies with, such as P-384.
    pub fn from_notary(key: &tuf::PublicKey) -> Result<Self, KeyError> {
        let bare = key.bare().ok_or(KeyError::Shape)?;
        match bare.key_type() {
            tuf::KeyType::Ecdsa => Self::from_p256_der(bare.public()),
            tuf::KeyType::Rsa => Self::from_rsa_der(bare.public()),
            tuf::KeyType::Ed25519 => Self::from_ed25519(bare.public()),
            other => Err(KeyError::Scheme(other.as_str().to_owned(), String::new())),
        }
    }

    /// The same key as Notary repositories, signers and stores of keys know it, bare; `None` if the library cannot write it.
    pub fn to_notary(&self) -> Option<tuf::PublicKey> {
        let (key_type, public) = match (&self.verifier, self.scheme) {
            (Usable::Ed25519(key), _) => (tuf::KeyType::Ed25519, key.to_bytes().to_vec()),
            (Usable::Library(key), Scheme::RsaPss) => (tuf::KeyType::Rsa, key.public_key_to_der().ok()?),
            (Usable::Library(key), _) => (tuf::KeyType::Ecdsa, key.public_key_to_der().ok()?),
        };
        Some(tuf::PublicKey::new(key_type, public))
    }

    /// Reads a key of metadata, which must be written as every client reads it.
    ///
    /// # Errors
    /// Refuses further members, other types and schemes than the three of [`Scheme`], PEM with other line ends or
    /// lengths than 64 characters, and hexadecimal in upper case.
    pub fn from_json(value: &Value) -> Result<Self, KeyError> {
        let members = value.as_object().ok_or(KeyError::Shape)?;
        let text = |value: Option<&Value>| {
            value
                .and_then(Value::as_str)
                .map(str::to_owned)
                .ok_or(KeyError::Shape)
        };
        let (key_type, scheme) = (text(members.get("keytype"))?, text(members.get("scheme"))?);
        let scheme = Scheme::parse(&key_type, &scheme).ok_or(KeyError::Scheme(key_type, scheme))?;
        let keyval = members
            .get("keyval")
            .and_then(Value::as_object)
            .ok_or(KeyError::Shape)?;
        let public = text(keyval.get("public"))?;
        if members.len() != 3 || keyval.len() != 1 {
            return Err(KeyError::Shape);
        }
        let read = match scheme {
            Scheme::Ed25519 => hex::decode(&public).ok().map(|raw| Self::from_ed25519(&raw)),
            Scheme::EcdsaP256 => pem_to_der(&public).map(|der| Self::from_p256_der(&der)),
            Scheme::RsaPss => pem_to_der(&public).map(|der| Self::from_rsa_der(&der)),
        };
        let how = match scheme {
            Scheme::Ed25519 => "as 64 lower case hexadecimal digits",
            _ => "as SubjectPublicKeyInfo in PEM with lines of 64 characters that end in a line feed",
        };
        let wrong = KeyError::Encoding(scheme.key_type(), how);
        let key = read.ok_or_else(|| wrong.clone())??;
        if public == key.public {
            return Ok(key);
        }
        // python-tuf writes a line feed after the last line, tough does not. Each is another text with another key ID.
        if public.strip_suffix('\n') == Some(&key.public) {
            let id = id_of(scheme, &public)?;
            return Ok(Self { public, id, ..key });
        }
        Err(wrong)
    }

    fn new(scheme: Scheme, public: String, verifier: Usable, identity: &[u8]) -> Result<Self, KeyError> {
        Ok(Self {
            id: id_of(scheme, &public)?,
            scheme,
            public,
            verifier,
            identity: openssl::sha::sha256(identity),
        })
    }

    /// Its key ID: the SHA-256 of its canonical form (specification 1.0, section 4.2).
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// Its type and scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The public value as metadata carries it: PEM, or hexadecimal.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// A value that is equal for all keys whose signatures one private key makes, however they are written.
    pub fn identity(&self) -> &[u8; 32] {
        &self.identity
    }

    /// The key as metadata carries it.
    pub fn to_json(&self) -> Value {
        key_json(self.scheme, &self.public)
    }

    /// Whether the private half made this signature over the message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.verifier {
            Usable::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            Usable::Library(key) => self.verify_with(key, message, signature).unwrap_or(false),
        }
    }

    fn verify_with(&self, key: &PKey<Public>, message: &[u8], signature: &[u8]) -> Result<bool, ErrorStack> {
        let mut verifier = Verifier::new(MessageDigest::sha256(), key)?;
        if self.scheme == Scheme::RsaPss {
            verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
            verifier.set_rsa_mgf1_md(MessageDigest::sha256())?;
            verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
        }
        verifier.verify_oneshot(signature, message)
    }
}

fn key_json(scheme: Scheme, public: &str) -> Value {
    json!({"keytype": scheme.key_type(), "keyval": {"public": public}, "scheme": scheme.as_str()})
}

fn id_of(scheme: Scheme, public: &str) -> Result<KeyId, KeyError> {
    let canonical = tuf::canonicalize(&key_json(scheme, public)).map_err(|_| KeyError::Shape)?;
    KeyId::parse(&hex::encode(openssl::sha::sha256(&canonical))).map_err(|_| KeyError::Shape)
}

/// PEM with lines of 64 characters, without a line feed after the last line, as tough writes it.
fn pem(key: &PKey<Public>) -> Result<String, KeyError> {
    let pem = key.public_key_to_pem().map_err(|_| KeyError::Shape)?;
    let text = String::from_utf8(pem).map_err(|_| KeyError::Shape)?;
    Ok(text.trim_end().to_owned())
}

fn pem_to_der(pem: &str) -> Option<Vec<u8>> {
    let key = PKey::public_key_from_pem(pem.as_bytes()).ok()?;
    key.public_key_to_der().ok()
}

fn read_p256(der: &[u8]) -> Option<PKey<Public>> {
    let key = EcKey::public_key_from_der(der).ok()?;
    if key.group().curve_name() != Some(Nid::X9_62_PRIME256V1) || key.check_key().is_err() {
        return None;
    }
    let same = key.public_key_to_der().is_ok_and(|again| again == der);
    // A named curve with an uncompressed point takes 91 bytes.
    if same && der.len() == 91 {
        PKey::from_ec_key(key).ok()
    } else {
        None
    }
}

fn read_rsa(der: &[u8]) -> Result<PKey<Public>, KeyError> {
    let unusable = KeyError::Unusable("rsa");
    let key = PKey::public_key_from_der(der).map_err(|_| unusable.clone())?;
    let same = key.public_key_to_der().is_ok_and(|again| again == der);
    if key.id() != Id::RSA || !same {
        return Err(unusable);
    }
    match key.bits() {
        MIN_RSA_BITS..=MAX_RSA_BITS => Ok(key),
        bits => Err(KeyError::RsaBits(bits)),
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.scheme.key_type(), self.id)
    }
}

#[cfg(test)]
mod tests {
    use openssl::ec::{EcGroup, EcKey as PrivateEcKey};
    use openssl::rsa::Rsa;

    use super::*;
    use crate::testing::TestKey;

    fn with_public(scheme: Scheme, public: &str) -> Result<PublicKey, KeyError> {
        PublicKey::from_json(&key_json(scheme, public))
    }

    #[test]
    fn keys_of_every_kind_verify_their_own_signatures_alone() {
        let keys = [TestKey::p256(), TestKey::ed25519(), TestKey::rsa()];
        for key in &keys {
            let signature = key.sign(b"message");
            assert_eq!(PublicKey::from_json(&key.public.to_json()).unwrap(), key.public);
            for other in &keys {
                assert_eq!(
                    other.public.verify(b"message", &signature),
                    other.public == key.public
                );
            }
            assert!(!key.public.verify(b"massage", &signature));
            assert!(!key.public.verify(b"message", b""));
        }
    }

    #[test]
    fn the_key_id_is_that_of_tough() {
        for key in [TestKey::p256(), TestKey::ed25519(), TestKey::rsa()] {
            let theirs: tough::schema::key::Key = serde_json::from_value(key.public.to_json()).unwrap();
            assert_eq!(hex::encode(theirs.key_id().unwrap()), key.public.id().as_str());
            assert_eq!(serde_json::to_value(&theirs).unwrap(), key.public.to_json());
        }
    }

    #[test]
    fn one_key_has_one_identity_however_it_is_written() {
        let key = TestKey::p256().public;
        let other = with_public(Scheme::EcdsaP256, &format!("{}\n", key.public())).unwrap();
        assert_ne!(other.id(), key.id());
        assert_eq!(other.identity(), key.identity());
    }

    #[test]
    fn public_values_that_clients_may_not_read_are_refused() {
        let key = TestKey::p256().public;
        let pem = key.public();
        let blocks: Vec<&str> = pem.lines().collect();
        let one_line = format!(
            "{}\n{}\n{}",
            blocks[0],
            blocks[1..blocks.len() - 1].concat(),
            blocks[blocks.len() - 1]
        );
        for bad in [
            pem.replace('\n', "\r\n"),
            format!("{pem}\n\n"),
            format!("\n{pem}"),
            one_line,
            hex::encode(pem),
            String::new(),
        ] {
            assert_ne!(bad, pem);
            assert!(
                matches!(with_public(Scheme::EcdsaP256, &bad), Err(KeyError::Encoding(..))),
                "{bad:?}"
            );
        }
        let key = TestKey::ed25519().public;
        for bad in [
            key.public().to_uppercase(),
            key.public()[2..].to_owned(),
            format!("{}\n", key.public()),
        ] {
            assert!(with_public(Scheme::Ed25519, &bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn other_curves_and_short_rsa_keys_are_refused() {
        for curve in [Nid::SECP384R1, Nid::SECP256K1] {
            let group = EcGroup::from_curve_name(curve).unwrap();
            let key = PKey::from_ec_key(PrivateEcKey::generate(&group).unwrap()).unwrap();
            assert_eq!(
                PublicKey::from_pkey(&key).unwrap_err(),
                KeyError::Unusable("ecdsa")
            );
        }
        let short = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
        assert_eq!(PublicKey::from_pkey(&short).unwrap_err(), KeyError::RsaBits(1024));
        let other = key_json(Scheme::EcdsaP256, TestKey::rsa().public.public());
        assert!(PublicKey::from_json(&other).is_err());
    }

    #[test]
    fn an_ed25519_key_with_which_anything_verifies_is_refused() {
        let mut neutral = [0; 32];
        neutral[0] = 1;
        assert_eq!(
            PublicKey::from_ed25519(&neutral).unwrap_err(),
            KeyError::Unusable("ed25519")
        );
    }

    #[test]
    fn keys_of_a_notary_repository_stay_the_same() {
        for key in [TestKey::p256(), TestKey::ed25519(), TestKey::rsa()] {
            let notary = key.public.to_notary().unwrap();
            assert_eq!(PublicKey::from_notary(&notary), Ok(key.public));
        }
        let private = PKey::generate_ed25519().unwrap();
        let raw = private.raw_public_key().unwrap();
        let notary = tuf::PublicKey::new(tuf::KeyType::Ed25519, raw.clone());
        assert_eq!(
            PublicKey::from_notary(&notary).unwrap().public(),
            hex::encode(raw)
        );
        let group = EcGroup::from_curve_name(Nid::SECP384R1).unwrap();
        let der = PrivateEcKey::generate(&group)
            .unwrap()
            .public_key_to_der()
            .unwrap();
        let notary = tuf::PublicKey::new(tuf::KeyType::Ecdsa, der);
        assert!(PublicKey::from_notary(&notary).is_err());
    }
}
