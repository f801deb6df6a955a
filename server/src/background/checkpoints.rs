//! The ends of the chains that no request adds to, and that of the whole table, told to the sinks: otherwise nobody
//! could prove that the last rows are gone.

use std::time::Duration;

use actix_web::web;
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    audit::{chain::Chain, record::Place},
    state::State,
};

/// How often the ends are looked at.
const INTERVAL: Duration = Duration::from_secs(10);

/// The end of a chain, or of the whole table.
#[derive(Serialize)]
struct Checkpoint<'a> {
    ts: DateTime<Utc>,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<&'a Place>,
    /// The last row's place in the table, whose rows are never removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_row: Option<i32>,
}

/// Writes the end of each chain when the server starts and whenever it has moved, for as long as the server runs.
pub async fn run(state: web::Data<State>) {
    if !state.audit.any() || !state.config.audit.table {
        return;
    }
    let mut told: Vec<Place> = Vec::new();
    let mut told_row = None;
    let mut looks = tokio::time::interval(INTERVAL);
    loop {
        looks.tick().await;
        let looked = state
            .with_store(|store| {
                let ends = store.audit_ends(&[Chain::Accounts, Chain::Denials])?;
                Ok((ends, store.last_audit_row()?))
            })
            .await;
        // Whoever watches the database's health says that it does not answer.
        let Ok((ends, last_row)) = looked else { continue };
        // Never told anew when it went back: the last one told is what the table is compared with.
        if last_row > told_row {
            told_row = last_row;
            state.audit.write(&Checkpoint {
                ts: state.clock.now(),
                kind: "checkpoint",
                table: None,
                last_row,
            });
        }
        for end in ends.iter().filter(|end| !told.contains(end)) {
            state.audit.write(&Checkpoint {
                ts: state.clock.now(),
                kind: "checkpoint",
                table: Some(end),
                last_row: None,
            });
        }
        told = ends;
    }
}
