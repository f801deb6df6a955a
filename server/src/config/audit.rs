//! `audit.*`: which decisions and changes are recorded, and where.

use std::path::PathBuf;

use platform::config::{ConfigError, Settings};

/// Where the local syslog daemon listens.
const SYSLOG_SOCKET: &str = "/dev/log";

/// One destination of audit records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// A file to which records are appended, one JSON object per line.
    File(PathBuf),
    /// The standard output, in the same format.
    Stdout,
    /// RFC 5424 messages to the local syslog daemon's socket.
    Syslog(PathBuf),
}

/// Which decisions and changes are recorded, and where.
#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// The destinations of records of decisions.
    pub sinks: Vec<Sink>,
    /// Whether allowed reads are recorded too; denied ones always are.
    pub reads: bool,
    /// Whether changes are recorded in the database.
    pub table: bool,
}

impl AuditSettings {
    /// Reads the settings.
    ///
    /// # Errors
    /// When a sink is unknown.
    pub fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let sinks = settings.list("audit.sinks")?;
        let sinks = sinks.iter().map(|text| sink(settings, text));
        Ok(Self {
            sinks: sinks.collect::<Result<_, _>>()?,
            reads: settings.flag("audit.reads")?.unwrap_or(true),
            table: settings.flag("audit.table")?.unwrap_or(true),
        })
    }
}

fn sink(settings: &Settings, text: &str) -> Result<Sink, ConfigError> {
    let (kind, place) = text.split_once(':').unwrap_or((text, ""));
    match (kind, place) {
        ("stdout", "") => Ok(Sink::Stdout),
        ("syslog", "") => Ok(Sink::Syslog(PathBuf::from(SYSLOG_SOCKET))),
        ("syslog", socket) => Ok(Sink::Syslog(settings.resolve(socket))),
        ("file", path) if !path.is_empty() => Ok(Sink::File(settings.resolve(path))),
        _ => Err(ConfigError::invalid(
            "audit.sinks",
            text,
            "allowed: file:PATH, stdout, syslog, syslog:SOCKET",
        )),
    }
}
