//! `reload.*`: when changed files are taken up, beside on SIGHUP.

use std::time::Duration;

use platform::config::{ConfigError, Settings};

use super::duration;

/// When changed files are taken up.
#[derive(Debug, Clone, Copy)]
pub struct ReloadSettings {
    /// When they change.
    pub watch: bool,
    /// After this time, changed or not.
    pub every: Option<Duration>,
}

impl ReloadSettings {
    pub(super) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            watch: settings.flag("reload.watch")?.unwrap_or(true),
            every: duration(settings, "reload.every")?.filter(|every| !every.is_zero()),
        })
    }
}
