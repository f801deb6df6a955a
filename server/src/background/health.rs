//! The checks behind the health route, and the upkeep of metrics.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use metrics_exporter_prometheus::PrometheusHandle;
use signing::KeyService;

use crate::{
    generation::Generation,
    state::with_store,
    store::Store,
    telemetry::{health::Health, metrics},
};

/// How often the checks run.
const INTERVAL: Duration = Duration::from_secs(10);

/// What is checked, and where the outcome goes.
pub struct Checks {
    /// The certificates and lists whose end is recorded.
    pub generation: Arc<ArcSwap<Generation>>,
    /// The database.
    pub store: Store,
    /// The signer.
    pub keys: Arc<KeyService>,
    /// The outcome, for the health route.
    pub health: Arc<Health>,
    /// The figures that need upkeep.
    pub metrics: PrometheusHandle,
}

/// Checks the database and the signer for as long as the server runs.
pub async fn run(checks: Checks) {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        for (kind, end) in checks.generation.load().expiries() {
            metrics::certificate_end(kind, end);
        }
        let database = with_store(&checks.store, Store::check).await;
        let database = database.map_err(|cause| cause.to_string());
        checks.health.report("DB operational", database);
        let signer = checks.keys.health().await.map_err(|cause| cause.to_string());
        checks.health.report("Trust operational", signer);
        // Metric summaries drop values older than their window only when told to.
        checks.metrics.run_upkeep();
    }
}
