//! Current metadata, with server-made documents renewed when they have expired.

use actix_web::web;
use chrono::TimeDelta;
use tuf::{CheckedUpdate, Gun, Refresh, RoleName, SignedUpdate};

use crate::{
    app::{ServiceError, State},
    publish::{self, SignError},
    store::{Actor, CommitError, Stored},
};

/// Who is recorded for changes that the server makes by itself.
const SERVER: &str = "(server)";
/// How often a renewal is tried anew because somebody else changed the GUN meanwhile.
const ATTEMPTS: usize = 8;

/// The current document of a role. An expired timestamp or snapshot is renewed first if it is asked for and
/// the server holds its key.
///
/// # Errors
/// When the database or the signer fails.
pub async fn current(state: &State, gun: &Gun, role: RoleName) -> Result<Option<Stored>, ServiceError> {
    if matches!(role, RoleName::Timestamp | RoleName::Snapshot) {
        renew(state, gun).await?;
    }
    let gun = gun.clone();
    state.with_store(move |store| store.current(&gun, &role)).await
}

async fn renew(state: &State, gun: &Gun) -> Result<(), ServiceError> {
    for _ in 0..ATTEMPTS {
        let (store, wanted, now) = (state.store.clone(), gun.clone(), state.clock.now());
        let plan = web::block(move || {
            let Some(chain) = store.chain(&wanted)? else {
                return Ok(None);
            };
            let base = chain.timestamp.version;
            let plan = tuf::plan_refresh(
                &wanted,
                &chain.root,
                &chain.snapshot,
                &chain.timestamp,
                now,
                TimeDelta::zero(),
            );
            Ok::<_, ServiceError>(Some((plan, base)))
        })
        .await
        .map_err(|_| ServiceError::Stopping)??;
        let (update, base) = match plan {
            None | Some((Ok(Refresh::Fresh), _)) => return Ok(()),
            Some((Ok(Refresh::Timestamp(update)), base)) => {
                (publish::complete_timestamp(&state.keys, update).await, base)
            }
            Some((Ok(Refresh::Both(update)), base)) => (renew_both(state, update).await, base),
            Some((Err(reason), _)) => return serve_as_it_is(gun, &reason),
        };
        let update = match update {
            Ok(update) => update,
            Err(reason @ SignError::KeyNotHeld(_)) => return serve_as_it_is(gun, &reason),
            Err(SignError::Service(cause)) => return Err(cause.into()),
        };
        let (store, wanted) = (state.store.clone(), gun.clone());
        let actor = Actor {
            principal: SERVER.to_owned(),
            ..Actor::default()
        };
        let outcome =
            web::block(move || store.commit(&wanted, Some(base), update.documents(), &actor, now)).await;
        match outcome.map_err(|_| ServiceError::Stopping)? {
            Ok(()) => {
                tracing::info!(repo.gun = %gun, "renewed an expired timestamp");
                return Ok(());
            }
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(cause)) => return Err(cause.into()),
        }
    }
    Ok(())
}

/// Snapshot and timestamp, or the timestamp alone where the snapshot is still good and its key is the
/// publisher's.
async fn renew_both(state: &State, update: CheckedUpdate) -> Result<SignedUpdate, SignError> {
    match publish::complete(&state.keys, update.clone()).await {
        Err(SignError::KeyNotHeld(RoleName::Snapshot)) => match update.keep_snapshot() {
            Some(update) => publish::complete_timestamp(&state.keys, update).await,
            None => Err(SignError::KeyNotHeld(RoleName::Snapshot)),
        },
        outcome => outcome,
    }
}

/// Expired metadata says more to a client than a failure: its own message then names what has expired.
fn serve_as_it_is(gun: &Gun, reason: &dyn std::fmt::Display) -> Result<(), ServiceError> {
    tracing::warn!(repo.gun = %gun, %reason, "expired metadata cannot be renewed and is served as it is");
    Ok(())
}
