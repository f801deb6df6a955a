//! Private keys and the signatures that they make.

use openssl::{
    bn::{BigNum, BigNumContext},
    ec::{EcGroup, EcKey, EcPoint, PointConversionForm},
    ecdsa::EcdsaSig,
    hash::MessageDigest,
    nid::Nid,
    pkey::{HasPublic, Id, PKey, Private, Public},
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

    /// Signs the part of a certificate that is to be signed, with SHA-256: ECDSA in DER (RFC 5758 section 3.2), or RSA with
    /// PKCS#1 v1.5 (RFC 4055 section 5), which every reader of certificates knows.
    ///
    /// # Errors
    /// When the key cannot be used.
    fn sign_certificate(&self, certificate: &[u8]) -> Result<Vec<u8>, KeyError>;
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
        let kind = kind(&key)?;
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

    /// The private key, for files and tokens.
    pub(crate) fn pkey(&self) -> &PKey<Private> {
        &self.key
    }
}

/// A public key bare, in the one form that its ID is made of.
///
/// # Errors
/// For kinds of keys that are of no use, as [`PrivateKey::new`].
pub(super) fn bare(key: &PKey<Public>) -> Result<PublicKey, KeyError> {
    let kind = kind(key)?;
    let der = match key.ec_key() {
        Ok(ec) => point(&ec).and_then(|(group, point)| {
            PKey::from_ec_key(EcKey::from_public_key(&group, &point)?)?.public_key_to_der()
        }),
        Err(_) => key.public_key_to_der(),
    };
    Ok(PublicKey::new(kind, der.map_err(|cause| failed(&cause))?))
}

/// A signature of ECDSA, r and s of the curve's width one after the other, in DER (RFC 3279 section 2.2.3).
///
/// # Errors
/// When it is none.
pub(crate) fn ecdsa_in_der(signature: &[u8]) -> Result<Vec<u8>, KeyError> {
    let (r, s) = signature.split_at(signature.len() / 2);
    let number = BigNum::from_slice;
    let der = number(r).and_then(|r| EcdsaSig::from_private_components(r, number(s)?)?.to_der());
    der.map_err(|cause| failed(&cause))
}

fn kind<T: HasPublic>(key: &PKey<T>) -> Result<KeyType, KeyError> {
    match key.id() {
        Id::EC => {
            let curve = key.ec_key().ok().and_then(|key| key.group().curve_name());
            match curve {
                Some(Nid::X9_62_PRIME256V1 | Nid::SECP384R1 | Nid::SECP521R1) => Ok(KeyType::Ecdsa),
                _ => Err(KeyError::Kind(
                    "an ECDSA key on another curve than P-256, P-384 and P-521".into(),
                )),
            }
        }
        Id::RSA if key.bits() >= MIN_RSA => Ok(KeyType::Rsa),
        Id::RSA => Err(KeyError::Kind(format!("an RSA key of {} bits", key.bits()))),
        Id::ED25519 => Err(KeyError::Kind(
            "an Ed25519 key, which notary and docker cannot use".into(),
        )),
        _ => Err(KeyError::Kind("a key of another kind".into())),
    }
}

/// The same key with its public point uncompressed.
fn uncompressed(key: &EcKey<Private>) -> Result<PKey<Private>, openssl::error::ErrorStack> {
    let (group, point) = point(key)?;
    PKey::from_ec_key(EcKey::from_private_components(&group, key.private_key(), &point)?)
}

/// The point of a key on a named curve, and the curve by its name. A point that is read uncompressed is written so.
fn point<T: HasPublic>(key: &EcKey<T>) -> Result<(EcGroup, EcPoint), openssl::error::ErrorStack> {
    let mut group = EcGroup::from_curve_name(key.group().curve_name().unwrap_or(Nid::X9_62_PRIME256V1))?;
    group.set_asn1_flag(openssl::ec::Asn1Flag::NAMED_CURVE);
    let mut context = BigNumContext::new()?;
    let form = PointConversionForm::UNCOMPRESSED;
    let bytes = key.public_key().to_bytes(key.group(), form, &mut context)?;
    let point = EcPoint::from_bytes(&group, &bytes, &mut context)?;
    Ok((group, point))
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

    fn sign_certificate(&self, certificate: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signed = Signer::new(MessageDigest::sha256(), &self.key)
            .and_then(|mut signer| signer.sign_oneshot_to_vec(certificate));
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
