//! Publishing: check the upload against the trusted state, sign what the server signs, store it whole.

mod explain;
mod sign;

use actix_web::web;
use tuf::{Gun, Rejection, SignedUpdate, Upload, Version};

pub use sign::{SignError, complete, complete_timestamp};

use crate::{
    access::{Grant, Publish},
    app::{ServiceError, State},
    store::{Actor, CommitError, TrustedState},
};

/// How often an update is checked and signed anew because the GUN moved on meanwhile without touching
/// what was uploaded (another role was published, or the timestamp was renewed).
const ATTEMPTS: usize = 8;

/// Why a publish did not happen. Nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The update breaks a rule.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// A version of an uploaded role, or a newer one, is already there.
    #[error("somebody else published first")]
    Conflict,
    /// The database or the signing service failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// Publishes an upload, or leaves everything as it was.
///
/// # Errors
/// When the upload is refused, comes too late, or cannot be signed or stored.
pub async fn publish(state: &State, grant: &Grant<Publish>, upload: Upload) -> Result<(), PublishError> {
    let gun = grant.gun();
    let roles = upload.roles();
    for _ in 0..ATTEMPTS {
        let (checked, base) = check(state, gun, upload.clone()).await?;
        let update = match complete(&state.keys, checked).await {
            Ok(update) => update,
            Err(error) => return Err(explain::explain(state, gun, error).await),
        };
        match store(state, gun, base, update, grant.principal().actor()).await {
            Ok(()) => {
                let roles: Vec<&str> = roles.iter().map(tuf::RoleName::as_str).collect();
                tracing::info!(
                    repo.gun = %gun, roles = roles.join(" "), principal = grant.principal().name(), "published"
                );
                return Ok(());
            }
            Err(PublishError::Conflict) => {}
            Err(other) => return Err(other),
        }
    }
    Err(PublishError::Conflict)
}

/// Reads the trusted state and checks the upload against it; also returns the timestamp version it builds on.
async fn check(
    state: &State,
    gun: &Gun,
    upload: Upload,
) -> Result<(tuf::CheckedUpdate, Option<Version>), PublishError> {
    let (store, gun, now) = (state.store.clone(), gun.clone(), state.clock.now());
    web::block(move || {
        let roles = upload.roles();
        let TrustedState { current, highest } = store
            .trusted_state(&gun, &roles, &upload.ancestors())
            .map_err(ServiceError::from)?;
        let base = current.timestamp.as_ref().map(|timestamp| timestamp.version);
        let too_late = upload.versions().iter().any(|(role, version)| {
            highest
                .get(role)
                .is_some_and(|stored| i64::from(stored.get()) >= *version)
        });
        let checked = tuf::check(&gun, upload, &current, now)?;
        if too_late {
            Err(PublishError::Conflict)
        } else {
            Ok((checked, base))
        }
    })
    .await
    .map_err(|_| ServiceError::Stopping)?
}

async fn store(
    state: &State,
    gun: &Gun,
    base: Option<Version>,
    update: SignedUpdate,
    actor: Actor,
) -> Result<(), PublishError> {
    let (store, gun, now) = (state.store.clone(), gun.clone(), state.clock.now());
    let outcome = web::block(move || store.commit(&gun, base, update.documents(), &actor, now)).await;
    match outcome.map_err(|_| ServiceError::Stopping)? {
        Ok(()) => Ok(()),
        Err(CommitError::Conflict) => Err(PublishError::Conflict),
        Err(CommitError::Store(cause)) => Err(ServiceError::from(cause).into()),
    }
}
