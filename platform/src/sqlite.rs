//! The embedded database: many readers, one writer.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use diesel::{
    Connection, SqliteConnection,
    connection::SimpleConnection,
    r2d2::{ConnectionManager, CustomizeConnection, Pool, PooledConnection},
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};

/// How long a statement waits for another process's lock before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request waits for a free connection before it is answered 503.
const POOL_TIMEOUT: Duration = Duration::from_secs(10);
/// Readers; more than the cores of a small machine, since a reader may wait for the disk.
const READERS: u32 = 8;

/// One pooled connection; dereferences to the diesel connection.
pub type Pooled = PooledConnection<ConnectionManager<SqliteConnection>>;

/// An open database.
#[derive(Clone)]
pub struct Sqlite {
    readers: Pool<ConnectionManager<SqliteConnection>>,
    writer: Pool<ConnectionManager<SqliteConnection>>,
}

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SqliteError {
    /// The file cannot be made or opened.
    #[error("cannot open the SQLite database {path}: {reason}")]
    Open {
        /// The file.
        path: String,
        /// What went wrong.
        reason: String,
    },
    /// The schema cannot be brought up to date.
    #[error("cannot bring the SQLite database {path} to this program's schema: {reason}")]
    Migrate {
        /// The file.
        path: String,
        /// What went wrong.
        reason: String,
    },
    /// No connection became free in time.
    #[error("the database is busy: {0}")]
    Busy(#[from] diesel::r2d2::PoolError),
}

#[derive(Debug)]
struct Pragmas {
    in_memory: bool,
}

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for Pragmas {
    fn on_acquire(&self, connection: &mut SqliteConnection) -> Result<(), diesel::r2d2::Error> {
        let journal = if self.in_memory { "MEMORY" } else { "WAL" };
        // FULL: an acknowledged publish survives a power cut, not only a crash of this process.
        let pragmas = format!(
            "PRAGMA busy_timeout = {};
             PRAGMA journal_mode = {journal};
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA secure_delete = ON;",
            BUSY_TIMEOUT.as_millis()
        );
        connection
            .batch_execute(&pragmas)
            .map_err(diesel::r2d2::Error::QueryError)
    }
}

/// For connections that were opened for reading: nothing about the file is set.
#[derive(Debug)]
struct OnlyReads;

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for OnlyReads {
    fn on_acquire(&self, connection: &mut SqliteConnection) -> Result<(), diesel::r2d2::Error> {
        let pragmas = format!(
            "PRAGMA busy_timeout = {}; PRAGMA query_only = ON;",
            BUSY_TIMEOUT.as_millis()
        );
        connection
            .batch_execute(&pragmas)
            .map_err(diesel::r2d2::Error::QueryError)
    }
}

impl Sqlite {
    /// Opens the database file, making it (readable by its owner alone) if it is not there, and
    /// runs the migrations that it lacks.
    ///
    /// # Errors
    /// When the file cannot be made or opened, or a migration fails.
    pub fn open(path: &Path, migrations: EmbeddedMigrations) -> Result<Self, SqliteError> {
        let shown = path.display().to_string();
        let open_error = |reason: String| SqliteError::Open {
            path: shown.clone(),
            reason,
        };
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(|cause| open_error(cause.to_string()))?;
        // SQLite takes names such as ":memory:" and "file:…" as commands; a path is always a file.
        let name = std::path::absolute(path).map_err(|cause| open_error(cause.to_string()))?;
        let name = name
            .to_str()
            .ok_or_else(|| open_error("its name is not valid UTF-8".into()))?
            .to_owned();
        migrate(&name, &shown, migrations)?;
        let pool = |size| {
            Pool::builder()
                .max_size(size)
                .min_idle(Some(1))
                .connection_timeout(POOL_TIMEOUT)
                .connection_customizer(Box::new(Pragmas { in_memory: false }))
                .build(ConnectionManager::new(&name))
                .map_err(|cause| open_error(cause.to_string()))
        };
        Ok(Self {
            readers: pool(READERS)?,
            writer: pool(1)?,
        })
    }

    /// Opens a database file that is there, for looking only: it is not made, migrated or written to.
    ///
    /// # Errors
    /// When it is not there or cannot be opened.
    pub fn open_read_only(path: &Path) -> Result<Self, SqliteError> {
        let open_error = |reason: String| SqliteError::Open {
            path: path.display().to_string(),
            reason,
        };
        let whole = std::fs::canonicalize(path).map_err(|cause| open_error(cause.to_string()))?;
        let name = whole
            .to_str()
            .ok_or_else(|| open_error("its name is not valid UTF-8".into()))?
            .replace('%', "%25")
            .replace('?', "%3f")
            .replace('#', "%23");
        let pool = Pool::builder()
            .max_size(1)
            .connection_timeout(POOL_TIMEOUT)
            .connection_customizer(Box::new(OnlyReads))
            .build(ConnectionManager::new(format!("file:{name}?mode=ro")))
            .map_err(|cause| open_error(cause.to_string()))?;
        Ok(Self {
            readers: pool.clone(),
            writer: pool,
        })
    }

    /// A database that is gone when the process ends: one connection serves readers and writers.
    ///
    /// # Errors
    /// When a migration fails.
    pub fn in_memory(migrations: EmbeddedMigrations) -> Result<Self, SqliteError> {
        let open_error = |reason: String| SqliteError::Open {
            path: "(memory)".into(),
            reason,
        };
        let pool = Pool::builder()
            .max_size(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_on_check_out(false)
            .connection_timeout(POOL_TIMEOUT)
            .connection_customizer(Box::new(Pragmas { in_memory: true }))
            .build(ConnectionManager::new(":memory:"))
            .map_err(|cause| open_error(cause.to_string()))?;
        let mut connection = pool.get()?;
        connection
            .run_pending_migrations(migrations)
            .map_err(|cause| SqliteError::Migrate {
                path: "(memory)".into(),
                reason: cause.to_string(),
            })?;
        drop(connection);
        Ok(Self {
            readers: pool.clone(),
            writer: pool,
        })
    }

    /// A connection for reading.
    ///
    /// # Errors
    /// When none becomes free in time.
    pub fn reader(&self) -> Result<Pooled, SqliteError> {
        Ok(self.readers.get()?)
    }

    /// The connection for writing; there is one, so writers of this process queue here and not in SQLite.
    ///
    /// # Errors
    /// When it does not become free in time.
    pub fn writer(&self) -> Result<Pooled, SqliteError> {
        Ok(self.writer.get()?)
    }
}

fn migrate(name: &str, shown: &str, migrations: EmbeddedMigrations) -> Result<(), SqliteError> {
    let migrate_error = |reason: String| SqliteError::Migrate {
        path: shown.to_owned(),
        reason,
    };
    let mut connection = SqliteConnection::establish(name).map_err(|cause| SqliteError::Open {
        path: shown.to_owned(),
        reason: cause.to_string(),
    })?;
    connection
        .batch_execute(&format!("PRAGMA busy_timeout = {};", BUSY_TIMEOUT.as_millis()))
        .map_err(|cause| migrate_error(cause.to_string()))?;
    // Immediate: of several processes that start at once, one migrates and the others find it done.
    connection
        .immediate_transaction(|connection| {
            connection
                .run_pending_migrations(migrations)
                .map(drop)
                .map_err(MigrationFailure)
        })
        .map_err(|failure| migrate_error(failure.0.to_string()))
}

struct MigrationFailure(Box<dyn std::error::Error + Send + Sync>);

impl From<diesel::result::Error> for MigrationFailure {
    fn from(cause: diesel::result::Error) -> Self {
        Self(Box::new(cause))
    }
}
