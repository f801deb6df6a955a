//! Transfers repositories between servers, with their whole history: `export`, `import` and `mirror`.

pub mod export;
mod file;
pub mod import;
mod keys;
mod login;
pub mod mirror;
mod remote;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use platform::{config::ConfigError, database::Location};
use tuf::{Document, Gun, GunError};

use self::keys::KeyCheck;
use crate::{
    config::{Config, GunPrefixes},
    state::OpenError,
    store::{Actor, ImportError, Imported, Store, StoreError, Stored},
};

/// The principal recorded for imports.
const IMPORT: &str = "(import)";

/// Why nothing, or not everything, was transferred.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database does not answer.
    #[error("storage: {0}")]
    Store(#[from] StoreError),
    /// With storage in memory, each process has its own database.
    #[error(
        "storage.backend is memory: the repositories of a running server are out of reach of this command"
    )]
    Memory,
    /// The argument is not a GUN.
    #[error("{0:?} is not a repository: {1}")]
    Gun(String, GunError),
    /// There is no document of this GUN.
    #[error("{0}: nothing is stored of this repository")]
    Nothing(Gun),
    /// A file cannot be read or written.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// A file is not an export.
    #[error("{}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, and in which line.
        reason: String,
    },
    /// The signer's address or files cannot be used.
    #[error("the signer: {0}")]
    Signer(OpenError),
    /// The operating system reports an error.
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
    /// The other server cannot be read.
    #[error("{0}")]
    Remote(String),
    /// Some repositories were refused; each was reported.
    #[error("{0} repositories were not imported for the reasons above; nothing of them was stored")]
    Refused(u64),
}

impl From<diesel::result::Error> for MoveError {
    fn from(cause: diesel::result::Error) -> Self {
        Self::Store(cause.into())
    }
}

fn gun(text: &str) -> Result<Gun, MoveError> {
    Gun::parse(text).map_err(|cause| MoveError::Gun(text.to_owned(), cause))
}

fn configuration(path: &std::path::Path) -> Result<Config, MoveError> {
    let config = Config::load(path, false)?;
    if config.storage == Location::Memory {
        return Err(MoveError::Memory);
    }
    Ok(config)
}

/// The database into which repositories are imported, and the outcome so far.
struct Destination {
    store: Store,
    prefixes: GunPrefixes,
    actor: Actor,
    keys: KeyCheck,
    taken: u64,
    refused: u64,
}

impl Destination {
    fn open(config: Config) -> Result<Self, MoveError> {
        Ok(Self {
            store: Store::open_for_command(&config.storage, config.storage_options)?
                .with_audit_table(config.audit.table),
            keys: KeyCheck::of(&config)?,
            prefixes: config.gun_prefixes,
            actor: Actor::command(IMPORT),
            taken: 0,
            refused: 0,
        })
    }

    /// Imports one repository, completely or not at all.
    fn import(
        &self,
        gun: &Gun,
        documents: impl IntoIterator<Item = Result<Stored, ImportError>>,
        now: DateTime<Utc>,
    ) -> Result<Imported, ImportError> {
        let judge = |root: &Document| self.keys.judge(gun, root);
        self.store.import(gun, documents, judge, &self.actor, now)
    }

    /// Prints the outcome for a repository. A database error ends the command.
    fn tell(&mut self, gun: &Gun, outcome: Result<Imported, ImportError>) -> Result<(), MoveError> {
        self.taken += u64::from(outcome.is_ok());
        match outcome {
            Ok(Imported { added: 0, .. }) => platform::say!("{gun}: nothing new"),
            Ok(Imported { added, known: 0 }) => platform::say!("{gun}: {added} documents"),
            Ok(Imported { added, .. }) => platform::say!("{gun}: {added} new documents"),
            Err(ImportError::Store(cause)) => return Err(cause.into()),
            Err(reason) => {
                self.refused += 1;
                platform::say!("{gun}: refused: {reason}");
            }
        }
        if !self.prefixes.allow(gun.as_str()) {
            platform::say!("{gun}: is not served, because of repositories.gun_prefixes");
        }
        Ok(())
    }

    /// Whether any repository is stored now, newly or from before.
    fn holds_any(&self) -> bool {
        self.taken > 0
    }

    fn end(&self) -> Result<(), MoveError> {
        match self.refused {
            0 => Ok(()),
            refused => Err(MoveError::Refused(refused)),
        }
    }
}
