//! `reads.*`: what is kept in memory for readers.

use std::time::Duration;

use platform::config::{ConfigError, Settings};

use super::duration;

/// The default memory for documents, in bytes.
const MEMORY: i64 = 64 * 1024 * 1024;
/// The longest that reads may be behind: a day.
const STALENESS_LIMIT: Duration = Duration::from_secs(86_400);

/// What is kept in memory for readers.
#[derive(Debug, Clone, Copy)]
pub struct ReadSettings {
    /// The memory for documents, in bytes.
    pub memory: u64,
    /// How long after a confirmation by the database reads may go on without another; zero for never.
    pub max_staleness: Duration,
}

impl ReadSettings {
    pub(super) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        const STALENESS: &str = "reads.max_staleness";
        let max_staleness = duration(settings, STALENESS)?.unwrap_or_default();
        if max_staleness > STALENESS_LIMIT {
            let text = settings.text(STALENESS)?.unwrap_or_default();
            return Err(ConfigError::invalid(
                STALENESS,
                text,
                "at most 1d: meanwhile readers miss new signatures, deletions and denials",
            ));
        }
        Ok(Self {
            memory: settings
                .integer("reads.memory", 0..=i64::from(u32::MAX))?
                .unwrap_or(MEMORY)
                .unsigned_abs(),
            max_staleness,
        })
    }
}
