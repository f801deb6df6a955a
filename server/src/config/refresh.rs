//! `refresh.*`: renewing timestamps before they expire.

use std::time::Duration;

use chrono::TimeDelta;
use platform::config::{ConfigError, Settings};

/// How often the server looks for timestamps to renew.
const INTERVAL: Duration = Duration::from_secs(600);
/// Timestamps are renewed when a third of their lifetime is left.
const SHARE_OF_LIFETIME: i32 = 3;

/// When timestamps are renewed in the background.
#[derive(Debug, Clone, Copy)]
pub struct RefreshSettings {
    /// How long before they expire; zero leaves them until somebody asks.
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

/// A time such as `4d 12h`, `90s`, or a number of seconds.
fn duration(settings: &Settings, key: &str) -> Result<Option<Duration>, ConfigError> {
    let Some(text) = settings.text(key)? else {
        return Ok(None);
    };
    let seconds = text.parse().ok().map(Duration::from_secs);
    let parsed = seconds.or_else(|| humantime::parse_duration(&text).ok());
    parsed
        .map(Some)
        .ok_or_else(|| ConfigError::invalid(key, &text, "a time such as 4d 12h, or seconds"))
}
