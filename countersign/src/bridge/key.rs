//! The key that readers of the signatures trust.

use base64::{Engine, engine::general_purpose::STANDARD};
use client::keys::SigningKey;
use openssl::{
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Public},
    sign::Verifier,
};
use serde_json::Value;
use tuf::{Gun, KeyType, PublicKey};
use verifier::Documents;

use super::BridgeError;

/// A key for signatures as cosign makes them: over SHA-256, ECDSA in DER or RSA with PKCS#1 v1.5.
pub struct BridgeKey {
    key: Box<dyn SigningKey>,
    public: PKey<Public>,
    sha256: String,
}

impl BridgeKey {
    /// A key that readers know how to use.
    ///
    /// # Errors
    /// For kinds of keys that they do not.
    pub fn new(key: Box<dyn SigningKey>) -> Result<Self, BridgeError> {
        let unusable = |cause: String| BridgeError::Unverified(cause);
        let der = key.public().public().to_vec();
        let public = PKey::public_key_from_der(&der).map_err(|cause| unusable(cause.to_string()))?;
        if let Ok(ec) = public.ec_key()
            && ec.group().curve_name() != Some(Nid::X9_62_PRIME256V1)
        {
            return Err(BridgeError::Kind("ECDSA on another curve than P-256".to_owned()));
        }
        Ok(Self {
            key,
            public,
            sha256: hex::encode(openssl::sha::sha256(&der)),
        })
    }

    /// The SHA-256 of its SubjectPublicKeyInfo, in lower case hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Checks that it signs nothing of a repository.
    ///
    /// # Errors
    /// When a document names it, in whatever form.
    pub fn check_apart_from(&self, gun: &Gun, documents: &Documents) -> Result<(), BridgeError> {
        let own = self.key.public().identity();
        let roots = documents.roots.iter().map(|root| ("root".to_owned(), &root[..]));
        let targets = documents
            .targets
            .iter()
            .map(|(role, document)| (role.clone(), &document[..]));
        for (document, bytes) in roots.chain(targets) {
            if declared(bytes).iter().any(|key| key.identity() == own) {
                return Err(BridgeError::KeyOfRepository {
                    gun: gun.to_string(),
                    document,
                });
            }
        }
        Ok(())
    }

    /// Signs, and verifies what came of it.
    ///
    /// # Errors
    /// When the key cannot be used, or signs something else.
    pub(super) fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, BridgeError> {
        // A certificate is signed in the form that cosign reads.
        let signature = self.key.sign_certificate(payload)?;
        if !self.verifies(payload, &signature) {
            return Err(BridgeError::Unverified(format!(
                "the key sha256:{} did not make it",
                self.sha256
            )));
        }
        Ok(signature)
    }

    /// Whether it made a signature.
    pub(super) fn verifies(&self, payload: &[u8], signature: &[u8]) -> bool {
        Verifier::new(MessageDigest::sha256(), &self.public)
            .and_then(|mut verifier| verifier.verify_oneshot(signature, payload))
            .unwrap_or(false)
    }
}

/// The keys that a root, `targets` or a delegation declares for any role. Everything that can be read counts.
fn declared(document: &[u8]) -> Vec<PublicKey> {
    let document: Value = serde_json::from_slice(document).unwrap_or_default();
    let signed = &document["signed"];
    let maps = [&signed["keys"], &signed["delegations"]["keys"]];
    let keys = maps.into_iter().filter_map(Value::as_object).flatten();
    keys.filter_map(|(_, key)| {
        let public = STANDARD.decode(key["keyval"]["public"].as_str()?).ok()?;
        Some(PublicKey::new(KeyType::parse(key["keytype"].as_str()?), public))
    })
    .collect()
}
