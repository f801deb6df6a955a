//! Has the signer sign the documents that the server makes.

use signing::{Announced, KeyService, SigningError};
use tuf::{
    CheckedUpdate, Gun, KeyId, PublicKey, RoleName, SealError, Signature, SignedUpdate, SigningRequest,
    SnapshottedUpdate,
};

use super::server_keys::KeysInForce;

/// Why an update cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The signer holds too few of the role's keys; the publisher holds the others.
    #[error("the server does not hold the {0} key")]
    KeyNotHeld(RoleName),
    /// The root names a key that the signer made for another repository or role.
    #[error("the {0} key {1} was made for another repository or another role")]
    OtherPurpose(RoleName, KeyId),
    /// The signing service failed.
    #[error(transparent)]
    Service(SigningError),
}

/// Has the updates of one repository signed.
pub struct Signatory<'a> {
    keys: &'a KeyService,
    gun: &'a Gun,
    keys_in_force: KeysInForce,
}

impl<'a> Signatory<'a> {
    /// Creates a signatory for the repository `gun`, whose stored root names `keys_in_force`.
    pub fn new(keys: &'a KeyService, gun: &'a Gun, keys_in_force: KeysInForce) -> Self {
        Self {
            keys,
            gun,
            keys_in_force,
        }
    }

    /// Signs the snapshot, if the update does not contain one, and the timestamp.
    ///
    /// # Errors
    /// When a key is not held here or the signer fails.
    pub async fn complete(&self, update: CheckedUpdate) -> Result<SignedUpdate, SignError> {
        let signatures = match update.snapshot_request() {
            None => Vec::new(),
            Some(request) => {
                let next = announced(&update);
                self.signatures(request, next.as_ref()).await?
            }
        };
        let update = update
            .seal_snapshot(signatures)
            .map_err(|e| unsealed(RoleName::Snapshot, &e))?;
        self.complete_timestamp(update).await
    }

    /// Signs the timestamp.
    ///
    /// # Errors
    /// When the key is not held here or the signer fails.
    pub async fn complete_timestamp(&self, update: SnapshottedUpdate) -> Result<SignedUpdate, SignError> {
        let signatures = self.signatures(update.timestamp_request(), None).await?;
        update
            .seal_timestamp(signatures)
            .map_err(|e| unsealed(RoleName::Timestamp, &e))
    }

    /// One signature by each of the role's keys that the signer holds.
    async fn signatures(
        &self,
        request: &SigningRequest,
        next: Option<&Announced>,
    ) -> Result<Vec<Signature>, SignError> {
        let mut signatures = Vec::new();
        for key in &request.keys {
            match self.signature(request, key, next).await {
                Ok(signature) => signatures.push(signature),
                Err(SigningError::KeyUnknown(_)) => {}
                Err(SigningError::OtherPurpose(_)) => {
                    return Err(SignError::OtherPurpose(request.role.clone(), key.id().clone()));
                }
                Err(other) => return Err(SignError::Service(other)),
            }
        }
        if signatures.len() < request.threshold {
            return Err(SignError::KeyNotHeld(request.role.clone()));
        }
        Ok(signatures)
    }

    /// Signs with a key that the signer made for this repository. A key made for another one is still used if the
    /// stored root names it: it was named before such roots were refused.
    async fn signature(
        &self,
        request: &SigningRequest,
        key: &PublicKey,
        next: Option<&Announced>,
    ) -> Result<Signature, SigningError> {
        match self.keys.sign(Some(self.gun), key, &request.message, next).await {
            Err(SigningError::OtherPurpose(reason)) if self.keys_in_force.names(&request.role, key.id()) => {
                tracing::warn!(
                    repo.gun = %self.gun, role.name = %request.role, key.id = %key.id(), reason,
                    "the root names a key of another repository; run notary key rotate"
                );
                self.keys.sign(None, key, &request.message, None).await
            }
            answer => answer,
        }
    }
}

/// The timestamp's signature, if there is one key that can make it.
fn announced(update: &CheckedUpdate) -> Option<Announced> {
    let (version, keys) = update.coming_timestamp();
    match keys.as_slice() {
        [key] => Some(Announced::new(key, version.get().into())),
        _ => None,
    }
}

/// Too few signatures mean that the signer does not hold the keys; invalid ones are the signer's fault.
fn unsealed(role: RoleName, error: &SealError) -> SignError {
    match error {
        SealError::TooFew { .. } => SignError::KeyNotHeld(role),
        other => SignError::Service(SigningError::BadReply(other.to_string())),
    }
}
