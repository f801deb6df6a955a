//! `check`: whether the configured passphrases open the stored keys, before a signature fails because they do not.

use platform::{args::ConfigFile, database::DatabaseError, progress::Progress, report::Report};

use crate::{
    config::{self, Config, RefusedConfig, Storage},
    keyring::{self, KeyringError, Unopenable},
    passphrase::{Alias, Passphrases},
    seal::SealError,
    store::{KeyRow, Store, StoreError},
};

/// How many of the newest and of the oldest keys of each alias are opened unless `--all` is given.
const SAMPLE: i64 = 10;
/// How many keys are read at once.
const PAGE: i64 = 500;

/// Why the check could not be made at all.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The signer would not start with this configuration.
    #[error("the signer would not start: {0}")]
    Config(#[from] RefusedConfig),
    /// The database does not answer.
    #[error("the database cannot be checked: {0}")]
    Store(#[from] StoreError),
}

/// What to check.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[command(flatten)]
    file: ConfigFile,
    /// Open every key and not only the newest and the oldest of each alias.
    #[arg(long)]
    all: bool,
}

/// Opens stored keys, compares them with their public halves and key IDs, and prints what is found; true if
/// nothing is broken. Changes nothing.
///
/// # Errors
/// When the configuration is refused or the database does not answer.
pub fn run(options: &Options) -> Result<bool, CheckError> {
    let settings = config::load(&options.file.config).map_err(RefusedConfig::from)?;
    config::log_level(&settings).map_err(RefusedConfig::from)?;
    let config = Config::read(&settings, false)?;
    let mut report = Report::default();
    config.remarks.iter().for_each(|remark| report.note(remark));
    report.fine("the configuration and the files that it names");
    if !config.transport.clients_verified() {
        report.note(
            "server.client_ca_file is not set: anybody who can connect to the port can have anything signed",
        );
    }
    let Storage::Database {
        location,
        default_alias,
        options: database,
    } = config.storage
    else {
        report.note("storage.backend is memory: every key is lost when the signer ends");
        return Ok(report.end("0 keys"));
    };
    let store = Store::open_read_only(&location)?;
    match store.obstacles(database) {
        Ok(obstacles) => obstacles.iter().for_each(|obstacle| {
            report.broken(format_args!("storage: {}; {}", obstacle.what, obstacle.fix));
        }),
        Err(newer @ StoreError::Connection(DatabaseError::Newer { .. })) => return Err(newer.into()),
        Err(cause) => report.note(format_args!(
            "whether the database takes writes is not known: {cause}"
        )),
    }
    let aliases = match store.aliases() {
        Ok(aliases) => aliases,
        Err(cause) => {
            let missing = store.missing_migrations()?;
            if missing.is_empty() {
                return Err(cause.into());
            }
            report.broken(format_args!(
                "the database lacks the migrations {}, so no key can be read: start the signer, or run \
                 countersign-signer migrate up --config FILE",
                missing.join(", ")
            ));
            return Ok(report.end("0 keys"));
        }
    };
    let total: i64 = aliases.iter().map(|(_, count)| count).sum();
    report.fine(format_args!("the database answers; {total} keys in it"));
    if !aliases.iter().any(|(alias, _)| alias == default_alias.as_str())
        && let Err(missing) = Passphrases::Environment.find(&default_alias)
    {
        report.broken(format_args!("{missing}; until then no key can be made"));
    }
    let mut check = Check {
        store,
        passphrases: Passphrases::Environment,
        report,
        progress: Progress::new("keys opened", options.all.then_some(total.unsigned_abs())),
    };
    for (alias, count) in aliases {
        check.alias(&alias, count, options.all)?;
    }
    let opened = check.progress.done();
    if !options.all && i64::try_from(opened).is_ok_and(|opened| opened < total) {
        check
            .report
            .note("the newest and the oldest keys of each alias were opened; --all opens every one");
    }
    Ok(check.report.end(format_args!("{opened} keys")))
}

struct Check {
    store: Store,
    passphrases: Passphrases,
    report: Report,
    progress: Progress,
}

/// The keys of one alias: how many could be opened, and why the others could not.
#[derive(Default)]
struct Opened {
    count: u64,
    unsealed: Vec<String>,
    inconsistent: Vec<String>,
}

impl Check {
    /// Opens keys of one alias, `count` of which are stored.
    fn alias(&mut self, name: &str, count: i64, all: bool) -> Result<(), StoreError> {
        let alias = match Alias::new(name) {
            Ok(alias) => alias,
            Err(reason) => {
                self.report
                    .broken(format_args!("keys with the alias {name:?} ({count}): {reason}"));
                return Ok(());
            }
        };
        if let Err(missing) = self.passphrases.find(&alias) {
            self.report.broken(format_args!(
                "{missing}; the keys sealed with it ({count}) cannot be used"
            ));
            return Ok(());
        }
        let mut opened = Opened::default();
        if all {
            let mut last = 0;
            loop {
                let page = self.store.keys_of(name, last, PAGE)?;
                let Some((id, _)) = page.last() else { break };
                last = *id;
                page.into_iter().for_each(|(_, row)| self.open(row, &mut opened));
            }
        } else {
            let [newest, mut oldest] = self.store.ends_of(name, SAMPLE)?;
            oldest.retain(|row| !newest.contains(row));
            newest
                .into_iter()
                .chain(oldest)
                .for_each(|row| self.open(row, &mut opened));
        }
        self.tell(&alias, count, &opened);
        Ok(())
    }

    fn open(&mut self, row: KeyRow, opened: &mut Opened) {
        let name = format!("{} ({} of {})", row.key_id, row.role, row.gun);
        match keyring::unseal(row, &self.passphrases) {
            Ok(_) => opened.count += 1,
            Err(KeyringError::Unopenable {
                reason: Unopenable::Seal(SealError::CannotOpen),
                ..
            }) => opened.unsealed.push(name),
            Err(reason) => opened.inconsistent.push(format!("{name}: {reason}")),
        }
        self.progress.step();
    }

    fn tell(&mut self, alias: &Alias, count: i64, opened: &Opened) {
        let variable = alias.variable();
        if opened.count == 0 && opened.inconsistent.is_empty() && !opened.unsealed.is_empty() {
            self.report.broken(format_args!(
                "the passphrase in {variable} opens none of the keys that were tried: it is not the one that the \
                 {count} keys with the alias {alias} are sealed with (mind blanks and line ends, they count)"
            ));
            return;
        }
        for key in &opened.unsealed {
            self.report.broken(format_args!(
                "the key {key} is damaged or sealed with another passphrase than the one in {variable}, which opens \
                 others; restore its row from a backup"
            ));
        }
        for key in &opened.inconsistent {
            self.report
                .broken(format_args!("the key {key}; restore its row from a backup"));
        }
        if opened.count > 0 {
            self.report.fine(format_args!(
                "the passphrase in {variable} opens {} of {count} keys with the alias {alias}",
                opened.count
            ));
        }
    }
}
