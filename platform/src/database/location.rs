//! Where the database is: the `storage` keys that both daemons share.

use std::path::PathBuf;

use super::{MysqlUrl, PostgresUrl};
use crate::config::{ConfigError, Settings};

/// The names that `storage.backend` may have.
const BACKENDS: &str = "allowed: sqlite3, postgres, mysql, memory";
/// Connections of one process; the usual PostgreSQL takes 100 from all of its clients.
const CONNECTIONS: i64 = 20;

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In this process only.
    Memory,
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres(PostgresUrl),
    /// A MySQL or MariaDB server.
    Mysql(MysqlUrl),
}

/// How the database is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether a start brings the schema up to date by itself; an embedded database always is.
    pub migrate: bool,
    /// The most connections of this process to a database server.
    pub connections: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            migrate: true,
            connections: CONNECTIONS as u32,
        }
    }
}

#[derive(Clone, Copy)]
enum Backend {
    Sqlite,
    Postgres,
    Mysql,
    Memory,
}

impl Location {
    /// Reads `storage.backend` and `storage.db_url`.
    ///
    /// # Errors
    /// When a key is missing or has a value that cannot be used. The message never repeats the address,
    /// which may hold a password.
    pub fn read(settings: &Settings) -> Result<Self, ConfigError> {
        const KEY: &str = "storage.db_url";
        let backends = [
            ("sqlite3", Backend::Sqlite),
            ("postgres", Backend::Postgres),
            ("mysql", Backend::Mysql),
            ("memory", Backend::Memory),
        ];
        let Some(backend) = settings.choice("storage.backend", &backends)? else {
            return Err(ConfigError::missing("storage.backend", BACKENDS));
        };
        let refused = |reason: String| ConfigError::invalid(KEY, "(not shown)", reason);
        match backend {
            Backend::Memory => {
                // A Notary file for another backend may still name it.
                let _ = settings.text(KEY)?;
                Ok(Self::Memory)
            }
            Backend::Sqlite => {
                let allowed = "the SQLite file, for example /var/lib/countersign/metadata.db";
                let text = settings.required(KEY, allowed)?;
                let path = text.strip_prefix("sqlite://").unwrap_or(&text);
                if path.is_empty() || path.contains("://") {
                    return Err(refused(allowed.to_owned()));
                }
                Ok(Self::Sqlite(settings.resolve(path)))
            }
            Backend::Postgres => {
                let text = settings.required(KEY, "postgres://user:password@host:5432/database")?;
                if names_a_url(&text) {
                    return Err(refused(
                        "postgres://user:password@host:5432/database, where the host is a name or an address and no URL".into(),
                    ));
                }
                let url = PostgresUrl::parse(&text).map_err(|cause| refused(cause.to_string()))?;
                Ok(Self::Postgres(url))
            }
            Backend::Mysql => {
                let text = settings.required(KEY, "user:password@tcp(host:3306)/database")?;
                let url = MysqlUrl::parse(&text).map_err(|cause| refused(cause.to_string()))?;
                Ok(Self::Mysql(url))
            }
        }
    }

    /// Whether the database is part of this process.
    pub fn is_embedded(&self) -> bool {
        matches!(self, Self::Memory | Self::Sqlite(_))
    }

    /// Its name for messages, without user and password.
    pub fn place(&self) -> String {
        match self {
            Self::Memory => "(memory)".into(),
            Self::Sqlite(path) => format!("(SQLite) {}", path.display()),
            Self::Postgres(url) => format!("(PostgreSQL) {}", url.place()),
            Self::Mysql(url) => format!("(MySQL) {}", url.place()),
        }
    }
}

/// Whether a URL stands where the host of one should.
fn names_a_url(text: &str) -> bool {
    let after_scheme = text.split_once("://").map_or("", |(_, rest)| rest);
    let without_parameters = after_scheme.split('?').next().unwrap_or_default();
    let host = without_parameters.rsplit('@').next().unwrap_or_default();
    host.contains("://")
}

impl Options {
    /// Reads `storage.migrate` and `storage.max_connections`.
    ///
    /// # Errors
    /// When a value is not allowed.
    pub fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let connections = settings
            .integer("storage.max_connections", 2..=1000)?
            .unwrap_or(CONNECTIONS);
        Ok(Self {
            migrate: settings.flag("storage.migrate")?.unwrap_or(true),
            connections: u32::try_from(connections).unwrap_or(2),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(backend: &str, url: &str) -> Result<Location, String> {
        let tree = json!({"storage": {"backend": backend, "db_url": url}});
        Location::read(&Settings::new(tree, PathBuf::from("/c"), |_| None)).map_err(|e| e.to_string())
    }

    #[test]
    fn the_backend_decides_not_the_address() {
        assert_eq!(
            read("sqlite3", "sqlite://a.db").unwrap(),
            Location::Sqlite("/c/a.db".into())
        );
        assert_eq!(read("memory", "user@tcp(h)/d").unwrap(), Location::Memory);
        assert!(matches!(
            read("postgres", "postgres://u@h/d"),
            Ok(Location::Postgres(_))
        ));
        assert!(matches!(read("mysql", "u@tcp(h:1)/d"), Ok(Location::Mysql(_))));
        assert!(read("sqlite3", "postgres://u@h/d").is_err());
        assert!(read("mysql", "postgres://u@h/d").is_err());
        assert!(read("postgres", "mysql://u@h/d").is_err());
    }

    #[test]
    fn refusals_never_repeat_the_password() {
        for (backend, url) in [
            ("mysql", "u:geheim@tcp(h:x)/d"),
            ("mysql", "u:geheim@h"),
            ("postgres", "postgres://u:geheim@h/d?sslmode=maybe"),
            ("postgres", "user=u password=geheim sslmode"),
            ("sqlite3", "postgres://u:geheim@h/d"),
            ("postgres", "postgres://u:geheim@https://h/d"),
            ("mysql", "u:geheim@tcp(https://h:3306)/d"),
        ] {
            let message = read(backend, url).unwrap_err();
            assert!(message.contains("storage.db_url"), "{message}");
            assert!(!message.contains("geheim"), "{message}");
        }
    }
}
