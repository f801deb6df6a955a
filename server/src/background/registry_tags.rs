//! Asks the registry behind this server which tags its repositories have, so that the list of repositories can tell which
//! have tags that nobody signed. The registry is asked only while people look at that list, a few repositories at a time.

use std::time::{Duration, Instant};

use actix_web::web;
use futures_util::{StreamExt, stream};
use tokio::{sync::Mutex, time::MissedTickBehavior};

use crate::{
    registry::{Gateway, Refusal},
    state::State,
    telemetry::metrics,
};

/// How many repositories are asked about in a round.
const ROUND: usize = 200;
/// How many at the same time.
const AT_ONCE: usize = 4;
/// The time from one repository to the next: at most 50 a second.
const STEP: Duration = Duration::from_millis(20);
/// The time between two rounds, unless a repository is changed or somebody begins to look.
const BETWEEN: Duration = Duration::from_secs(10);
/// The pause after a registry that does not answer; twice as long after each further round of that.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// A round ends after so many repositories in a row of which the registry did not tell.
const FAILURES_IN_A_ROW: u32 = 3;
/// How long to wait where nobody looks.
const ASLEEP: Duration = Duration::from_secs(3600);

/// Asks, round after round, for as long as the server runs; returns at once where there is no registry.
pub async fn run(state: web::Data<State>) {
    let Some(gateway) = &state.registry else { return };
    let mut failed: u32 = 0;
    loop {
        if !gateway.said().is_wanted() {
            gateway.said().woken(ASLEEP).await;
            continue;
        }
        match round(&state, gateway).await {
            Ok(asked) => {
                failed = 0;
                if asked < ROUND {
                    gateway.said().woken(BETWEEN).await;
                }
            }
            Err(reason) => {
                let pause = PAUSE.saturating_mul(1 << failed.min(10)).min(LONGEST_PAUSE);
                failed = failed.saturating_add(1);
                tracing::warn!(%reason, pause = ?pause, "the registry does not tell its tags; it is asked again after a pause");
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// Asks about some of the repositories that are to be asked about, and tells how many.
async fn round(state: &State, gateway: &Gateway) -> Result<usize, Refusal> {
    // As far as it is read; what is missing comes with a later round.
    if let Err(reason) = state.catalogue.refresh().await {
        tracing::warn!(%reason, "the repositories whose tags the registry is asked for cannot be listed");
    }
    let due = {
        let lines = state.catalogue.lines();
        let of_registry = lines
            .iter()
            .map(|(gun, _)| gun)
            .filter(|gun| gateway.name_of(gun).is_some());
        gateway.said().due(of_registry, ROUND)
    };
    let mut ticks = tokio::time::interval(STEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ticks = Mutex::new(ticks);
    let asked = due.len();
    let mut answers = stream::iter(due)
        .map(|gun| {
            let ticks = &ticks;
            async move {
                ticks.lock().await.tick().await;
                let begun = (Instant::now(), state.clock.now());
                let listed = match gateway.name_of(&gun) {
                    Some(name) => gateway.tag_names(name).await,
                    None => Err(Refusal::Name),
                };
                (gun, begun, listed)
            }
        })
        .buffer_unordered(AT_ONCE);
    let mut in_a_row = 0;
    while let Some((gun, begun, listed)) = answers.next().await {
        metrics::registry_tags_listed(listed.is_ok());
        match listed {
            Ok(listed) => {
                in_a_row = 0;
                gateway.said().heard(&gun, begun, Some(listed));
            }
            Err(reason) => {
                in_a_row += 1;
                tracing::debug!(repo.gun = %gun, %reason, "the registry does not tell the tags of a repository");
                gateway.said().heard(&gun, begun, None);
                if in_a_row == FAILURES_IN_A_ROW {
                    return Err(reason);
                }
            }
        }
    }
    Ok(asked)
}
