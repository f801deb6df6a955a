//! `refresh.*`: when timestamps are renewed before they expire.

use std::time::Duration;

use chrono::TimeDelta;
use platform::config::{ConfigError, Settings};

use super::duration;

/// How often the server looks for timestamps to renew.
const INTERVAL: Duration = Duration::from_secs(600);
/// The share of the lifetime that is left when timestamps are renewed: a third.
const SHARE_OF_LIFETIME: i32 = 3;

/// When timestamps are renewed in the background.
#[derive(Debug, Clone, Copy)]
pub struct RefreshSettings {
    /// How long before their expiry; with zero they are renewed only when a client asks for them.
    pub before_expiry: TimeDelta,
    /// How often the server looks.
    pub interval: Duration,
}

impl RefreshSettings {
    pub(super) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let key = "refresh.before_expiry";
        let before_expiry = match duration(settings, key)? {
            None => tuf::TIMESTAMP_LIFETIME / SHARE_OF_LIFETIME,
            Some(before) => {
                let lifetime = tuf::TIMESTAMP_LIFETIME;
                TimeDelta::from_std(before)
                    .ok()
                    .filter(|before| *before < lifetime)
                    .ok_or_else(|| {
                        let shown = humantime::format_duration(before);
                        let allowed =
                            format!("less than a timestamp's lifetime, {} days", lifetime.num_days());
                        ConfigError::invalid(key, shown, allowed)
                    })?
            }
        };
        let interval = duration(settings, "refresh.interval")?.unwrap_or(INTERVAL);
        if interval.is_zero() {
            return Err(ConfigError::invalid(
                "refresh.interval",
                "0",
                "a time such as 10m; at least a second",
            ));
        }
        Ok(Self {
            before_expiry,
            interval,
        })
    }
}
