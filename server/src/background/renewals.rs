//! Renews documents that are about to expire before clients see them expired.

use std::{collections::BTreeMap, time::Duration};

use actix_web::web;
use chrono::{DateTime, TimeDelta, Utc};
use tuf::Gun;

use crate::{
    refresh::{Renewal, expiry, renew},
    state::{ServiceError, State},
    telemetry::metrics,
};

/// GUNs read at a time.
const PAGE: u32 = 100;
/// How long a server keeps other servers from renewing a GUN that it is renewing.
const LEASE: TimeDelta = TimeDelta::minutes(2);
/// The pause between two renewals, so that the signer and the database can also answer requests.
const PAUSE: Duration = Duration::from_millis(20);
/// Old databases store times without a time zone, so rows are looked at this much earlier.
const ZONE_SLACK: TimeDelta = TimeDelta::hours(15);
/// The fraction by which rounds are early or late, so that several servers do not start theirs together.
const JITTER: f64 = 0.2;
/// A round ends after the database or the signer has failed for this many GUNs in a row.
const OUTAGES_IN_A_ROW: u32 = 3;
/// The nearest expiries are looked up once in this many rounds, because that reads every current document.
const ROUNDS_PER_SURVEY: u32 = 36;

/// Renews documents, round after round, for as long as the server runs.
pub async fn run(state: web::Data<State>) {
    let holder = super::random_name();
    let mut round: u32 = 0;
    loop {
        if let Err(reason) = renew_due(&state, &holder).await {
            tracing::warn!(%reason, "a round of renewals ended early");
        }
        if round.is_multiple_of(ROUNDS_PER_SURVEY) {
            match survey(&state).await {
                Ok(nearest) => nearest
                    .iter()
                    .for_each(|(role, moment)| metrics::nearest_expiry(role, *moment)),
                Err(reason) => tracing::warn!(%reason, "the nearest expiries could not be determined"),
            }
        }
        round = round.wrapping_add(1);
        let spread = 1.0 + JITTER * (2.0 * random_fraction() - 1.0);
        tokio::time::sleep(state.config.refresh.interval.mul_f64(spread)).await;
    }
}

async fn renew_due(state: &State, holder: &str) -> Result<(), ServiceError> {
    let before = state.config.refresh.before_expiry;
    if before.is_zero() {
        return Ok(());
    }
    let mut after = String::new();
    let mut outcomes: BTreeMap<&str, u32> = BTreeMap::new();
    let mut outages = 0;
    loop {
        let made_before = state.clock.now() + before + ZONE_SLACK - tuf::TIMESTAMP_LIFETIME;
        let from = after.clone();
        let page = state
            .with_store(move |store| store.guns_without_timestamp_since(made_before, &from, PAGE))
            .await?;
        let Some(last) = page.last() else { break };
        after.clone_from(last);
        for gun in page {
            // A GUN that this server would refuse is not renewed by it.
            let Ok(gun) = Gun::parse(&gun) else { continue };
            let outcome = match renew_leased(state, &gun, holder, before).await {
                Ok(outcome) => {
                    outages = 0;
                    outcome
                }
                // The others may still be renewed, unless the database or the signer is down.
                Err(reason) => {
                    tracing::warn!(repo.gun = %gun, %reason, "a timestamp could not be renewed");
                    outages = if reason.is_outage() { outages + 1 } else { 0 };
                    if outages == OUTAGES_IN_A_ROW {
                        return Err(reason);
                    }
                    "failed"
                }
            };
            *outcomes.entry(outcome).or_default() += 1;
        }
    }
    for (outcome, count) in outcomes {
        metrics::renewed(outcome, count);
    }
    Ok(())
}

async fn renew_leased(
    state: &State,
    gun: &Gun,
    holder: &str,
    before: TimeDelta,
) -> Result<&'static str, ServiceError> {
    let (wanted, holder, now) = (gun.clone(), holder.to_owned(), state.clock.now());
    if !state
        .with_store(move |store| store.take_lease(wanted.as_str(), &holder, now, now + LEASE))
        .await?
    {
        return Ok("elsewhere");
    }
    let outcome = renew(state, gun, before).await?;
    tokio::time::sleep(PAUSE).await;
    Ok(match outcome {
        Renewal::Renewed => "renewed",
        Renewal::NotNeeded => "not_needed",
        Renewal::NotPossible => "not_possible",
    })
}

/// The nearest expiry of each role kind.
async fn survey(state: &State) -> Result<BTreeMap<&'static str, DateTime<Utc>>, ServiceError> {
    state
        .with_store(|store| {
            let mut nearest: BTreeMap<&'static str, DateTime<Utc>> = BTreeMap::new();
            expiry::each(store, |found| {
                let role = expiry::kind(&found.role);
                nearest
                    .entry(role)
                    .and_modify(|moment| *moment = found.expires.min(*moment))
                    .or_insert(found.expires);
            })?;
            Ok(nearest)
        })
        .await
}

fn random_fraction() -> f64 {
    let mut byte = [0; 1];
    let _ = openssl::rand::rand_bytes(&mut byte);
    f64::from(byte[0]) / 255.0
}
