//! The `storage` section.

use platform::{
    config::{ConfigError, Settings},
    database::{Location, Options},
};

use crate::passphrase::Alias;

/// Where keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In memory, gone when the process ends.
    Memory,
    /// In a database.
    Database {
        /// Where it is.
        location: Location,
        /// How it is used.
        options: Options,
        /// New keys are sealed with its passphrase.
        default_alias: Alias,
    },
}

impl Storage {
    pub(super) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let location = Location::read(settings)?;
        let options = Options::read(settings)?;
        // A Notary file that was written for another backend may still have an alias.
        match (location, default_alias(settings)?) {
            (Location::Memory, _) => Ok(Self::Memory),
            (location, Some(default_alias)) => Ok(Self::Database {
                location,
                options,
                default_alias,
            }),
            (_, None) => Err(ConfigError::missing(
                "storage.default_alias",
                "the alias of the passphrase that new keys are sealed with",
            )),
        }
    }
}

/// `storage.default_alias`, else the top-level `default_alias` of old files.
fn default_alias(settings: &Settings) -> Result<Option<Alias>, ConfigError> {
    let (inner, outer) = (
        settings.text("storage.default_alias")?,
        settings.text("default_alias")?,
    );
    let (key, name) = match (inner, outer) {
        (Some(name), _) => ("storage.default_alias", name),
        (None, Some(name)) => ("default_alias", name),
        (None, None) => return Ok(None),
    };
    Alias::new(&name)
        .map(Some)
        .map_err(|cause| ConfigError::invalid(key, name, cause.to_string()))
}
