//! All SQL. Documents are stored and served byte for byte; every multi-document read sees one moment.

mod changes;
mod commit;
mod import;
mod inventory;
mod read;
mod schema;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use platform::sqlite::{Sqlite, SqliteError};

pub use changes::{Change, ChangeQuery};
pub use commit::{Actor, CommitError};
pub use import::{ImportError, Imported};
pub use inventory::Audited;
pub use read::{Chain, Stored, TrustedState};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations/server/sqlite");

/// Why the database gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection could be had.
    #[error(transparent)]
    Connection(#[from] SqliteError),
    /// A statement failed.
    #[error("the database failed: {0}")]
    Query(#[from] diesel::result::Error),
    /// A stored row is not what this program, or Notary, writes.
    #[error("the database holds a damaged row: {role} version {version} of {gun}: {reason}")]
    Damaged {
        /// The repository.
        gun: String,
        /// The role.
        role: String,
        /// The version.
        version: i32,
        /// What is wrong with it.
        reason: String,
    },
}

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// An SQLite file.
    Sqlite(std::path::PathBuf),
    /// In this process only.
    Memory,
}

/// The metadata of every GUN, and the record of changes.
#[derive(Clone)]
pub struct Store {
    database: Sqlite,
}

impl Store {
    /// Opens the database and brings its schema up to date.
    ///
    /// # Errors
    /// When it cannot be opened or migrated.
    pub fn open(location: &Location) -> Result<Self, StoreError> {
        let database = match location {
            Location::Sqlite(path) => Sqlite::open(path, MIGRATIONS)?,
            Location::Memory => Sqlite::in_memory(MIGRATIONS)?,
        };
        Ok(Self { database })
    }
}
