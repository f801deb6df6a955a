//! `check`: reports what would fail with this configuration, database and signer before users notice.

mod keys;
mod report;

use chrono::{DateTime, TimeDelta, Utc};
use platform::{args::ConfigFile, database::Location, progress::Progress, report::Report};
use tuf::{Finding, Gun, RoleName, Severity};

use crate::{
    clock::Clock,
    config::{Config, TrustService},
    findings::{self, Level},
    store::{Audited, Store, StoreError},
};
use keys::{Held, ServerKeys, Signer};

/// For how many repositories the signer is asked for the keys unless `--all` is given.
const SAMPLE: u64 = 20;
/// How many repository names are read at a time.
const PAGE: u32 = 500;

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The database does not answer.
    #[error("the database of storage.db_url cannot be checked: {0}")]
    Store(#[from] StoreError),
    /// The argument is not a GUN.
    #[error("{0:?} is not a repository: {1}")]
    Gun(String, tuf::GunError),
    /// The operating system reports an error.
    #[error("cannot start the runtime: {0}")]
    Runtime(#[from] std::io::Error),
}

/// The options of `check`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[command(flatten)]
    file: ConfigFile,
    /// Refuse unknown keys in the configuration.
    #[arg(long)]
    strict: bool,
    /// Ask the signer for the keys of every repository, not only of a sample.
    #[arg(long)]
    all: bool,
    /// Report what expires within this many days.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    days: u16,
    /// Check these repositories only, and all of their keys.
    #[arg(value_name = "GUN")]
    guns: Vec<String>,
}

