//! All SQL. Every function here blocks; callers are on threads that may.

mod inventory;
mod journal;
mod keys;
mod schema;
mod uses;

use std::path::Path;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use platform::sqlite::{Sqlite, SqliteError};

pub use journal::Journal;
pub use keys::{Inserted, KeyRow, NewKey};
pub use uses::{Use, UseOutcome};

const SQLITE_MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations/signer/sqlite");

/// The database could not do what was asked. Never means that something is not there.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection, or the database could not be opened.
    #[error(transparent)]
    Connection(#[from] SqliteError),
    /// A statement failed.
    #[error("the database refused a statement: {0}")]
    Statement(#[from] diesel::result::Error),
    /// A transaction shared with other callers failed; nothing of it was written.
    #[error("{0}")]
    Unwritten(String),
    /// The thread that writes uses has ended.
    #[error("the database is being closed")]
    Closed,
}

/// The keys and what they signed.
#[derive(Clone)]
pub struct Store {
    database: Sqlite,
}

impl Store {
    /// Opens the SQLite file `path` and brings it to this program's schema.
    ///
    /// # Errors
    /// When the file cannot be opened or a migration fails.
    pub fn open_sqlite(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            database: Sqlite::open(path, SQLITE_MIGRATIONS)?,
        })
    }

    /// A store that is gone when the process ends.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn in_memory() -> Result<Self, StoreError> {
        Ok(Self {
            database: Sqlite::in_memory(SQLITE_MIGRATIONS)?,
        })
    }

    /// Takes the tables away, so that every statement fails.
    #[cfg(test)]
    pub(crate) fn break_for_tests(&self) {
        use diesel::connection::SimpleConnection;
        let mut connection = self.database.writer().unwrap();
        connection
            .batch_execute("DROP TABLE private_keys; DROP TABLE signed_versions;")
            .unwrap();
    }
}
