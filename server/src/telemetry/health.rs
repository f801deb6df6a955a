//! What the last background checks found.

use std::{collections::BTreeMap, sync::RwLock};

/// The failing checks with their reasons; empty until the first check has run.
#[derive(Debug, Default)]
pub struct Health {
    failing: RwLock<BTreeMap<&'static str, String>>,
}

impl Health {
    /// Records the outcome of a check.
    pub fn report(&self, check: &'static str, outcome: Result<(), String>) {
        let Ok(mut failing) = self.failing.write() else {
            return;
        };
        match outcome {
            Ok(()) => {
                if failing.remove(check).is_some() {
                    tracing::info!(check, "healthy again");
                }
            }
            Err(reason) => {
                tracing::error!(check, reason, "unhealthy");
                failing.insert(check, reason);
            }
        }
    }

    /// The failing checks with their reasons.
    pub fn failing(&self) -> BTreeMap<String, String> {
        let Ok(failing) = self.failing.read() else {
            return BTreeMap::new();
        };
        failing
            .iter()
            .map(|(check, reason)| ((*check).to_owned(), reason.clone()))
            .collect()
    }
}
