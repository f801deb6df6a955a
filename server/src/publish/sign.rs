//! Having the signer sign what the server makes.

use signing::{KeyService, SigningError};
use tuf::{CheckedUpdate, RoleName, SealError, Signature, SignedUpdate, SigningRequest, SnapshottedUpdate};

/// Why an update cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The signer holds too few of the role's keys: somebody else does.
    #[error("the server does not hold the {0} key")]
    KeyNotHeld(RoleName),
    /// The signing service failed.
    #[error(transparent)]
    Service(SigningError),
}

/// Signs the snapshot, if the update came without one, and the timestamp.
///
/// # Errors
/// When a key is not held here or the signer fails.
pub async fn complete(keys: &KeyService, update: CheckedUpdate) -> Result<SignedUpdate, SignError> {
    let signatures = match update.snapshot_request() {
        None => Vec::new(),
        Some(request) => signatures(keys, request).await?,
    };
    let update = update
        .seal_snapshot(signatures)
        .map_err(|e| unsealed(RoleName::Snapshot, &e))?;
    complete_timestamp(keys, update).await
}

/// Signs the timestamp.
///
/// # Errors
/// When the key is not held here or the signer fails.
pub async fn complete_timestamp(
    keys: &KeyService,
    update: SnapshottedUpdate,
) -> Result<SignedUpdate, SignError> {
    let signatures = signatures(keys, update.timestamp_request()).await?;
    update
        .seal_timestamp(signatures)
        .map_err(|e| unsealed(RoleName::Timestamp, &e))
}

/// Too few signatures mean that somebody else holds the keys; wrong ones, that the signer is at fault.
fn unsealed(role: RoleName, error: &SealError) -> SignError {
    match error {
        SealError::TooFew { .. } => SignError::KeyNotHeld(role),
        other => SignError::Service(SigningError::BadReply(other.to_string())),
    }
}

/// One signature of each of the role's keys that the signer holds.
async fn signatures(keys: &KeyService, request: &SigningRequest) -> Result<Vec<Signature>, SignError> {
    let mut signatures = Vec::new();
    for key in &request.keys {
        match keys.sign(key, &request.message).await {
            Ok(signature) => signatures.push(signature),
            Err(SigningError::KeyUnknown(_)) => {}
            Err(other) => return Err(SignError::Service(other)),
        }
    }
    if signatures.len() < request.threshold {
        return Err(SignError::KeyNotHeld(request.role.clone()));
    }
    Ok(signatures)
}
