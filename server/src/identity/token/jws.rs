//! The signature of a token: compact JWS (RFC 7515), with those algorithms of RFC 7518 that Notary accepts.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use openssl::{
    bn::BigNum,
    ecdsa::EcdsaSig,
    hash::{MessageDigest, hash},
    nid::Nid,
    pkey::{Id, PKey, Public},
    sign::Verifier,
};
use serde_json::Value;

use super::claims::Claims;

/// A token that is parsed but not yet verified.
pub(super) struct Token<'a> {
    pub(super) header: Value,
    pub(super) claims: Claims,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Token<'a> {
    pub(super) fn parse(token: &'a str) -> Result<Self, String> {
        let (signed, signature) = token.rsplit_once('.').ok_or("the token has no signature part")?;
        let (header, claims) = signed
            .split_once('.')
            .ok_or("the token does not have three parts")?;
        let object = |part: &str, what: &str| -> Result<Value, String> {
            let json = decode(part).ok_or_else(|| format!("the token's {what} is not base64url"))?;
            let value: Value =
                serde_json::from_slice(&json).map_err(|_| format!("the token's {what} is not JSON"))?;
            value
                .is_object()
                .then_some(value)
                .ok_or_else(|| format!("the token's {what} is not an object"))
        };
        Ok(Self {
            header: object(header, "header")?,
            claims: Claims::parse(&object(claims, "claims")?)?,
            signed,
            signature: decode(signature).ok_or("the token's signature is not base64url")?,
        })
    }

    /// Checks the signature with the one algorithm family and hash that fit the key.
    pub(super) fn verify(&self, key: &PKey<Public>) -> Result<(), String> {
        let algorithm = self.header["alg"].as_str().unwrap_or_default();
        let good = match key.id() {
            Id::EC => self.verify_ecdsa(key, algorithm),
            Id::RSA => self.verify_rsa(key, algorithm),
            _ => None,
        };
        match good {
            Some(true) => Ok(()),
            Some(false) => Err("the token's signature does not verify".into()),
            None => Err(format!(
                "the token's algorithm {algorithm:?} does not fit its key"
            )),
        }
    }

    /// ECDSA signatures are r and s, each as long as the curve's order (RFC 7518 section 3.4).
    fn verify_ecdsa(&self, key: &PKey<Public>, algorithm: &str) -> Option<bool> {
        let key = key.ec_key().ok()?;
        let (digest, length) = match (key.group().curve_name()?, algorithm) {
            (Nid::X9_62_PRIME256V1, "ES256") => (MessageDigest::sha256(), 32),
            (Nid::SECP384R1, "ES384") => (MessageDigest::sha384(), 48),
            (Nid::SECP521R1, "ES512") => (MessageDigest::sha512(), 66),
            _ => return None,
        };
        if self.signature.len() != 2 * length {
            return Some(false);
        }
        let (r, s) = self.signature.split_at(length);
        let signature =
            EcdsaSig::from_private_components(BigNum::from_slice(r).ok()?, BigNum::from_slice(s).ok()?)
                .ok()?;
        let digest = hash(digest, self.signed.as_bytes()).ok()?;
        Some(signature.verify(&digest, &key).unwrap_or(false))
    }

    fn verify_rsa(&self, key: &PKey<Public>, algorithm: &str) -> Option<bool> {
        let digest = match algorithm {
            "RS256" => MessageDigest::sha256(),
            "RS384" => MessageDigest::sha384(),
            "RS512" => MessageDigest::sha512(),
            _ => return None,
        };
        let mut verifier = Verifier::new(digest, key).ok()?;
        Some(
            verifier
                .verify_oneshot(&self.signature, self.signed.as_bytes())
                .unwrap_or(false),
        )
    }
}

/// Decodes unpadded base64url; `None` if it is empty.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .filter(|bytes| !bytes.is_empty())
}
