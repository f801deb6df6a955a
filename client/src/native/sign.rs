//! Signing drafts with the keys at hand, which are kept as notary and docker do.

use std::path::Path;

use openssl::pkey::PKey;
use tuf::SignatureMethod;
use tuf_native::{Draft, KeyId, PublicKey};

use super::NativeError;
use crate::keys::{KeyError, KeyStore, ecdsa_in_der, read_public_key};

/// Signs a draft with every key at hand that may sign it and did not yet. The draft, and the IDs of those that signed now.
///
/// # Errors
/// When a key at hand cannot be opened or used.
pub fn sign(
    keys: &dyn KeyStore,
    draft: &Draft,
    may_sign: &[PublicKey],
) -> Result<(Draft, Vec<KeyId>), NativeError> {
    let held = keys.list()?;
    let mut draft = draft.clone();
    let mut signed = Vec::new();
    let already = draft.metadata().signature_ids();
    for public in may_sign.iter().filter(|key| !already.contains(key.id())) {
        let Some(kept) = public.to_notary() else { continue };
        if !held.iter().any(|key| key.id == *kept.id()) {
            continue;
        }
        let key = keys.open(kept.id())?;
        let (method, bytes) = key.sign(draft.message())?;
        let bytes = match method {
            SignatureMethod::Ecdsa => ecdsa_in_der(&bytes)?,
            SignatureMethod::RsaPss | SignatureMethod::EdDsa => bytes,
            other => {
                return Err(KeyError::Unsupported(format!(
                    "{} signatures are not of TUF 1.0",
                    other.as_str()
                ))
                .into());
            }
        };
        draft = draft.sign(public, &bytes)?;
        signed.push(public.id().clone());
    }
    Ok((draft, signed))
}

/// Reads a public key from a file: a certificate or a public key in PEM; Ed25519 keys too.
///
/// # Errors
/// When the file cannot be read, or holds no key that every client of TUF 1.0 reads.
pub fn read_native_key(path: &Path) -> Result<PublicKey, NativeError> {
    if let Ok(pem) = platform::files::read(path)
        && let Ok(key) = PKey::public_key_from_pem(&pem)
        && key.id() == openssl::pkey::Id::ED25519
    {
        return Ok(PublicKey::from_pkey(&key)?);
    }
    Ok(PublicKey::from_notary(&read_public_key(path)?)?)
}
