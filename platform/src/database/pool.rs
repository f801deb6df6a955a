//! Bounded pools of connections, made anew after the database was away.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use diesel::{
    Connection, MysqlConnection, PgConnection, RunQueryDsl,
    connection::SimpleConnection,
    r2d2::{HandleError, ManageConnection, Pool, PooledConnection, R2D2Connection},
};

use super::{
    DatabaseError, DbConnection, Location, Options,
    reason::{self, Failure, TlsFiles},
    sqlite,
};

/// How long a request waits for a free connection before it is answered 503.
const POOL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one wait for a connection lasts before the pool checks whether the database is away.
const GLANCE: Duration = Duration::from_millis(250);
/// Bounds r2d2's pauses between attempts to connect (half of it), so that recovery is quick.
const RECONNECT: Duration = Duration::from_secs(2);
/// A connection that was used within this time counts as alive.
const FRESH: Duration = Duration::from_secs(1);
/// SQLite's readers; more than the cores of a small machine, since a reader may wait for the disk.
const SQLITE_READERS: u32 = 8;

/// What connections are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Reading: a transaction sees one moment.
    Read,
    /// Reading only: every attempt to write fails.
    Look,
    /// Writing: a statement sees what was committed before it began.
    Write,
}

/// A connection that goes back to its pool.
pub struct Pooled(PooledConnection<Manager>);

impl Deref for Pooled {
    type Target = DbConnection;

    fn deref(&self) -> &DbConnection {
        &self.0.connection
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut DbConnection {
        &mut self.0.connection
    }
}

/// Readers and writers of one database.
#[derive(Clone)]
pub(super) struct Pools {
    readers: Pool<Manager>,
    writers: Pool<Manager>,
    reach: Arc<Reach>,
}

/// Whether the last attempt to connect succeeded, and why not.
#[derive(Default)]
struct Reach {
    place: String,
    is_away: AtomicBool,
    reason: RwLock<Option<DatabaseError>>,
}

impl Reach {
    fn lost(&self, reason: &DatabaseError) {
        if !self.is_away.swap(true, Ordering::Relaxed) {
            tracing::error!(database = self.place, "{reason}; trying again");
        }
        let mut known = self.reason.write().unwrap_or_else(PoisonError::into_inner);
        *known = Some(reason.clone());
    }

    fn found(&self) {
        if self.is_away.swap(false, Ordering::Relaxed) {
            tracing::info!(database = self.place, "the database answers again");
        }
    }

    fn error(&self) -> DatabaseError {
        let known = self.reason.read().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(reason) if self.is_away.load(Ordering::Relaxed) => reason.clone(),
            _ => DatabaseError::Busy {
                place: self.place.clone(),
            },
        }
    }
}

impl Pools {
    /// Makes the pools; connects only to embedded databases.
    pub(super) fn new(location: &Location, options: Options) -> Result<Self, DatabaseError> {
        if let Location::Sqlite(path) = location {
            sqlite::file(path)?;
        }
        let reach = Arc::new(Reach {
            place: location.place(),
            ..Reach::default()
        });
        let pool = |purpose, size: u32| {
            let manager = Manager {
                location: location.clone(),
                purpose,
                reach: reach.clone(),
            };
            let builder = Pool::builder()
                .max_size(size)
                .min_idle(Some(1))
                .connection_timeout(RECONNECT)
                .error_handler(Box::new(AlreadyLogged));
            // A database in memory is gone with its connection.
            let builder = match location {
                Location::Memory => builder.idle_timeout(None).max_lifetime(None),
                _ => builder,
            };
            builder.build_unchecked(manager)
        };
        let (readers, writers) = match location {
            Location::Memory => {
                let only = pool(Purpose::Write, 1);
                (only.clone(), only)
            }
            // One writer, so that writers of this process queue here and not in SQLite.
            Location::Sqlite(_) => {
                // A writer sets the file up before any reader opens it. One of its own, so that a file that cannot be
                // used is an error at once: a pool would go on trying.
                drop(connect(location, Purpose::Write)?);
                let writers = pool(Purpose::Write, 1);
                drop(writers.get_timeout(POOL_TIMEOUT));
                (pool(Purpose::Read, SQLITE_READERS), writers)
            }
            Location::Postgres(_) | Location::Mysql(_) => {
                let writers = (options.connections / 2).max(1);
                let readers = options.connections.saturating_sub(writers).max(1);
                (pool(Purpose::Read, readers), pool(Purpose::Write, writers))
            }
        };
        Ok(Self {
            readers,
            writers,
            reach,
        })
    }

    /// One connection for everything, to a database that is there; with [`Purpose::Look`] it cannot write.
    pub(super) fn single(location: &Location, purpose: Purpose) -> Self {
        let reach = Arc::new(Reach {
            place: location.place(),
            ..Reach::default()
        });
        let only = Pool::builder()
            .max_size(1)
            .connection_timeout(RECONNECT)
            .error_handler(Box::new(AlreadyLogged))
            .build_unchecked(Manager {
                location: location.clone(),
                purpose,
                reach: reach.clone(),
            });
        Self {
            readers: only.clone(),
            writers: only,
            reach,
        }
    }

