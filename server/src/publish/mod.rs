//! Publishing: check the upload against the trusted state, sign what the server signs, store it whole.

mod explain;
mod sign;

use actix_web::web;
use tuf::{Gun, Rejection, RoleName, SignedUpdate, Upload, Version};

pub use sign::{SignError, complete, complete_timestamp};

use crate::{
    access::{Grant, Publish},
    app::{ServiceError, State},
    store::{Actor, CommitError, Committed, TrustedState},
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
    /// A delegation has to be signed by whoever publishes it, and is not.
    #[error(
        "{principal} may publish {role} only if it is signed with a key of their own: one registered to their account, or that of their certificate"
    )]
    NotOwnKey {
        /// Who publishes.
        principal: String,
        /// What.
        role: RoleName,
    },
    /// The database or the signing service failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// Publishes an upload, or leaves everything as it was.
///
/// # Errors
/// When the upload is refused, comes too late, or cannot be signed or stored.
pub async fn publish(
    state: &State,
    grant: &Grant<Publish>,
    upload: Upload,
) -> Result<Committed, PublishError> {
    let gun = grant.gun();
    let roles = upload.roles();
    for _ in 0..ATTEMPTS {
        let (checked, base) = check(state, gun, upload.clone()).await?;
        check_own_keys(state, grant, &checked).await?;
        let update = match complete(&state.keys, checked).await {
            Ok(update) => update,
            Err(error) => return Err(explain::explain(state, gun, error).await),
        };
        match store(state, gun, base, update, grant.principal().actor()).await {
            Ok(committed) => {
                let roles: Vec<&str> = roles.iter().map(tuf::RoleName::as_str).collect();
                tracing::info!(
                    repo.gun = %gun, roles = roles.join(" "), principal = grant.principal().name(), "published"
                );
                return Ok(committed);
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

/// Who is connected must be who signed, where the policy says so. A key is recognised by its bare public
/// half, however metadata lists it.
async fn check_own_keys(
    state: &State,
    grant: &Grant<Publish>,
    checked: &tuf::CheckedUpdate,
) -> Result<(), PublishError> {
    if grant.own_key().is_empty() {
        return Ok(());
    }
    let principal = grant.principal();
    let name = principal.name().to_owned();
    let registered = state.with_store(move |store| store.account_keys(&name)).await?;
    let mut own: Vec<String> = registered.into_iter().map(|key| key.spki_sha256).collect();
    if let Some(vouched) = principal.certificate() {
        own.extend_from_slice(vouched.facts.key_hashes());
    }
    for role in grant.own_key() {
        let signed = checked
            .signers(role)
            .iter()
            .filter_map(tuf::PublicKey::spki_sha256)
            .any(|signer| own.contains(&hex::encode(signer)));
        if !signed {
            return Err(PublishError::NotOwnKey {
                principal: principal.name().to_owned(),
                role: role.clone(),
            });
        }
    }
    Ok(())
}

async fn store(
    state: &State,
    gun: &Gun,
    base: Option<Version>,
    update: SignedUpdate,
    actor: Actor,
) -> Result<Committed, PublishError> {
    let (store, gun, now) = (state.store.clone(), gun.clone(), state.clock.now());
    let outcome = web::block(move || store.commit(&gun, base, update.documents(), &actor, now)).await;
    match outcome.map_err(|_| ServiceError::Stopping)? {
        Ok(committed) => Ok(committed),
        Err(CommitError::Conflict) => Err(PublishError::Conflict),
        Err(CommitError::Store(cause)) => Err(ServiceError::from(cause).into()),
    }
}
