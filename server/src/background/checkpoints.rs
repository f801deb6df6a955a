//! Writes the ends of the chains that no request adds to, and of the whole table, to the sinks. Without them, the
//! removal of the last rows could not be proved.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    audit::{Sinks, chain::Chain, record::Place},
    clock::Clock,
    state::with_store,
    store::Store,
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
pub async fn run(store: Store, sinks: Arc<Sinks>, clock: Clock) {
    if !sinks.any() {
        return;
    }
    let mut written: Vec<Place> = Vec::new();
    let mut written_row = None;
    let mut looks = tokio::time::interval(INTERVAL);
    loop {
        looks.tick().await;
        let looked = with_store(&store, |store| {
            let ends = store.audit_ends(&[Chain::Accounts, Chain::Denials, Chain::Certificates])?;
            Ok((ends, store.last_audit_row()?))
        })
        .await;
        // If the database does not answer, the health check reports it.
        let Ok((ends, last_row)) = looked else { continue };
        // Not written again when it went back: verification compares the table with the highest one written.
        if last_row > written_row {
            written_row = last_row;
            sinks.write(&Checkpoint {
                ts: clock.now(),
                kind: "checkpoint",
                table: None,
                last_row,
            });
        }
        for end in ends.iter().filter(|end| !written.contains(end)) {
            sinks.write(&Checkpoint {
                ts: clock.now(),
                kind: "checkpoint",
                table: Some(end),
                last_row: None,
            });
        }
        written = ends;
    }
}
