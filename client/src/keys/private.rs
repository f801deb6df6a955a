//! Private keys and the signatures that they make.

use openssl::{
    bn::BigNumContext,
    ec::{EcGroup, EcKey, PointConversionForm},
    ecdsa::EcdsaSig,
    hash::MessageDigest,
    nid::Nid,
    pkey::{Id, PKey, Private},
    rsa::Padding,
    sign::{RsaPssSaltlen, Signer},
};
use platform::reason;
use tuf::{KeyId, KeyType, PublicKey, SignatureMethod};

use super::KeyError;

/// The smallest RSA key that verifies, in bits.
const MIN_RSA: u32 = 2_048;

/// A key that signs, wherever its private half is.
pub trait SigningKey: Send + Sync {
    /// Its public half, bare.
    fn public(&self) -> &PublicKey;

    /// Signs the canonical form of a document's signed part.
    ///
    /// # Errors
    /// When the key cannot be used.
    fn sign(&self, message: &[u8]) -> Result<(SignatureMethod, Vec<u8>), KeyError>;
}

/// A private key in memory. OpenSSL wipes it when it is dropped.
#[derive(Clone)]
pub struct PrivateKey {
    key: PKey<Private>,
    public: PublicKey,
}

impl PrivateKey {
    /// A new ECDSA key on P-256.
    ///
    /// # Errors
    /// When OpenSSL fails.
    pub fn generate() -> Result<Self, KeyError> {
        let generated = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)
            .and_then(|group| EcKey::generate(&group))
            .and_then(PKey::from_ec_key);
        Self::new(generated.map_err(|cause| failed(&cause))?)
    }

    /// A key that notary, docker and servers can use.
    ///
    /// # Errors
    /// For kinds of keys that one of them cannot use: all but RSA from 2,048 bits on and ECDSA on P-256, P-384 and P-521.
    pub fn new(key: PKey<Private>) -> Result<Self, KeyError> {
        let kind = match key.id() {
            Id::EC => {
                let curve = key.ec_key().ok().and_then(|key| key.group().curve_name());
                match curve {
                    Some(Nid::X9_62_PRIME256V1 | Nid::SECP384R1 | Nid::SECP521R1) => KeyType::Ecdsa,
                    _ => {
                        return Err(KeyError::Kind(
                            "an ECDSA key on another curve than P-256, P-384 and P-521".into(),
                        ));
                    }
                }
            }
            Id::RSA if key.bits() >= MIN_RSA => KeyType::Rsa,
            Id::RSA => return Err(KeyError::Kind(format!("an RSA key of {} bits", key.bits()))),
            Id::ED25519 => {
                return Err(KeyError::Kind(
                    "an Ed25519 key, which notary and docker cannot use".into(),
                ));
            }
            _ => return Err(KeyError::Kind("a key of another kind".into())),
        };
        // A file may hold the point compressed, by which the ID would differ.
        let key = match key.ec_key() {
            Ok(ec) => uncompressed(&ec).map_err(|cause| failed(&cause))?,
            Err(_) => key,
        };
        let public = key.public_key_to_der().map_err(|cause| failed(&cause))?;
        Ok(Self {
            key,
            public: PublicKey::new(kind, public),
        })
    }

    /// The ID under which notary and docker keep it, that of the bare public key.
    pub fn id(&self) -> &KeyId {
        self.public.id()
    }

    /// The private key, for files and certificates.
    pub(crate) fn pkey(&self) -> &PKey<Private> {
        &self.key
    }
}

/// The same key with its public point uncompressed.
fn uncompressed(key: &EcKey<Private>) -> Result<PKey<Private>, openssl::error::ErrorStack> {
    let mut group = EcGroup::from_curve_name(key.group().curve_name().unwrap_or(Nid::X9_62_PRIME256V1))?;
    group.set_asn1_flag(openssl::ec::Asn1Flag::NAMED_CURVE);
    let mut context = BigNumContext::new()?;
    let form = PointConversionForm::UNCOMPRESSED;
    let bytes = key.public_key().to_bytes(key.group(), form, &mut context)?;
    let point = openssl::ec::EcPoint::from_bytes(&group, &bytes, &mut context)?;
    PKey::from_ec_key(EcKey::from_private_components(&group, key.private_key(), &point)?)
}

impl SigningKey for PrivateKey {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<(SignatureMethod, Vec<u8>), KeyError> {
        let signed = match self.key.ec_key() {
            Ok(key) => ecdsa(&key, message).map(|bytes| (SignatureMethod::Ecdsa, bytes)),
            Err(_) => pss(&self.key, message).map(|bytes| (SignatureMethod::RsaPss, bytes)),
        };
        signed.map_err(|cause| failed(&cause))
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivateKey({})", self.id().as_str())
    }
}

fn ecdsa(key: &EcKey<Private>, message: &[u8]) -> Result<Vec<u8>, openssl::error::ErrorStack> {
    let signature = EcdsaSig::sign(&openssl::sha::sha256(message), key)?;
    let width = key.group().degree().div_ceil(8) as i32;
    let mut bytes = signature.r().to_vec_padded(width)?;
    bytes.extend(signature.s().to_vec_padded(width)?);
    Ok(bytes)
}

fn pss(key: &PKey<Private>, message: &[u8]) -> Result<Vec<u8>, openssl::error::ErrorStack> {
    let mut signer = Signer::new(MessageDigest::sha256(), key)?;
    signer.set_rsa_padding(Padding::PKCS1_PSS)?;
    signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
    signer.set_rsa_mgf1_md(MessageDigest::sha256())?;
    signer.sign_oneshot_to_vec(message)
}

fn failed(cause: &openssl::error::ErrorStack) -> KeyError {
    KeyError::OpenSsl(reason::of_openssl(cause))
}

#[cfg(test)]
mod tests {
    use openssl::rsa::Rsa;

    use super::*;

    #[test]
    fn signatures_verify_as_metadata() {
        let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let mut keys = vec![PrivateKey::generate().unwrap(), PrivateKey::new(rsa).unwrap()];
        for curve in [Nid::SECP384R1, Nid::SECP521R1] {
            let key = EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap();
            keys.push(PrivateKey::new(PKey::from_ec_key(key).unwrap()).unwrap());
        }
        for key in keys {
            let (method, bytes) = key.sign(b"message").unwrap();
            assert_eq!(
                tuf::verify_signature(key.public(), method, b"message", &bytes),
                Ok(())
            );
            assert!(tuf::verify_signature(key.public(), method, b"another", &bytes).is_err());
        }
    }

    #[test]
    fn keys_that_others_cannot_use_are_refused() {
        let weak = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
        for key in [PKey::generate_ed25519().unwrap(), weak] {
            assert!(matches!(PrivateKey::new(key), Err(KeyError::Kind(_))));
        }
    }
}
