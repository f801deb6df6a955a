//! Deletes keys that clients asked for but that no root names, so that asking for many keys leaves none behind.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use signing::KeyService;

use crate::{
    clock::Clock,
    state::{ServiceError, with_store},
    store::Store,
    telemetry::metrics,
};

/// How many keys one round looks at.
const PAGE: u32 = 200;
/// The longest time between rounds; shorter if keys are kept for less than twice that.
const INTERVAL: Duration = Duration::from_secs(3600);
/// The shortest time between rounds.
const SHORTEST: Duration = Duration::from_secs(1);
/// How long a deleted key is remembered: longer than a publish that names it can take.
const REMEMBERED: TimeDelta = TimeDelta::minutes(15);

/// Where unused keys are.
pub struct Pending {
    /// The database, which counts them.
    pub store: Store,
    /// The signer, which holds them.
    pub keys: Arc<KeyService>,
    /// The time.
    pub clock: Clock,
}

/// Deletes unused keys, round after round, for as long as the server runs.
pub async fn run(pending: Pending, lifetime: Duration) {
    let mut rounds = tokio::time::interval((lifetime / 2).clamp(SHORTEST, INTERVAL));
    loop {
        rounds.tick().await;
        if let Err(reason) = sweep(&pending, lifetime).await {
            tracing::warn!(%reason, "unused keys could not be deleted; the next round tries again");
        }
    }
}

async fn sweep(pending: &Pending, lifetime: Duration) -> Result<(), ServiceError> {
    let (store, now) = (&pending.store, pending.clock.now());
    let made_before = now - TimeDelta::from_std(lifetime).unwrap_or(TimeDelta::MAX);
    let keys = with_store(store, move |store| store.overdue_keys(made_before, PAGE)).await?;
    for key in keys {
        let (swept_at, candidate) = (key.swept_at, key.clone());
        if swept_at.is_none() {
            let given_up = with_store(store, move |store| store.give_up_key(&candidate, now)).await?;
            if !given_up {
                continue;
            }
            tracing::info!(repo.gun = %key.gun, key.id = %key.id, "deleting a key that no root names");
            metrics::key_swept();
        }
        // Also for keys given up in an earlier round, because the signer may not have received that deletion.
        pending.keys.delete_key(&key.id).await?;
        if swept_at.is_some_and(|swept_at| now - swept_at > REMEMBERED) {
            let id = key.id.clone();
            with_store(store, move |store| store.forget_key(&id)).await?;
        }
    }
    Ok(())
}
