//! The database of a daemon: SQLite in a file, PostgreSQL, or MySQL and MariaDB.
//!
//! [`Location`] says where it is, [`Database`] hands out connections, [`schema`] brings the tables up to
//! date. What the engines do differently stays in here.

mod command;
mod conflict;
mod connection;
mod error;
mod location;
mod mysql_url;
mod pool;
mod postgres_url;
mod query;
mod reason;
pub mod schema;
mod sqlite;

use std::{
    sync::{Arc, RwLock, mpsc},
    time::Duration,
};

pub use command::{Migrate, MigrateError};
pub use conflict::is_conflict;
pub use connection::{DbConnection, MultiBackend};
pub use error::DatabaseError;
pub use location::{Location, Options};
pub use mysql_url::MysqlUrl;
pub use pool::Pooled;
pub use postgres_url::PostgresUrl;
pub use query::{Exact, Locked, exact, locked, padded};

use pool::{Pools, Purpose};
use schema::Migrations;

/// How long a start waits for the database's first answer before it goes on without it.
const FIRST_ANSWER: Duration = Duration::from_secs(3);
/// The first and the longest pause between two attempts to reach a database that is away.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// A database, which may be unreachable for the moment.
#[derive(Clone)]
pub struct Database {
    pools: Pools,
    /// Why the tables cannot be used yet; `None` once they can.
    waiting: Arc<RwLock<Option<DatabaseError>>>,
}

impl Database {
    /// Opens a database and brings its schema up to date, as `options` allow.
    ///
    /// A database server that does not answer is no error, so that a daemon can listen before its database is up. It is
    /// tried again until it answers; until then [`Database::reader`] and [`Database::writer`] fail with the reason.
    ///
    /// # Errors
    /// When the database answers but cannot be used: an unknown or outdated schema, missing rights.
    pub fn open(
        location: &Location,
        migrations: &'static Migrations,
        options: Options,
    ) -> Result<Self, DatabaseError> {
        let pools = Pools::new(location, options)?;
        let migrate = options.migrate || location.is_embedded();
        let database = Self {
            pools,
            waiting: Arc::default(),
        };
        if location.is_embedded() {
            database.prepare(migrations, migrate)?;
            return Ok(database);
        }
        database.wait_for_schema(location, migrations, migrate)?;
        Ok(database)
    }

    /// Opens a database for a command that ends soon, and brings its schema up to date as `options` allow. It uses
    /// one connection: a pool would open more in the background, and a connection that is still being opened when the
    /// process exits crashes it, because OpenSSL has been unloaded by then.
    ///
    /// # Errors
    /// When it does not answer, or cannot be used.
    pub fn open_for_command(
        location: &Location,
        migrations: &'static Migrations,
        options: Options,
    ) -> Result<Self, DatabaseError> {
        if let Location::Sqlite(path) = location {
            sqlite::file(path)?;
        }
        let database = Self {
            pools: Pools::single(location, Purpose::Write),
            waiting: Arc::default(),
        };
        database.prepare(migrations, options.migrate || location.is_embedded())?;
        Ok(database)
    }

    /// Opens an existing database read-only: it is neither created, nor migrated, nor written to.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn open_read_only(location: &Location) -> Result<Self, DatabaseError> {
        let database = Self {
            pools: Pools::single(location, Purpose::Look),
            waiting: Arc::default(),
        };
        database.reader().map(|_| database)
    }

    fn prepare(&self, migrations: &'static Migrations, migrate: bool) -> Result<(), DatabaseError> {
        let mut connection = self.pools.writer()?;
        if migrate {
            schema::up(&mut connection, migrations).map(drop)
        } else {
            schema::require_current(&mut connection, migrations)
        }
    }

    /// Prepares the schema in a thread of its own, and waits a little for the outcome.
    fn wait_for_schema(
        &self,
        location: &Location,
        migrations: &'static Migrations,
        migrate: bool,
    ) -> Result<(), DatabaseError> {
        let not_yet = DatabaseError::Away {
            place: location.place(),
            reason: "it has not answered yet".into(),
        };
        self.set_waiting(Some(not_yet));
        let (report, first) = mpsc::channel();
        let (database, place) = (self.clone(), location.place());
        std::thread::Builder::new()
            .name("schema".into())
            .spawn(move || {
                let mut pause = PAUSES.0;
                loop {
                    let outcome = database.prepare(migrations, migrate);
                    let again = outcome.as_ref().err().is_some_and(DatabaseError::may_pass);
                    match &outcome {
                        Ok(()) => tracing::info!(database = place, "the database is ready"),
                        Err(cause) => tracing::error!(database = place, "{cause}"),
                    }
                    database.set_waiting(outcome.as_ref().err().cloned());
                    // The receiver is gone after the first outcome, and after the wait for it.
                    let _ = report.send(outcome);
                    if !again {
                        break;
                    }
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(PAUSES.1);
                }
            })
            .map_err(|cause| DatabaseError::System(cause.to_string()))?;
        match first.recv_timeout(FIRST_ANSWER) {
            Ok(Err(cause)) if !cause.may_pass() => Err(cause),
            _ => Ok(()),
        }
    }

    fn set_waiting(&self, reason: Option<DatabaseError>) {
        match self.waiting.write() {
            Ok(mut waiting) => *waiting = reason,
            Err(poisoned) => *poisoned.into_inner() = reason,
        }
    }

    fn usable(&self) -> Result<(), DatabaseError> {
        let waiting = match self.waiting.read() {
            Ok(waiting) => waiting.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        };
        waiting.map_or(Ok(()), Err)
    }

    /// A connection for reading. Several reads in one transaction see one moment.
    ///
    /// # Errors
    /// When the database is away, or no connection becomes free in time.
    pub fn reader(&self) -> Result<Pooled, DatabaseError> {
        self.usable()?;
        self.pools.reader()
    }

    /// A connection for writing; see [`DbConnection::write_transaction`].
    ///
    /// # Errors
    /// When the database is away, or no connection becomes free in time.
    pub fn writer(&self) -> Result<Pooled, DatabaseError> {
        self.usable()?;
        self.pools.writer()
    }
}
