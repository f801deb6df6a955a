//! The keys that may sign tokens.

use std::{collections::HashMap, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use data_encoding::BASE32_NOPAD;
use openssl::{
    bn::BigNum,
    ec::{EcGroup, EcKey},
    nid::Nid,
    pkey::{PKey, Public},
    rsa::Rsa,
    sha::sha256,
    stack::Stack,
    x509::{
        X509, X509StoreContext,
        store::{X509Store, X509StoreBuilder},
        verify::X509VerifyFlags,
    },
};
use serde_json::Value;

use super::{BundleError, jws::decode};

/// How many bytes of the key's SHA-256 a libtrust key ID contains.
const KEY_ID_BYTES: usize = 30;
/// The longest certificate chain accepted.
const CHAIN_LIMIT: usize = 16;

/// The certificates of the token service: trust anchors of chains, and keys that may sign by themselves.
pub(super) struct TrustedKeys {
    store: X509Store,
    by_id: HashMap<String, PKey<Public>>,
}

impl TrustedKeys {
    pub(super) fn read(path: &Path) -> Result<Self, BundleError> {
        let unusable = |cause: openssl::error::ErrorStack| {
            BundleError::Certificates(platform::reason::of_openssl(&cause))
        };
        let content = platform::files::read(path)?;
        let certificates = platform::tls::parse_certificates(&content).map_err(BundleError::Certificates)?;
        let mut store = X509StoreBuilder::new().map_err(unusable)?;
        store
            .set_flags(X509VerifyFlags::PARTIAL_CHAIN)
            .map_err(unusable)?;
        let mut by_id = HashMap::new();
        for certificate in certificates {
            let key = certificate.public_key().map_err(unusable)?;
            by_id.insert(key_id(&key).map_err(unusable)?, key);
            store.add_cert(certificate).map_err(unusable)?;
        }
        Ok(Self {
            store: store.build(),
            by_id,
        })
    }

    /// The key that a token's header names, if it may sign tokens. Of `x5c`, `jwk` and `kid`, the first one present
    /// decides; the others are ignored even if it is not trusted.
    pub(super) fn key_for(&self, header: &Value) -> Result<PKey<Public>, String> {
        if header["x5c"].as_array().is_some_and(|chain| !chain.is_empty()) {
            return self.chain_key(&header["x5c"]);
        }
        if header["jwk"].is_object() {
            return self.jwk_key(&header["jwk"]);
        }
        let id = header["kid"].as_str().filter(|id| !id.is_empty());
        let id = id.ok_or("the token's header names no key (x5c, jwk or kid)")?;
        self.by_id
            .get(id)
            .cloned()
            .ok_or_else(|| format!("the token's key {id:?} is not trusted"))
    }

    fn chain_key(&self, chain: &Value) -> Result<PKey<Public>, String> {
        let entries = chain.as_array().filter(|entries| entries.len() <= CHAIN_LIMIT);
        let entries = entries.ok_or("the token's x5c is not a list, or is too long")?;
        let certificate = |entry: &Value| {
            let der = STANDARD.decode(entry.as_str()?).ok()?;
            X509::from_der(&der).ok()
        };
        let chain: Option<Vec<X509>> = entries.iter().map(certificate).collect();
        let chain = chain.ok_or("the token's x5c contains an entry that is not a certificate")?;
        let (leaf, intermediates) = chain.split_first().ok_or("the token's x5c is empty")?;
        let verified = self
            .verify(leaf, intermediates)
            .map_err(|cause| cause.to_string())?;
        if !verified {
            return Err("the token's certificate was not issued by a trusted one, or has expired".into());
        }
        leaf.public_key().map_err(|cause| cause.to_string())
    }

    fn verify(&self, leaf: &X509, intermediates: &[X509]) -> Result<bool, openssl::error::ErrorStack> {
        let mut untrusted = Stack::new()?;
        for certificate in intermediates {
            untrusted.push(certificate.clone())?;
        }
        X509StoreContext::new()?.init(&self.store, leaf, &untrusted, |context| context.verify_cert())
    }

    fn jwk_key(&self, jwk: &Value) -> Result<PKey<Public>, String> {
        let key = parse_jwk(jwk).ok_or("the token's jwk is not a public key that can verify tokens")?;
        let id = key_id(&key).map_err(|cause| cause.to_string())?;
        if jwk["kid"].as_str().is_some_and(|named| named != id) {
            return Err("the kid in the token's jwk does not match the key".into());
        }
        if jwk["x5c"].as_array().is_some_and(|chain| !chain.is_empty()) {
            let certified = self.chain_key(&jwk["x5c"])?;
            return if certified.public_eq(&key) {
                Ok(key)
            } else {
                Err("the certificate in the token's jwk is for another key".into())
            };
        }
        self.by_id
            .get(&id)
            .cloned()
            .ok_or_else(|| format!("the token's key {id:?} is not trusted"))
    }
}

/// The libtrust key ID: twelve groups of four base32 characters.
///
/// # Errors
/// When OpenSSL cannot encode the key.
pub fn key_id(key: &PKey<Public>) -> Result<String, openssl::error::ErrorStack> {
    let digest = sha256(&key.public_key_to_der()?);
    let text = BASE32_NOPAD.encode(digest.get(..KEY_ID_BYTES).unwrap_or(&digest));
    let groups: Vec<&str> = text
        .as_bytes()
        .chunks(4)
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    Ok(groups.join(":"))
}

/// Parses a public EC or RSA key in JSON (RFC 7517).
fn parse_jwk(jwk: &Value) -> Option<PKey<Public>> {
    let number = |name: &str| BigNum::from_slice(&decode(jwk[name].as_str()?)?).ok();
    match jwk["kty"].as_str()? {
        "EC" => {
            let curve = match jwk["crv"].as_str()? {
                "P-256" => Nid::X9_62_PRIME256V1,
                "P-384" => Nid::SECP384R1,
                "P-521" => Nid::SECP521R1,
                _ => return None,
            };
            let group = EcGroup::from_curve_name(curve).ok()?;
            let key =
                EcKey::from_public_key_affine_coordinates(&group, &*number("x")?, &*number("y")?).ok()?;
            PKey::from_ec_key(key).ok()
        }
        "RSA" => PKey::from_rsa(Rsa::from_public_components(number("n")?, number("e")?).ok()?).ok(),
        _ => None,
    }
}
