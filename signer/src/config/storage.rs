//! The `storage` section.

use std::path::PathBuf;

use platform::config::{ConfigError, Settings};

use crate::passphrase::Alias;

/// Where keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In memory, gone when the process ends.
    Memory,
    /// In an SQLite file.
    Sqlite {
        /// The file.
        path: PathBuf,
        /// New keys are sealed with its passphrase.
        default_alias: Alias,
    },
}

#[derive(Clone, Copy)]
enum Backend {
    Memory,
    Sqlite,
    Later,
}

impl Storage {
    pub(super) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        const KEY: &str = "storage.backend";
        const ALLOWED: &str = "allowed: sqlite3, memory";
        let backends = [
            ("sqlite3", Backend::Sqlite),
            ("memory", Backend::Memory),
            ("postgres", Backend::Later),
            ("mysql", Backend::Later),
            ("rethinkdb", Backend::Later),
        ];
        let name = settings.required(KEY, ALLOWED)?;
        let backend = backends
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, backend)| *backend);
        match backend {
            Some(Backend::Memory) => {
                // A Notary file for another backend may still name these.
                let _ = (settings.text("storage.db_url")?, default_alias(settings)?);
                Ok(Self::Memory)
            }
            Some(Backend::Sqlite) => {
                let path = sqlite_path(settings)?;
                let default_alias = default_alias(settings)?.ok_or_else(|| {
                    ConfigError::missing(
                        "storage.default_alias",
                        "the alias of the passphrase that new keys are sealed with",
                    )
                })?;
                Ok(Self::Sqlite { path, default_alias })
            }
            Some(Backend::Later) => Err(ConfigError::invalid(
                KEY,
                name,
                format!("{ALLOWED}; this version does not have this backend yet"),
            )),
            None => Err(ConfigError::invalid(KEY, name, ALLOWED)),
        }
    }
}

fn sqlite_path(settings: &Settings) -> Result<PathBuf, ConfigError> {
    const KEY: &str = "storage.db_url";
    const ALLOWED: &str = "the SQLite file, for example /var/lib/countersign/signer.db";
    let text = settings.required(KEY, ALLOWED)?;
    let path = text.strip_prefix("sqlite://").unwrap_or(&text);
    if path.is_empty() || path.contains("://") {
        return Err(ConfigError::invalid(KEY, text, ALLOWED));
    }
    Ok(settings.resolve(path))
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