    pub(super) fn reader(&self) -> Result<Pooled, DatabaseError> {
        self.get(&self.readers)
    }

    pub(super) fn writer(&self) -> Result<Pooled, DatabaseError> {
        self.get(&self.writers)
    }

    fn get(&self, pool: &Pool<Manager>) -> Result<Pooled, DatabaseError> {
        let end = Instant::now() + POOL_TIMEOUT;
        loop {
            if let Ok(connection) = pool.get_timeout(GLANCE) {
                return Ok(Pooled(connection));
            }
            // While the database is away, fail at once.
            if self.reach.is_away.load(Ordering::Relaxed) || Instant::now() >= end {
                return Err(self.reach.error());
            }
        }
    }
}

struct Manager {
    location: Location,
    purpose: Purpose,
    reach: Arc<Reach>,
}

/// A connection and when it last proved to be alive.
struct Proven {
    connection: DbConnection,
    at: Instant,
}

#[derive(Debug, thiserror::Error)]
enum ManagerError {
    #[error(transparent)]
    Connect(DatabaseError),
    #[error(transparent)]
    Ping(diesel::result::Error),
}

impl ManageConnection for Manager {
    type Connection = Proven;
    type Error = ManagerError;

    fn connect(&self) -> Result<Proven, ManagerError> {
        match connect(&self.location, self.purpose) {
            Ok(connection) => {
                self.reach.found();
                Ok(Proven {
                    connection,
                    at: Instant::now(),
                })
            }
            Err(cause) => {
                self.reach.lost(&cause);
                Err(ManagerError::Connect(cause))
            }
        }
    }

    fn is_valid(&self, proven: &mut Proven) -> Result<(), ManagerError> {
        if self.location.is_embedded() || proven.at.elapsed() < FRESH {
            return Ok(());
        }
        proven.connection.ping().map_err(ManagerError::Ping)?;
        proven.at = Instant::now();
        Ok(())
    }

    fn has_broken(&self, proven: &mut Proven) -> bool {
        proven.connection.is_broken()
    }
}

/// [`Reach`] logs when the database goes away and when it is back; the attempts in between are not logged.
#[derive(Debug)]
struct AlreadyLogged;

impl<E: fmt::Debug> HandleError<E> for AlreadyLogged {
    fn handle_error(&self, _: E) {}
}

/// Connects to the configured engine.
pub(super) fn connect(location: &Location, purpose: Purpose) -> Result<DbConnection, DatabaseError> {
    let connected = match location {
        Location::Memory => {
            let connected = sqlite::connect(sqlite::MEMORY).and_then(|mut connection| {
                sqlite::set_journal(&mut connection, sqlite::MEMORY)?;
                Ok(DbConnection::Sqlite(connection))
            });
            connected.map_err(Failure::Unusable)
        }
        Location::Sqlite(path) if purpose == Purpose::Look => sqlite::connect_read_only(path)
            .map(DbConnection::Sqlite)
            .map_err(|text| reason::sqlite(path, &text)),
        Location::Sqlite(path) => {
            let name = sqlite::file(path)?;
            let connected = sqlite::connect(&name).and_then(|mut connection| {
                if purpose == Purpose::Write {
                    sqlite::set_journal(&mut connection, &name)?;
                }
                Ok(DbConnection::Sqlite(connection))
            });
            connected.map_err(|text| reason::sqlite(path, &text))
        }
        Location::Postgres(url) => served(
            url.tls_files(),
            || PgConnection::establish(url.for_libpq()),
            |text| reason::postgres(&text),
            |connection| set_up_postgres(connection, purpose).map_err(Failure::Refused),
        ),
        Location::Mysql(url) => served(
            url.tls_files(),
            || MysqlConnection::establish(url.for_diesel()),
            |text| reason::mysql(&text),
            |connection| set_up_mysql(connection, url, purpose),
        ),
    };
    connected.map_err(|failure| {
        let place = location.place();
        match failure {
            Failure::Unreachable(reason) => DatabaseError::Away { place, reason },
            Failure::Refused(reason) => DatabaseError::Refused { place, reason },
            Failure::WithoutCluster(reason) => DatabaseError::WithoutCluster { place, reason },
            Failure::Unusable(reason) => DatabaseError::Unusable { place, reason },
        }
    })
}

/// Connects to a database server and sets the session up; `classify` reads the driver's words.
fn served<C>(
    files: &TlsFiles,
    establish: impl FnOnce() -> diesel::ConnectionResult<C>,
    classify: impl Fn(String) -> Failure,
    set_up: impl FnOnce(C) -> Result<DbConnection, Failure>,
) -> Result<DbConnection, Failure> {
    if let Some(failure) = files.encrypted_key() {
        return Err(failure);
    }
    match establish() {
        Ok(connection) => set_up(connection),
        Err(diesel::ConnectionError::BadConnection(text)) => Err(files.explain(classify(text))),
        Err(other) => Err(files.explain(classify(other.to_string()))),
    }
}

