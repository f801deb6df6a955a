//! `tuf.*`: TUF 1.0 repositories beside those of Notary.

use std::time::Duration;

use chrono::TimeDelta;
use platform::config::{ConfigError, Settings};

use super::duration;

/// How long timestamps last: a server that is down for a weekend stops nobody.
const TIMESTAMP_LIFETIME: Duration = Duration::from_secs(3 * 86_400);
/// How long snapshots last.
const SNAPSHOT_LIFETIME: Duration = Duration::from_secs(30 * 86_400);
/// The shortest lifetime: clocks differ, and renewing takes a moment.
const SHORTEST: Duration = Duration::from_secs(10);
/// The longest lifetime: whoever holds back what is new may do so for that long.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// The largest target file that is stored, in bytes.
const TARGET_SIZE: i64 = 16 * 1024 * 1024;
/// How many target files of one repository are stored.
const TARGET_COUNT: i64 = 1_000;

/// How TUF 1.0 repositories are hosted.
#[derive(Debug, Clone)]
pub struct NativeSettings {
    /// How long a timestamp lasts. It is renewed when half of that is over.
    pub timestamp_lifetime: TimeDelta,
    /// How long a snapshot lasts.
    pub snapshot_lifetime: TimeDelta,
    /// The largest target file that is stored, in bytes.
    pub target_size: usize,
    /// How many target files of one repository are stored.
    pub target_count: i64,
    /// Where target files are that are not stored here: an address to which the repository's name and the file's path
    /// are added; `None` if there is no such place.
    pub elsewhere: Option<String>,
}

impl NativeSettings {
    pub(super) fn read(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let enabled = settings.flag("tuf.enabled")?.unwrap_or(false);
        let timestamp = lifetime(settings, "tuf.timestamp_lifetime", TIMESTAMP_LIFETIME)?;
        let snapshot = lifetime(settings, "tuf.snapshot_lifetime", SNAPSHOT_LIFETIME)?;
        if timestamp > snapshot {
            return Err(ConfigError::invalid(
                "tuf.timestamp_lifetime",
                humantime::format_duration(timestamp).to_string(),
                "at most tuf.snapshot_lifetime: a timestamp is of no use without its snapshot",
            ));
        }
        let read = Self {
            timestamp_lifetime: TimeDelta::from_std(timestamp).unwrap_or(TimeDelta::MAX),
            snapshot_lifetime: TimeDelta::from_std(snapshot).unwrap_or(TimeDelta::MAX),
            target_size: settings
                .integer("tuf.targets.max_size", 0..=1024 * 1024 * 1024)?
                .map_or(usize::try_from(TARGET_SIZE).unwrap_or(usize::MAX), |size| {
                    usize::try_from(size).unwrap_or(usize::MAX)
                }),
            target_count: settings
                .integer("tuf.targets.max_count", 0..=1_000_000)?
                .unwrap_or(TARGET_COUNT),
            elsewhere: elsewhere(settings)?,
        };
        if !enabled {
            return Ok(None);
        }
        if !cfg!(feature = "native") {
            return Err(ConfigError::invalid(
                "tuf.enabled",
                "true",
                "false: this program was built without TUF 1.0 repositories (cargo feature native)",
            ));
        }
        Ok(Some(read))
    }
}

fn lifetime(settings: &Settings, key: &str, default: Duration) -> Result<Duration, ConfigError> {
    let read = duration(settings, key)?.unwrap_or(default);
    if (SHORTEST..=LONGEST).contains(&read) {
        return Ok(read);
    }
    let text = settings.text(key)?.unwrap_or_default();
    Err(ConfigError::invalid(key, text, "between 10s and 366d"))
}

fn elsewhere(settings: &Settings) -> Result<Option<String>, ConfigError> {
    const KEY: &str = "tuf.targets.redirect";
    let Some(text) = settings.text(KEY)?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let expected = "an address such as https://files.example.com/tuf/, without query and fragment";
    let fits = reqwest::Url::parse(&text).is_ok_and(|address| {
        matches!(address.scheme(), "https" | "http")
            && address.query().is_none()
            && address.fragment().is_none()
            && address.username().is_empty()
            && address.password().is_none()
    });
    if fits {
        Ok(Some(text.trim_end_matches('/').to_owned()))
    } else {
        Err(ConfigError::invalid(KEY, text, expected))
    }
}
