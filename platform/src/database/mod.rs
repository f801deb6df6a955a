//! The database of a daemon: SQLite in a file, PostgreSQL, or MySQL and MariaDB.
//!
//! [`Location`] says where it is, [`Database`] hands out connections, [`schema`] brings the tables up to
//! date. What the engines do differently stays in here.

mod ability;
mod command;
mod conflict;
mod connection;
mod error;
mod galera;
mod location;
mod mysql_url;
mod pool;
mod postgres_url;
mod query;
mod reason;
pub mod schema;
mod sqlite;
mod statement;

use std::{
    sync::{Arc, RwLock, mpsc},
    time::Duration,
};

pub use ability::{Obstacle, TableUse};
pub use command::{Migrate, MigrateError};
pub use conflict::is_conflict;
pub use connection::{DbConnection, MultiBackend};
pub use error::DatabaseError;
pub use galera::is_without_cluster;
pub use location::{Location, Options};
pub use mysql_url::MysqlUrl;
pub use pool::Pooled;
pub use postgres_url::PostgresUrl;
pub use query::{Exact, FirstOnly, Locked, exact, first_only, locked, padded};
pub use statement::Statement;

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
    /// Whether it is an SQLite file.
    is_file: bool,
    /// Why the tables cannot be used yet; `None` once they can.
    waiting: Arc<RwLock<Option<DatabaseError>>>,
    /// What was found in the way of writing when it was last looked for.
    obstacles: Arc<RwLock<Vec<Obstacle>>>,
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
            is_file: matches!(location, Location::Sqlite(_)),
            waiting: Arc::default(),
            obstacles: Arc::default(),
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
            is_file: matches!(location, Location::Sqlite(_)),
            waiting: Arc::default(),
            obstacles: Arc::default(),
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
            is_file: matches!(location, Location::Sqlite(_)),
            waiting: Arc::default(),
            obstacles: Arc::default(),
        };
        database.reader().map(|_| database)
    }

    fn prepare(&self, migrations: &'static Migrations, migrate: bool) -> Result<(), DatabaseError> {
        let mut connection = self.pools.writer()?;
        if migrate {
            schema::up(&mut connection, migrations)?;
        } else {
            schema::require_current(&mut connection, migrations)?;
        }
        // Reading goes on without the right to write, so this is said, and keeps nobody from starting.
        // Nor does an engine that cannot be asked.
        let found =
            ability::obstacles(&mut connection, migrations, Options::default()).unwrap_or_else(|cause| {
                tracing::warn!("whether the database takes writes is not known: {cause}");
                Vec::new()
            });
        for obstacle in &found {
            tracing::error!("the database: {}: {}", obstacle.what, obstacle.fix);
        }
        self.set_obstacles(found);
        Ok(())
    }

    /// The names of the migrations that it lacks. Changes nothing.
    ///
    /// # Errors
    /// When the database does not answer, or was used by a newer version.
    pub fn missing_migrations(&self, migrations: &Migrations) -> Result<Vec<String>, DatabaseError> {
        let steps = schema::status(&mut *self.reader()?, migrations)?.into_iter();
        Ok(steps.filter(|step| !step.applied).map(|step| step.name).collect())
    }

    /// What the database refuses of what a program with these migrations does, looked for now, with as little as looking
    /// needs.
    ///
    /// # Errors
    /// When the database does not answer, or was used by a newer version.
    pub fn obstacles(
        &self,
        migrations: &'static Migrations,
        options: Options,
    ) -> Result<Vec<Obstacle>, DatabaseError> {
        ability::obstacles(&mut *self.reader()?, migrations, options)
    }

    /// Refuses while something is in the way of writing. What was is looked for again, since rights can be given, and
    /// tables repaired, while a program runs.
    ///
    /// # Errors
    /// What is in the way; or when the database does not answer.
    pub fn can_write(&self, migrations: &'static Migrations) -> Result<(), DatabaseError> {
        let known = match self.obstacles.read() {
            Ok(known) => !known.is_empty(),
            Err(poisoned) => !poisoned.into_inner().is_empty(),
        };
        if !known {
            return Ok(());
        }
        let found = self.obstacles(migrations, Options::default())?;
        let told: Vec<String> = found.iter().map(|obstacle| obstacle.what.clone()).collect();
        self.set_obstacles(found);
        if told.is_empty() {
            return Ok(());
        }
        Err(DatabaseError::Obstructed(told.join("; ")))
    }

    fn set_obstacles(&self, found: Vec<Obstacle>) {
        match self.obstacles.write() {
            Ok(mut known) => *known = found,
            Err(poisoned) => *poisoned.into_inner() = found,
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

    /// Whether a connection for reading can tell that others have committed since it was last asked
    /// (`PRAGMA data_version`). A database in memory has one connection for everything, which does not see its own
    /// commits there; other engines have no such number.
    pub fn tells_of_commits(&self) -> bool {
        self.is_file
    }
}
