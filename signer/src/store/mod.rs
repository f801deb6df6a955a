//! All SQL. Every function here blocks; callers are on threads that may.

mod inventory;
mod journal;
mod keys;
mod schema;
mod uses;

use std::path::Path;

use diesel_migrations::embed_migrations;
use platform::database::{
    Database, DatabaseError, DbConnection, Location, Options, is_conflict,
    schema::{Migrations, Program},
};

pub use journal::Journal;
pub use keys::{Inserted, KeyRow, NewKey};
pub use uses::{Use, UseOutcome};

/// The tables of this program.
pub static MIGRATIONS: Migrations = Migrations {
    program: Program::Signer,
    tables: &schema::WRITTEN,
    sqlite: embed_migrations!("../migrations/signer/sqlite"),
    postgres: embed_migrations!("../migrations/signer/postgres"),
    mysql: embed_migrations!("../migrations/signer/mysql"),
};

/// How often a write is tried when others come first. With each failure one of the others has succeeded.
const ATTEMPTS: usize = 32;

/// The database failed. Never means that a row does not exist.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection, or the database could not be opened.
    #[error(transparent)]
    Connection(#[from] DatabaseError),
    /// A statement failed.
    #[error("the database refused a statement: {0}")]
    Statement(#[from] diesel::result::Error),
    /// A transaction shared with other callers failed and was rolled back.
    #[error("{0}")]
    Unwritten(String),
    /// The thread that writes uses has ended.
    #[error("the database is being closed")]
    Closed,
}

/// The keys and what they signed.
#[derive(Clone)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Opens the database and brings its schema up to date. A database that does not answer is tried again until it
    /// does; until then every operation fails with [`StoreError::Connection`].
    ///
    /// # Errors
    /// When the database cannot be used as it is.
    pub fn open(location: &Location, options: Options) -> Result<Self, StoreError> {
        Ok(Self {
            database: Database::open(location, &MIGRATIONS, options)?,
        })
    }

    /// Opens the SQLite file `path`.
    ///
    /// # Errors
    /// When the file cannot be opened or a migration fails.
    pub fn open_sqlite(path: &Path) -> Result<Self, StoreError> {
        Self::open(&Location::Sqlite(path.to_path_buf()), Options::default())
    }

    /// A store that is gone when the process ends.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::open(&Location::Memory, Options::default())
    }

    /// Runs writes in a transaction, and again when another signer on the same database came first. With a scope and a
    /// name, transactions for the same name run one at a time.
    fn write<T>(
        &self,
        name: Option<(&str, &str)>,
        write: impl Fn(&mut DbConnection) -> diesel::QueryResult<T>,
    ) -> Result<T, StoreError> {
        let mut connection = self.database.writer()?;
        let mut attempt = || match name {
            Some((scope, name)) => connection.write_transaction_for(scope, name, &write),
            None => connection.write_transaction(&write),
        };
        for _ in 1..ATTEMPTS {
            match attempt() {
                Err(cause) if is_conflict(&cause) => {}
                outcome => return Ok(outcome?),
            }
        }
        Ok(attempt()?)
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