fn set_up_postgres(mut connection: PgConnection, purpose: Purpose) -> Result<DbConnection, String> {
    // Several reads of one transaction see one moment; a write sees what was committed before it.
    let transactions = match purpose {
        Purpose::Read => "SET default_transaction_isolation = 'repeatable read'",
        Purpose::Look => {
            "SET default_transaction_isolation = 'repeatable read'; SET default_transaction_read_only = on"
        }
        Purpose::Write => "SET default_transaction_isolation = 'read committed'",
    };
    connection
        .batch_execute(&format!("SET timezone = 'UTC'; {transactions}"))
        .map_err(|cause| cause.to_string())?;
    // Every statement that is kept prepared finds rows by an index, whatever its parameters are, so that planning it
    // for each of them costs more than running it. Engines that speak PostgreSQL's protocol may not know the setting.
    let _ = connection.batch_execute("SET plan_cache_mode = force_generic_plan");
    // Documents of many tags are compressed when they are stored, which took longer than everything else of a publish with
    // the engine's default. Engines before version 14, or built without LZ4, keep theirs; every one that knows the setting
    // reads both.
    let _ = connection.batch_execute("SET default_toast_compression = lz4");
    Ok(DbConnection::Postgres(connection))
}

fn set_up_mysql(
    mut connection: MysqlConnection,
    url: &super::MysqlUrl,
    purpose: Purpose,
) -> Result<DbConnection, Failure> {
    let text = |cause: diesel::result::Error| Failure::Refused(cause.to_string());
    if url.encrypted() {
        // The client library falls back to an unencrypted connection if the server has no TLS.
        #[derive(diesel::QueryableByName)]
        struct Cipher {
            #[diesel(sql_type = diesel::sql_types::Text)]
            cipher: String,
        }
        let question = "SELECT VARIABLE_VALUE AS cipher FROM information_schema.SESSION_STATUS \
                        WHERE VARIABLE_NAME = 'Ssl_cipher'";
        let alternative = question.replace(
            "information_schema.SESSION_STATUS",
            "performance_schema.session_status",
        );
        let found: Cipher = diesel::sql_query(question)
            .get_result(&mut connection)
            .or_else(|_| diesel::sql_query(alternative).get_result(&mut connection))
            .map_err(text)?;
        if found.cipher.is_empty() {
            return Err(Failure::Refused(
                "it does not speak TLS, which the address asks for".into(),
            ));
        }
    }
    // STRICT_ALL_TABLES: a value that does not fit is refused, not truncated. English: see is_conflict.
    let isolation = match purpose {
        Purpose::Read | Purpose::Look => "REPEATABLE READ",
        Purpose::Write => "READ COMMITTED",
    };
    connection
        .batch_execute(&format!(
            "SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, ',STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION');
             SET SESSION TRANSACTION ISOLATION LEVEL {isolation};
             SET NAMES utf8mb4;
             SET SESSION lc_messages = 'en_US'"
        ))
        .map_err(text)?;
    for (name, value) in url.settings() {
        connection
            .batch_execute(&format!("SET SESSION {name} = {value}"))
            .map_err(text)?;
    }
    // After the settings of the address, which must not make reads stale.
    super::galera::set_up(&mut connection)?;
    if purpose == Purpose::Look {
        connection
            .batch_execute("SET SESSION TRANSACTION READ ONLY")
            .map_err(text)?;
    }
    Ok(DbConnection::Mysql(connection))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_away_is_named_without_the_password_and_nobody_waits_long() {
        let url = super::super::PostgresUrl::parse("postgres://u:geheim@127.0.0.1:1/d").unwrap();
        let pools = Pools::new(&Location::Postgres(url), Options::default()).unwrap();
        let started = Instant::now();
        let error = pools.reader().err().unwrap().to_string();
        assert!(
            error.contains("(PostgreSQL) 127.0.0.1:1/d does not answer"),
            "{error}"
        );
        assert!(!error.contains("geheim"));
        assert!(started.elapsed() < POOL_TIMEOUT / 2);
    }

    #[test]
    fn programs_that_make_the_same_file_at_once_wait_for_each_other() {
        for _ in 0..20 {
            let directory = tempfile::tempdir().unwrap();
            let location = Location::Sqlite(directory.path().join("new.db"));
            let together = std::sync::Barrier::new(4);
            std::thread::scope(|scope| {
                let opened: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            together.wait();
                            let pools = Pools::new(&location, Options::default()).unwrap();
                            let writer = connect(&location, Purpose::Write);
                            let reader = connect(&location, Purpose::Read);
                            (writer.map(drop), reader.map(drop), pools.reader().map(drop))
                        })
                    })
                    .collect();
                for opened in opened {
                    let (writer, reader, pooled) = opened.join().unwrap();
                    writer.and(reader).and(pooled).unwrap();
                }
            });
        }
    }

    #[test]
    fn the_engine_is_the_configured_one_or_none() {
        let url = super::super::MysqlUrl::parse("u:geheim@tcp(127.0.0.1:1)/d").unwrap();
        let error = connect(&Location::Mysql(url), Purpose::Write)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("(MySQL) 127.0.0.1:1/d does not answer"), "{error}");
        assert!(!error.contains("geheim"));
    }
}
