//! Deletes keys that clients asked for but that no root names, so that asking for many keys leaves none behind.

use std::time::Duration;

use actix_web::web;
use chrono::TimeDelta;

use crate::{
    state::{ServiceError, State},
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

/// Deletes unused keys, round after round, for as long as the server runs.
pub async fn run(state: web::Data<State>) {
    let lifetime = state.config.pending_keys.lifetime;
    let mut rounds = tokio::time::interval((lifetime / 2).clamp(SHORTEST, INTERVAL));
    loop {
        rounds.tick().await;
        if let Err(reason) = sweep(&state, lifetime).await {
            tracing::warn!(%reason, "unused keys could not be deleted; the next round tries again");
        }
    }
}

async fn sweep(state: &State, lifetime: Duration) -> Result<(), ServiceError> {
    let now = state.clock.now();
    let made_before = now - TimeDelta::from_std(lifetime).unwrap_or(TimeDelta::MAX);
    let keys = state
        .with_store(move |store| store.overdue_keys(made_before, PAGE))
        .await?;
    for key in keys {
        let (swept_at, candidate) = (key.swept_at, key.clone());
        if swept_at.is_none() {
            let given_up = state
                .with_store(move |store| store.give_up_key(&candidate, now))
                .await?;
            if !given_up {
                continue;
            }
            tracing::info!(repo.gun = %key.gun, key.id = %key.id, "deleting a key that no root names");
            metrics::key_swept();
        }
        // Also for keys given up in an earlier round, because the signer may not have received that deletion.
        state.keys.delete_key(&key.id).await?;
        if swept_at.is_some_and(|swept_at| now - swept_at > REMEMBERED) {
            let id = key.id.clone();
            state.with_store(move |store| store.forget_key(&id)).await?;
        }
    }
    Ok(())
}
