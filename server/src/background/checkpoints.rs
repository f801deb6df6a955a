//! Writes the ends of the chains that no request adds to, and of the whole table, to the sinks. Without them, the
//! removal of the last rows could not be proved.

use std::time::Duration;

use actix_web::web;
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    audit::{chain::Chain, record::Place},
    state::State,
};

/// How often the task looks at the ends.
const INTERVAL: Duration = Duration::from_secs(10);

/// The end of a chain, or of the whole table.
#[derive(Serialize)]
struct Checkpoint<'a> {
    ts: DateTime<Utc>,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<&'a Place>,
    /// The ID of the table's last row; rows of the table are never removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_row: Option<i32>,
}

/// Writes the end of each chain at start-up and whenever it has moved, for as long as the server runs.
pub async fn run(state: web::Data<State>) {
    if !state.audit.any() || !state.config.audit.table {
        return;
    }
    let mut written: Vec<Place> = Vec::new();
    let mut written_row = None;
    let mut looks = tokio::time::interval(INTERVAL);
    loop {
        looks.tick().await;
        let looked = state
            .with_store(|store| {
                let ends = store.audit_ends(&[Chain::Accounts, Chain::Denials])?;
                Ok((ends, store.last_audit_row()?))
            })
            .await;
        // If the database does not answer, the health check reports it.
        let Ok((ends, last_row)) = looked else { continue };
        // Not written again when it went back: verification compares the table with the highest one written.
        if last_row > written_row {
            written_row = last_row;
            state.audit.write(&Checkpoint {
                ts: state.clock.now(),
                kind: "checkpoint",
                table: None,
                last_row,
            });
        }
        for end in ends.iter().filter(|end| !written.contains(end)) {
            state.audit.write(&Checkpoint {
                ts: state.clock.now(),
                kind: "checkpoint",
                table: Some(end),
                last_row: None,
            });
        }
        written = ends;
    }
}
