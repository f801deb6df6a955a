//! Renews what the server signs when it has expired, or will soon.

pub mod expiry;

use std::collections::BTreeSet;

use actix_web::web;
use chrono::TimeDelta;
use tuf::{CheckedUpdate, Gun, Refresh, RoleName, SignedUpdate};

use crate::{
    publish::{KeysInForce, SignError, Signatory},
    state::{ServiceError, State},
    store::{Actor, Base, Chain, CommitError, SERVER, Stored},
};

/// How often a renewal is retried because the GUN was changed meanwhile.
const ATTEMPTS: usize = 8;

/// The current timestamp or snapshot, after one of the two was found to have expired: they are renewed first, as far as
/// the server holds their keys.
///
/// # Errors
/// When the database or the signer fails.
pub async fn renewed(state: &State, gun: &Gun, role: RoleName) -> Result<Option<Stored>, ServiceError> {
    renew(state, gun, TimeDelta::zero()).await?;
    let gun = gun.clone();
    state.with_store(move |store| store.current(&gun, &role)).await
}

/// The outcome of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// A new timestamp was made.
    Renewed,
    /// There was nothing to do.
    NotNeeded,
    /// The server cannot renew it: it does not hold a key, or a document is broken.
    NotPossible,
}

/// Renews the timestamp, and the snapshot if the server holds its key, if they expire within `before`.
///
/// # Errors
/// When the database or the signer fails.
pub async fn renew(state: &State, gun: &Gun, before: TimeDelta) -> Result<Renewal, ServiceError> {
    renew_for(state, gun, before, None).await
}

/// The same at the wish of somebody, whose request has this ID, for the record.
///
/// # Errors
/// When the database or the signer fails.
pub async fn renew_for(
    state: &State,
    gun: &Gun,
    before: TimeDelta,
    request_id: Option<String>,
) -> Result<Renewal, ServiceError> {
    for _ in 0..ATTEMPTS {
        let (wanted, now) = (gun.clone(), state.clock.now());
        let plan = state.with_store(move |store| {
            let chain = store.chain(&wanted)?;
            Ok(chain.map(|chain| {
                let Chain {
                    root,
                    snapshot,
                    timestamp,
                } = &chain;
                (
                    tuf::plan_refresh(&wanted, root, snapshot, timestamp, now, before),
                    Base::of(timestamp),
                    KeysInForce::of(Some(root)),
                )
            }))
        });
        let Some((plan, base, keys_in_force)) = plan.await? else {
            return Ok(Renewal::NotNeeded);
        };
        let signatory = Signatory::new(&state.keys, gun, keys_in_force);
        let update = match plan {
            Ok(Refresh::Fresh) => return Ok(Renewal::NotNeeded),
            Ok(Refresh::Timestamp(update)) => signatory.complete_timestamp(update).await,
            Ok(Refresh::Both(update)) => renew_both(&signatory, *update).await,
            Err(reason) => return Ok(not_possible(gun, &reason)),
        };
        let update = match update {
            Ok(update) => update,
            Err(reason @ (SignError::KeyNotHeld(_) | SignError::OtherPurpose(..))) => {
                return Ok(not_possible(gun, &reason));
            }
            Err(SignError::Service(cause)) => return Err(cause.into()),
        };
        let (store, wanted) = (state.store.clone(), gun.clone());
        let actor = Actor {
            principal: SERVER.to_owned(),
            request_id: request_id.clone(),
            ..Actor::default()
        };
        let outcome = web::block(move || {
            store.commit(
                &wanted,
                Some(&base),
                update.documents(),
                &BTreeSet::new(),
                &actor,
                now,
            )
        })
        .await;
        match outcome.map_err(|_| ServiceError::Stopping)? {
            Ok(_) => {
                tracing::info!(repo.gun = %gun, "renewed a timestamp");
                return Ok(Renewal::Renewed);
            }
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(cause)) => return Err(cause.into()),
        }
    }
    Ok(Renewal::NotNeeded)
}

/// Logs why a renewal is not possible. The expired document is served all the same: the client's own message about it
/// says more than a server error.
fn not_possible(gun: &Gun, reason: &dyn std::fmt::Display) -> Renewal {
    tracing::warn!(repo.gun = %gun, %reason, "a timestamp cannot be renewed and is served as it is");
    Renewal::NotPossible
}

/// Signs snapshot and timestamp, or the timestamp alone if the snapshot is still valid and the publisher holds its
/// key.
async fn renew_both(signatory: &Signatory<'_>, update: CheckedUpdate) -> Result<SignedUpdate, SignError> {
    match signatory.complete(update.clone()).await {
        Err(SignError::KeyNotHeld(RoleName::Snapshot)) => match update.keep_snapshot() {
            Some(update) => signatory.complete_timestamp(update).await,
            None => Err(SignError::KeyNotHeld(RoleName::Snapshot)),
        },
        outcome => outcome,
    }
}
