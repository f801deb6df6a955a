//! `reload.*`: when changed files are taken up, besides on SIGHUP.

use std::time::Duration;

use platform::config::{ConfigError, Settings};

use super::duration;

/// When changed files are taken up.
#[derive(Debug, Clone, Copy)]
pub struct ReloadSettings {
    /// Whether they are taken up when they change.
    pub watch: bool,
    /// The interval after which they are taken up in any case.
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
