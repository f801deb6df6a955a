//! Deleting the keys that were asked for and never named by a root, so that whoever asks for many leaves nothing.

use std::time::Duration;

use actix_web::web;
use chrono::TimeDelta;

use crate::{
    state::{ServiceError, State},
    telemetry::metrics,
};

/// Keys looked at in a round.
const PAGE: u32 = 200;
/// How often keys are looked for, at the most; more often where they are kept for less.
const INTERVAL: Duration = Duration::from_secs(3600);
/// How often at the least.
const SHORTEST: Duration = Duration::from_secs(1);
/// How long it is remembered that a key was given up: longer than a publish that names it can be under way.
const REMEMBERED: TimeDelta = TimeDelta::minutes(15);

/// Sweeps, round after round, for as long as the server runs.
pub async fn run(state: web::Data<State>) {
    let kept = state.config.pending_keys.kept;
    let mut rounds = tokio::time::interval((kept / 2).clamp(SHORTEST, INTERVAL));
    loop {
        rounds.tick().await;
        if let Err(reason) = sweep(&state, kept).await {
            tracing::warn!(%reason, "keys that nobody used could not be deleted; trying again later");
        }
    }
}

async fn sweep(state: &State, kept: Duration) -> Result<(), ServiceError> {
    let now = state.clock.now();
    let made_before = now - TimeDelta::from_std(kept).unwrap_or(TimeDelta::MAX);
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
            tracing::info!(repo.gun = %key.gun, key.id = %key.id, "deleting a key that no root came to name");
            metrics::key_swept();
        }
        // Again for one that was given up before: nobody knows whether the signer heard of it.
        state.keys.delete_key(&key.id).await?;
        if swept_at.is_some_and(|swept_at| now - swept_at > REMEMBERED) {
            let id = key.id.clone();
            state.with_store(move |store| store.forget_key(&id)).await?;
        }
    }
    Ok(())
}
