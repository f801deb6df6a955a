//! `issuing.*`: a client CA with which the server itself renews certificates.

use std::path::PathBuf;

use platform::config::{ConfigError, Settings};

const CA: &str = "issuing.ca";
const PASSPHRASE: &str = "issuing.passphrase_file";
const DAYS: &str = "issuing.days";
const GROUPS: &str = "issuing.groups";

/// The default lifetime in days: long enough for people, short enough that a stolen key is worth little.
const DEFAULT_DAYS: i64 = 90;
/// The longest lifetime that common clients accept.
const LONGEST: i64 = 397;

/// The client CA of this server.
#[derive(Debug, Clone)]
pub struct IssuingSettings {
    /// The directory of the CA, as `ca init` made it.
    pub directory: PathBuf,
    /// The file with the passphrase of its key.
    pub passphrase_file: Option<PathBuf>,
    /// How many days a certificate is valid.
    pub days: u32,
    /// The groups that a certificate may name, if its holder is in them.
    pub groups: Vec<String>,
}

impl IssuingSettings {
    /// Reads the settings; `None` without `issuing.ca`.
    pub(super) fn read(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let Some(directory) = settings.path(CA)? else {
            return Ok(None);
        };
        let days = settings.integer(DAYS, 1..=LONGEST)?.unwrap_or(DEFAULT_DAYS);
        Ok(Some(Self {
            directory,
            passphrase_file: settings.path(PASSPHRASE)?,
            days: u32::try_from(days).unwrap_or_default(),
            groups: settings.list(GROUPS)?,
        }))
    }
}