/// Checks configuration, database and signer and prints the findings; returns true if nothing is broken. Changes
/// nothing.
///
/// # Errors
/// When the configuration is refused or the database does not answer.
pub fn run(options: &Options) -> Result<bool, CheckError> {
    let judged = findings::of_config(&options.file.config, options.strict, Clock::System.now());
    let mut report = Report::default();
    judged.findings.iter().for_each(|found| tell(found, &mut report));
    let Some(config) = judged.config else {
        report.note("nothing else can be checked until the configuration is correct");
        return Ok(report.end(report::repositories(0)));
    };
    let broken = judged.findings.iter().any(|found| found.level == Level::Broken);
    if !broken {
        report.fine("the configuration and the files that it names");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let signer = {
        let _entered = runtime.enter();
        // Errors in its files have already been reported.
        Signer::of(&config.trust_service).ok().flatten()
    };
    let signer = runtime.block_on(keys::healthy(signer, &mut report));
    if config.storage == Location::Memory {
        report.note("storage.backend is memory: there is nothing to check");
        return Ok(report.end(report::repositories(0)));
    }
    if let Location::Sqlite(path) = &config.storage
        && !path.exists()
    {
        let path = path.display();
        report.broken(format_args!(
            "there is no database at {path}: correct storage.db_url, or start the server, which makes a new one"
        ));
        return Ok(report.end(report::repositories(0)));
    }
    let Some(store) = open(&config, &mut report)? else {
        return Ok(report.end(report::repositories(0)));
    };
    let named = named(&options.guns, &store, &mut report)?;
    let total = match &named {
        Some(guns) => guns.len() as u64,
        None => store.count_guns()?.unsigned_abs(),
    };
    let asked_every = if options.all || named.is_some() {
        1
    } else {
        total.div_ceil(SAMPLE).max(1)
    };
    let mut check = Check {
        config,
        store,
        signer,
        runtime,
        asked_every,
        report,
        now: Clock::System.now(),
        soon: TimeDelta::days(options.days.into()),
        progress: Progress::new("repositories checked", Some(total)),
        keys: ServerKeys::default(),
        broken_history: false,
    };
    match named {
        Some(guns) => guns.iter().try_for_each(|gun| check.repository(gun))?,
        None => check.every_repository()?,
    }
    #[cfg(feature = "native")]
    if options.guns.is_empty() {
        check.every_native_repository()?;
    }
    let checked = check.progress.done();
    check.keys.tell(checked, &mut check.report);
    if check.broken_history {
        check.report.note(
            "restore documents that are missing or wrong from a backup; without one, the owner has to delete the \
             repository (notary delete --remote) and sign again",
        );
    }
    Ok(check.report.end(report::repositories(checked)))
}

/// The repositories of the command line that exist; `None` if none was named.
fn named(guns: &[String], store: &Store, report: &mut Report) -> Result<Option<Vec<String>>, CheckError> {
    if guns.is_empty() {
        return Ok(None);
    }
    let mut found = Vec::new();
    for text in guns {
        let gun = Gun::parse(text).map_err(|cause| CheckError::Gun(text.clone(), cause))?;
        if store.has(&gun)? {
            found.push(text.clone());
        } else {
            report.broken(format_args!("{gun}: nothing is stored of this repository"));
        }
    }
    Ok(Some(found))
}

/// Reports a finding that other commands report as well.
fn tell(found: &findings::Finding, report: &mut Report) {
    match (found.level, found.refuses_start) {
        (Level::Fine, _) => report.fine(found.sentence()),
        (Level::Note, _) => report.note(found.sentence()),
        (Level::Broken, true) => {
            report.broken(format_args!("the server would not start: {}", found.sentence()))
        }
        (Level::Broken, false) => report.broken(found.sentence()),
    }
}

/// The database; none if it lacks the tables, which is reported.
fn open(config: &Config, report: &mut Report) -> Result<Option<Store>, CheckError> {
    let store = Store::open_read_only(&config.storage)?;
    for found in findings::database::of_open(&store, config) {
        tell(&found, report);
    }
    let guns = match store.count_guns() {
        Ok(guns) => guns,
        Err(cause) => {
            let missing = store.missing_migrations()?;
            if missing.is_empty() {
                return Err(cause.into());
            }
            report.broken(format_args!(
                "the database lacks the migrations {}, so nothing can be read: start the server, or run \
                 countersign-server migrate up --config FILE",
                missing.join(", ")
            ));
            return Ok(None);
        }
    };
    report.fine(format_args!(
        "the database answers; {} in it",
        report::repositories(guns.unsigned_abs())
    ));
    let without = store.count_without_checksum()?;
    if without > 0 {
        report.broken(format_args!(
            "{without} rows of tuf_files have no sha256, so clients cannot find them by it; fill the column \
             in with the hexadecimal SHA-256 of data"
        ));
    }
    if guns > 0 && matches!(config.trust_service, TrustService::Local) {
        report.broken(
            "trust_service.type is local, so this server starts without keys: it can renew no timestamp, and it \
             refuses publishes to the repositories that are there; run a signer with the keys they were made with",
        );
    }
    Ok(Some(store))
}

struct Check {
    config: Config,
    store: Store,
    signer: Option<Signer>,
    runtime: tokio::runtime::Runtime,
    /// The signer is asked for the keys of one repository in this many.
    asked_every: u64,
    report: Report,
    now: DateTime<Utc>,
    soon: TimeDelta,
    progress: Progress,
    keys: ServerKeys,
    broken_history: bool,
}

#[cfg(feature = "native")]
impl Check {
    /// Verifies the TUF 1.0 repositories.
    fn every_native_repository(&mut self) -> Result<(), StoreError> {
        use crate::native::audit::{Found, audit, each};
        let (now, soon) = (self.now, self.soon);
        let (store, report, progress) = (&self.store, &mut self.report, &mut self.progress);
        each(store, |name| {
            for found in audit(store, name, now, soon)? {
                match found {
                    Found::Broken(what) => report.broken(what),
                    Found::Ends(ending) if ending.at <= now => report.broken(ending.sentence(now)),
                    Found::Ends(ending) => report.note(ending.sentence(now)),
                }
            }
            progress.step();
            Ok(())
        })
    }
}

impl Check {
    fn every_repository(&mut self) -> Result<(), StoreError> {
        let mut last = String::new();
        loop {
            let page = self.store.every_gun(&last, PAGE)?;
            page.iter().try_for_each(|name| self.repository(name))?;
            match page.into_iter().last() {
                Some(name) => last = name,
                None => return Ok(()),
            }
        }
    }

    fn repository(&mut self, name: &str) -> Result<(), StoreError> {
        let gun = match Gun::parse(name) {
            Ok(gun) => gun,
            Err(reason) => {
                self.report
                    .broken(format_args!("{name:?} will not be served: {reason}"));
                self.progress.step();
                return Ok(());
            }
        };
        if !self.config.gun_prefixes.allow(name) {
            self.report.note(format_args!(
                "{gun}: not served, because of repositories.gun_prefixes"
            ));
        }
        match self.store.audit(&gun, self.now, self.soon) {
            Ok(mut audited) => {
                for finding in self.store.ambiguous(&gun)? {
                    let known = |other: &Finding| {
                        (other.role == finding.role && other.version == finding.version)
                            && other.severity == Severity::Broken
                    };
                    if !audited.findings.iter().any(known) {
                        audited.findings.push(finding);
                    }
                }
                let held = audited
                    .root
                    .as_ref()
                    .and_then(|root| self.held(&gun, &root.bytes));
                self.tell(&gun, &audited, held);
            }
            Err(damaged @ StoreError::Damaged { .. }) => self.report.broken(damaged),
            Err(other) => return Err(other),
        }
        self.progress.step();
        Ok(())
    }

    /// The keys that the signer has, unless this repository is not of the sample.
    fn held(&self, gun: &Gun, root: &[u8]) -> Option<Held> {
        let of_sample = self.progress.done().is_multiple_of(self.asked_every);
        let signer = self.signer.as_ref().filter(|_| of_sample)?;
        Some(self.runtime.block_on(signer.held(gun, root)))
    }

    fn tell(&mut self, gun: &Gun, audited: &Audited, held: Option<Held>) {
        for finding in &audited.findings {
            let dates = matches!(finding.severity, Severity::Expired | Severity::Expiring);
            // The server renews the documents whose key it has. Timestamps are valid for two weeks and renewed on
            // request, so an expired one is a problem only if its key is missing.
            let renewed = match finding.role {
                RoleName::Timestamp => held.as_ref().is_none_or(|held| held.timestamp),
                RoleName::Snapshot => held.as_ref().is_some_and(|held| held.snapshot),
                _ => false,
            };
            if dates && renewed {
                self.keys.renewable(finding.severity);
            } else {
                report::finding(&mut self.report, gun, finding);
                self.broken_history |= finding.severity == Severity::Broken;
            }
        }
        if let Some(held) = held {
            self.keys.count(gun, &held, &mut self.report);
        }
    }
}
