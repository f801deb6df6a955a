//! What the health service reports. It is checked again every few seconds.

use std::{convert::Infallible, time::Duration};

use signing::health::{KEY_MANAGEMENT, SIGNER};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::keyring::Keyring;

/// How often database and passphrase are tested. A Notary server asks every 10 s.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long the test may take before it counts as failed.
const LIMIT: Duration = Duration::from_secs(5);
/// The name for the process as a whole in the health protocol.
const OVERALL: &str = "";

/// Tests once and reports the outcome under every name.
pub(super) async fn report(keyring: &Keyring, reporter: &HealthReporter) -> Result<(), String> {
    let outcome = match tokio::time::timeout(LIMIT, keyring.check()).await {
        Ok(checked) => checked.map_err(|cause| cause.to_string()),
        Err(_) => Err(format!("the key database did not answer within {LIMIT:?}")),
    };
    let status = if outcome.is_ok() {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    for service in [OVERALL, KEY_MANAGEMENT, SIGNER] {
        reporter.set_service_status(service, status).await;
    }
    outcome
}

/// Goes on reporting for as long as it is polled, and logs every change.
pub(super) async fn watch(
    keyring: Keyring,
    reporter: HealthReporter,
    mut last: Result<(), String>,
) -> Infallible {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let now = report(&keyring, &reporter).await;
        if now != last {
            match &now {
                Ok(()) => tracing::info!("serving again"),
                Err(reason) => tracing::error!("not serving: {reason}"),
            }
        }
        last = now;
    }
}
