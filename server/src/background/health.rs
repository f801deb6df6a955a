//! The checks behind the health route, and the upkeep of metrics.

use std::time::Duration;

use actix_web::web;

use crate::{state::State, telemetry::metrics};

/// How often the checks run.
const INTERVAL: Duration = Duration::from_secs(10);

/// Checks the database and the signer for as long as the server runs.
pub async fn run(state: web::Data<State>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        for (kind, end) in state.generation.load().expiries() {
            metrics::certificate_end(kind, end);
        }
        let store = state.store.clone();
        let database = tokio::task::spawn_blocking(move || store.check()).await;
        let database = database
            .map_err(|cause| cause.to_string())
            .and_then(|found| found.map_err(|cause| cause.to_string()));
        state.health.report("DB operational", database);
        let signer = state.keys.health().await.map_err(|cause| cause.to_string());
        state.health.report("Trust operational", signer);
        // Metric summaries drop values older than their window only when told to.
        state.metrics.run_upkeep();
    }
}
