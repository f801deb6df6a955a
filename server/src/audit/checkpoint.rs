//! The ends of the chains that no request adds to, told to the sinks: otherwise nobody could prove that their last
//! rows are gone.

use std::time::Duration;

use actix_web::web;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{chain::Chain, record::Place};
use crate::app::State;

/// How often the ends are looked at.
const INTERVAL: Duration = Duration::from_secs(10);

/// The end of a chain.
#[derive(Serialize)]
struct Checkpoint<'a> {
    ts: DateTime<Utc>,
    kind: &'static str,
    table: &'a Place,
}

/// Writes the end of each chain when the server starts and whenever it has moved, for as long as the server runs.
pub async fn run(state: web::Data<State>) {
    if !state.audit.any() || !state.config.audit.table {
        return;
    }
    let mut told: Vec<Place> = Vec::new();
    let mut looks = tokio::time::interval(INTERVAL);
    loop {
        looks.tick().await;
        let ends = state
            .with_store(|store| store.audit_ends(&[Chain::Accounts, Chain::Denials]))
            .await;
        // Whoever watches the database's health says that it does not answer.
        let Ok(ends) = ends else { continue };
        for end in ends.iter().filter(|end| !told.contains(end)) {
            state.audit.write(&Checkpoint {
                ts: state.clock.now(),
                kind: "checkpoint",
                table: end,
            });
        }
        told = ends;
    }
}
