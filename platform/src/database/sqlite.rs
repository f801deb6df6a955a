//! The embedded engine: its file and its settings.

use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::{Duration, Instant},
};

use diesel::{Connection, SqliteConnection, connection::SimpleConnection};

use super::DatabaseError;
use crate::reason;

/// How long a statement waits for another process's lock before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause between two attempts to lock the file.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// The name under which SQLite keeps a database in memory.
pub(super) const MEMORY: &str = ":memory:";

/// Creates the file, readable by its owner only, if it does not exist. Returns its name for SQLite.
///
/// A file that exists is not opened: closing it would release all locks that this process has on it (POSIX, `fcntl`), those of
/// SQLite's connections among them. The next program that reads the database would then take itself for the only one, and
/// remove the journal into which this process goes on writing.
pub(super) fn file(path: &Path) -> Result<String, DatabaseError> {
    let unusable = |reason: String| DatabaseError::Unusable {
        place: format!("(SQLite) {}", path.display()),
        reason,
    };
    let made = match std::fs::metadata(path) {
        Ok(_) => may_write(path),
        Err(_) => OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map(drop),
    };
    made.map_err(|cause| unusable(reason::of_io(&cause)))?;
    // SQLite takes names such as ":memory:" and "file:…" as commands; a path is always a file.
    let name = std::path::absolute(path).map_err(|cause| unusable(reason::of_io(&cause)))?;
    let name = name
        .to_str()
        .ok_or_else(|| unusable("its name is not valid UTF-8".into()))?;
    Ok(name.to_owned())
}

/// What opening the file for writing would say, without opening it.
fn may_write(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(rustix::io::Errno::ISDIR.into());
    }
    Ok(rustix::fs::access(path, rustix::fs::Access::WRITE_OK)?)
}

/// Opens an existing file read-only and changes none of its settings. Asking for the version of its schema reads the
/// file, so that a file that is not a database is found out here.
pub(super) fn connect_read_only(path: &Path) -> Result<SqliteConnection, String> {
    let whole = std::fs::canonicalize(path).map_err(|cause| reason::of_io(&cause))?;
    let name = whole.to_str().ok_or("its name is not valid UTF-8")?;
    let name = name.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let mut connection =
        SqliteConnection::establish(&format!("file:{name}?mode=ro")).map_err(|cause| cause.to_string())?;
    let pragmas = format!(
        "PRAGMA busy_timeout = {}; PRAGMA query_only = ON; PRAGMA schema_version;",
        BUSY_TIMEOUT.as_millis()
    );
    connection
        .batch_execute(&pragmas)
        .map_err(|cause| cause.to_string())?;
    Ok(connection)
}

/// Opens a database by its name, for reading and writing.
pub(super) fn connect(name: &str) -> Result<SqliteConnection, String> {
    let mut connection = SqliteConnection::establish(name).map_err(|cause| cause.to_string())?;
    // FULL: an acknowledged publish survives a power cut, not only a crash of this process.
    let pragmas = format!(
        "PRAGMA busy_timeout = {};
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA secure_delete = ON;",
        BUSY_TIMEOUT.as_millis()
    );
    connection
        .batch_execute(&pragmas)
        .map_err(|cause| cause.to_string())?;
    Ok(connection)
}

/// Sets the journal mode, which the file keeps. Only the first writer does it, before any other connection opens the
/// file: the change needs an exclusive lock and, unlike a statement, does not wait for it.
pub(super) fn set_journal(connection: &mut SqliteConnection, name: &str) -> Result<(), String> {
    let journal = if name == MEMORY { "MEMORY" } else { "WAL" };
    let end = Instant::now() + BUSY_TIMEOUT;
    loop {
        match connection.batch_execute(&format!("PRAGMA journal_mode = {journal}")) {
            Ok(()) => return Ok(()),
            // Another process has just created the same file.
            Err(cause) if Instant::now() < end && cause.to_string().contains("locked") => {
                std::thread::sleep(BUSY_PAUSE);
            }
            Err(cause) => return Err(cause.to_string()),
        }
    }
}
