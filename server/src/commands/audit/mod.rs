//! `audit`: shows what was changed and by whom, and verifies that the table of changes is complete.

mod verify;

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use chrono::{DateTime, NaiveDate, Utc};
use platform::{
    config::{ConfigError, Settings},
    database::Location,
};
use tuf::Gun;

use crate::{
    audit::{chain::Chain, record::ChangeRecord},
    config::{AuditSettings, Sink},
    store::{Store, StoreError},
};

use verify::Findings;

/// How many rows are read at a time.
const PAGE: u32 = 1000;

/// Why the command failed, or did not do everything.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database does not answer.
    #[error("storage: {0}")]
    Store(#[from] StoreError),
    /// With storage in memory, each process has its own database.
    #[error("storage.backend is memory: the records of a running server are out of reach of this command")]
    Memory,
    /// The argument is not a GUN.
    #[error("--gun {0:?} is not a repository: {1}")]
    Gun(String, tuf::GunError),
    /// A file cannot be read.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
}

/// The subcommands of `audit`.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum AuditCommand {
    /// Show what was changed and by whom, oldest first.
    List {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Show changes of this repository only.
        #[arg(long)]
        gun: Option<String>,
        /// Show changes by this principal only.
        #[arg(long, value_name = "NAME")]
        principal: Option<String>,
        /// Show changes since then only: a day, or a time such as 2026-01-31T12:00:00Z.
        #[arg(long, value_name = "TIME", value_parser = moment)]
        since: Option<DateTime<Utc>>,
        /// Print the records themselves, one JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// Verify that no record was altered, removed or moved; status 1 if one was.
    Verify {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Also check that each record named in this file of a "file:" sink exists; repeat for more files.
        #[arg(long = "against", value_name = "FILE")]
        against: Vec<PathBuf>,
    },
}

fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    let day = || {
        text.parse::<NaiveDate>()
            .ok()
            .and_then(|day| day.and_hms_opt(0, 0, 0))
    };
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) => Ok(time.to_utc()),
        Err(_) => day()
            .map(|time| time.and_utc())
            .ok_or_else(|| "a day such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z".to_owned()),
    }
}

/// Runs the command. Returns false if verification failed, which has been printed.
///
/// # Errors
/// When the configuration, the database or a file cannot be used.
pub fn run(command: &AuditCommand) -> Result<bool, AuditError> {
    match command {
        AuditCommand::List {
            config,
            gun,
            principal,
            since,
            json,
        } => {
            let gun = gun
                .as_deref()
                .map(|text| Gun::parse(text).map_err(|cause| AuditError::Gun(text.to_owned(), cause)));
            let chain = gun.transpose()?.map(Chain::Gun);
            let wanted = |record: &ChangeRecord| {
                principal
                    .as_ref()
                    .is_none_or(|name| *name == record.who.principal)
                    && since.is_none_or(|since| record.ts >= since)
            };
            list(&open(config)?, chain.as_ref(), &wanted, *json)?;
            Ok(true)
        }
        AuditCommand::Verify { config, against } => check(config, against),
    }
}

fn open(config: &Path) -> Result<Store, AuditError> {
    open_as(&crate::config::settings(config)?)
}

fn open_as(settings: &Settings) -> Result<Store, AuditError> {
    let location = Location::read(settings)?;
    if location == Location::Memory {
        return Err(AuditError::Memory);
    }
    Ok(Store::open_read_only(&location)?)
}

fn list(
    store: &Store,
    chain: Option<&Chain>,
    wanted: &dyn Fn(&ChangeRecord) -> bool,
    json: bool,
) -> Result<(), AuditError> {
    let mut after = 0;
    loop {
        let rows = store.audit_rows(chain, after, PAGE)?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        after = last.id;
        for row in rows {
            match serde_json::from_str::<ChangeRecord>(&row.record) {
                Ok(record) if !wanted(&record) => {}
                Ok(_) if json => platform::say!("{}", row.record),
                Ok(record) => platform::say!("{}", line(&record)),
                Err(_) => platform::say!("row {} cannot be read: see \"audit verify\"", row.id),
            }
        }
    }
}

/// A record as a line of text.
fn line(record: &ChangeRecord) -> String {
    let (who, change) = (&record.who, &record.change);
    let mut line = format!(
        "{}  {}  {}",
        record.ts.format("%F %T"),
        who.principal,
        change.action
    );
    let documents = change
        .documents
        .iter()
        .map(|document| format!("{} {}", document.role, document.version))
        .collect::<Vec<_>>()
        .join(", ");
    let uid = who.os_uid.map(|uid| format!("uid {uid}"));
    let details = [
        change.gun.as_deref(),
        change.subject.as_deref(),
        Some(documents.as_str()),
        change.detail.as_deref(),
        who.real_addr.as_deref(),
        uid.as_deref(),
    ];
    for detail in details.into_iter().flatten().filter(|detail| !detail.is_empty()) {
        line.push_str("  ");
        // Names and labels come from other users, who must not be able to print lines of their own.
        line.extend(detail.chars().map(|c| if c.is_control() { ' ' } else { c }));
    }
    line
}

fn check(config: &Path, against: &[PathBuf]) -> Result<bool, AuditError> {
    let settings = crate::config::settings(config)?;
    let audit = AuditSettings::read(&settings)?;
    let store = open_as(&settings)?;
    let mut findings: Findings = verify::table(&store, audit.table)?;
    // Also compares with the server's own sinks, as far as they are files that this user can read.
    let own = audit.sinks.iter().filter_map(|sink| match sink {
        Sink::File(path) if !against.contains(path) => Some(path),
        _ => None,
    });
    for path in own {
        match File::open(path) {
            Ok(file) => compare(&store, path, file, &mut findings)?,
            Err(cause) => findings.notes.push(format!(
                "{} (audit.sinks) cannot be read and was not compared: {cause}",
                path.display()
            )),
        }
    }
    for path in against {
        let file = File::open(path).map_err(|cause| AuditError::File {
            path: path.clone(),
            cause,
        })?;
        compare(&store, path, file, &mut findings)?;
    }
    for note in &findings.notes {
        platform::say!("note: {note}");
    }
    for broken in &findings.broken {
        platform::say!("{broken}");
    }
    let Findings {
        chains, rows, broken, ..
    } = findings;
    let verdict = match broken.len() {
        0 => "whole".to_owned(),
        count => format!("broken: {count} findings"),
    };
    platform::say!("{rows} records in {chains} chains: {verdict}");
    Ok(broken.is_empty())
}

fn compare(store: &Store, path: &Path, file: File, findings: &mut Findings) -> Result<(), StoreError> {
    let named = verify::against(store, BufReader::new(file), findings)?;
    platform::say!("{}: names {named} records", path.display());
    Ok(())
}
