//! Renews what the server signs for TUF 1.0 repositories before clients see it expired.

use actix_web::web;

use crate::{native, state::State, telemetry::metrics};

/// Renews documents, round after round, for as long as the server runs.
pub async fn run(state: web::Data<State>) {
    let Some(settings) = &state.config.native else {
        return;
    };
    let holder = super::random_name();
    // Several rounds fit into the half of a timestamp's life that is left when it becomes due.
    let lifetime = settings.timestamp_lifetime.to_std().unwrap_or_default();
    let pause = state.config.refresh.interval.min(lifetime / 8);
    loop {
        match native::renew_due(&state, &holder).await {
            Ok((renewed, failed)) => {
                metrics::renewed("renewed", renewed);
                metrics::renewed("failed", failed);
            }
            Err(reason) => tracing::warn!(%reason, "a round of renewals of TUF repositories ended early"),
        }
        tokio::time::sleep(pause).await;
    }
}
