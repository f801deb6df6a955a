//! The embedded engine: its file and its settings.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use diesel::{Connection, SqliteConnection, connection::SimpleConnection};

use super::DatabaseError;

/// How long a statement waits for another process's lock before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The name under which SQLite keeps a database in memory.
pub(super) const MEMORY: &str = ":memory:";

/// Makes the file, readable by its owner alone, if it is not there. Returns its name for SQLite.
pub(super) fn file(path: &Path) -> Result<String, DatabaseError> {
    let away = |reason: String| DatabaseError::Away {
        place: format!("(SQLite) {}", path.display()),
        reason,
    };
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(|cause| away(cause.to_string()))?;
    // SQLite takes names such as ":memory:" and "file:…" as commands; a path is always a file.
    let name = std::path::absolute(path).map_err(|cause| away(cause.to_string()))?;
    let name = name
        .to_str()
        .ok_or_else(|| away("its name is not valid UTF-8".into()))?;
    Ok(name.to_owned())
}

/// Opens a file that is there, for looking only: nothing about it is set, and nothing can be written.
pub(super) fn connect_read_only(path: &Path) -> Result<SqliteConnection, String> {
    let whole = std::fs::canonicalize(path).map_err(|cause| cause.to_string())?;
    let name = whole.to_str().ok_or("its name is not valid UTF-8")?;
    let name = name.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let mut connection =
        SqliteConnection::establish(&format!("file:{name}?mode=ro")).map_err(|cause| cause.to_string())?;
    let pragmas = format!(
        "PRAGMA busy_timeout = {}; PRAGMA query_only = ON;",
        BUSY_TIMEOUT.as_millis()
    );
    connection
        .batch_execute(&pragmas)
        .map_err(|cause| cause.to_string())?;
    Ok(connection)
}

/// Opens a database by its name.
pub(super) fn connect(name: &str) -> Result<SqliteConnection, String> {
    let mut connection = SqliteConnection::establish(name).map_err(|cause| cause.to_string())?;
    let journal = if name == MEMORY { "MEMORY" } else { "WAL" };
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
        .map_err(|cause| cause.to_string())?;
    Ok(connection)
}
