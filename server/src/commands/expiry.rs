//! `expiry`: reports which documents expire soon, and what their owners have to do.

use chrono::{DateTime, TimeDelta, Utc};
use platform::{args::ConfigFile, config::ConfigError};
use tuf::{EndOf, RoleName};

use crate::{
    clock::Clock,
    config::Config,
    refresh::expiry::{Expiring, each},
    store::{Store, StoreError},
};

/// Why no report can be made.
#[derive(Debug, thiserror::Error)]
pub enum ExpiryError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database does not answer.
    #[error("storage: {0}")]
    Store(#[from] StoreError),
    /// The time is longer than any date can express.
    #[error("--within is too long")]
    TooLong,
}

/// The options of `expiry`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[command(flatten)]
    file: ConfigFile,
    /// How far to look ahead, such as 90d.
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = humantime::parse_duration)]
    within: std::time::Duration,
}

/// Prints what expires; returns true if nothing does.
///
/// # Errors
/// When the configuration is refused or the database does not answer.
pub fn run(options: &Options) -> Result<bool, ExpiryError> {
    let config = Config::load(&options.file.config, false)?;
    let store = Store::open_for_command(&config.storage, config.storage_options)?;
    let within = TimeDelta::from_std(options.within).map_err(|_| ExpiryError::TooLong)?;
    let now = Clock::System.now();
    #[cfg_attr(not(feature = "native"), allow(unused_mut))]
    let mut lines = report(&store, now, within)?;
    #[cfg(feature = "native")]
    lines.extend(
        crate::native::audit::ending(&store, now + within)?
            .iter()
            .map(|ending| format!("{}  {}", ending.at.format("%Y-%m-%d"), ending.sentence(now))),
    );
    if lines.is_empty() {
        platform::say!("nothing expires within {} days", within.num_days());
    }
    lines.iter().for_each(|line| platform::say!("{line}"));
    if lines.iter().any(|line| line.contains("notary ")) {
        platform::say!("Add -s and the URL of this server, and -d ~/.docker/trust if docker made the keys.");
    }
    Ok(lines.is_empty())
}

/// Reports what expires within a time and must be renewed by somebody: everything but timestamps, which the server
/// renews by itself. Soonest first.
///
/// # Errors
/// When the database fails.
fn report(store: &Store, now: DateTime<Utc>, within: TimeDelta) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    each(store, |document| {
        if document.role != RoleName::Timestamp && document.expires <= now + within {
            found.push(document);
        }
    })?;
    found.sort_by(|a, b| (a.expires, &a.gun, &a.role).cmp(&(b.expires, &b.gun, &b.role)));
    Ok(found.iter().map(|document| line(document, now)).collect())
}

fn line(document: &Expiring, now: DateTime<Utc>) -> String {
    let Expiring {
        gun,
        role,
        expires,
        end_of,
    } = document;
    let days = (*expires - now).num_days();
    let when = match days {
        ..0 => format!("expired {} days ago", -days),
        0 if *expires < now => "expired today".to_owned(),
        days => format!("expires in {days} days"),
    };
    let what = match end_of {
        EndOf::Document => role.to_string(),
        EndOf::Certificates => format!("{role} (the certificates of its keys)"),
    };
    let cure = match role {
        // Clients refuse a root without a valid certificate, so it can no longer be replaced.
        RoleName::Root if *end_of == EndOf::Certificates && *expires < now => {
            format!("its owner has to start over: notary delete {gun} --remote, and notary init {gun}")
        }
        RoleName::Root => format!("its owner runs: notary key rotate {gun} root"),
        RoleName::Targets | RoleName::Snapshot => {
            format!("its owner runs: notary witness {gun} targets --publish")
        }
        RoleName::Delegation(_) => format!("a delegate runs: notary witness {gun} {role} --publish"),
        RoleName::Timestamp => "the server renews it".to_owned(),
    };
    format!("{}  {gun}  {what}  {when}; {cure}", expires.format("%Y-%m-%d"))
}
