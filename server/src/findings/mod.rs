//! The one list of problems with a configuration, the files that it names and the database. The start, a reload and the
//! commands `check-config`, `check` and `doctor` all use it. It holds what prevents a start, and also what does not but
//! makes clients or publishers fail later.

pub mod certificates;
pub mod database;
mod files;
mod finding;
mod limits;
mod patterns;
mod places;
mod public;
mod registry;
mod rules;
mod tokens;
mod webhooks;

use std::path::Path;

use chrono::{DateTime, Utc};
use openssl::x509::X509;
use platform::config::ConfigError;

use crate::{clock::Clock, config::Config, generation::Generation};

pub use files::further_files;
pub use finding::{Finding, Level};

/// The result of examining a configuration file.
pub struct Judged {
    /// The configuration; `None` if a value in it is refused. Its `warnings` hold the findings that do not prevent a start.
    pub config: Option<Config>,
    /// The CA that issued the server's certificate; empty if it is not known.
    pub authorities: Vec<X509>,
    /// All findings, each once; those that prevent a start come first.
    pub findings: Vec<Finding>,
}

/// All reasons why the server does not start with a configuration, one per line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Refused(Vec<String>);

/// Reads a configuration file.
///
/// # Errors
/// When the file or a section of it is refused; with all reasons.
pub fn read(path: &Path, strict: bool) -> Result<Config, Refused> {
    let refused = |faults: Vec<ConfigError>| Refused(faults.iter().map(ToString::to_string).collect());
    Config::load_or_every_fault(path, strict).map_err(refused)
}

/// Checks a configuration before a start or a reload. Findings that do not prevent it are added to its `warnings`.
///
/// # Errors
/// When a finding prevents the start; with all such findings.
pub fn accept(config: Config, now: DateTime<Utc>) -> Result<Config, Refused> {
    let judged = judge(config, now);
    let refusals: Vec<String> = judged
        .findings
        .iter()
        .filter(|finding| finding.refuses_start)
        .map(Finding::sentence)
        .collect();
    match judged.config {
        Some(config) if refusals.is_empty() => Ok(config),
        _ => Err(Refused(refusals)),
    }
}

/// Examines a configuration file and the files that it names, as of `now`. Changes nothing and opens no connection.
pub fn of_config(path: &Path, strict: bool, now: DateTime<Utc>) -> Judged {
    match read(path, strict) {
        Ok(config) => judge(config, now),
        Err(Refused(reasons)) => Judged {
            config: None,
            authorities: Vec::new(),
            findings: reasons.into_iter().map(Finding::refusal).collect(),
        },
    }
}

/// Like [`of_config`], and also examines the database as a start would.
pub fn at_start(path: &Path, strict: bool, now: DateTime<Utc>) -> Vec<Finding> {
    let mut judged = of_config(path, strict, now);
    if let Some(config) = &judged.config {
        for finding in database::at_start(config) {
            add(&mut judged.findings, finding);
        }
    }
    judged.findings
}

fn judge(mut config: Config, now: DateTime<Utc>) -> Judged {
    let (mut findings, mut authorities) = (Vec::new(), Vec::new());
    match Generation::load(&config, Clock::Fixed(now), 1) {
        Ok(generation) => {
            findings.extend(generation.warnings(now).into_iter().map(Finding::remark));
            authorities = generation.server_ca.certificates;
        }
        // It stops at the first file that is wrong; what is wrong with the others is asked of each.
        Err(cause) => {
            findings.extend(config.warnings.iter().map(Finding::remark));
            let every = files::of_a_generation(&config, now)
                .into_iter()
                .chain(rules::of_texts(&config))
                .chain(tokens::of_keys(&config));
            let first = Finding::refusal(cause.to_string());
            every
                .chain([first])
                .for_each(|finding| add(&mut findings, finding));
        }
    }
    let further = [
        files::of_others(&config),
        places::of_sinks(&config.audit.sinks),
        places::of_database(&config.storage),
        places::of_lists(&config.revocation),
        places::of_listeners(&config.listeners),
        certificates::of_listeners(&config, now),
        certificates::towards_the_signer(&config.trust_service, now),
        public::of_hosts(&config),
        patterns::of_rules(&config),
        limits::of_publishes(&config),
        webhooks::of_webhooks(&config),
        registry::of_demands(&config),
        tokens::of_service(&config, now),
    ];
    for finding in further.into_iter().flatten() {
        // Whoever makes a generation of this configuration warns of it.
        if !finding.refuses_start {
            config.warnings.push(finding.sentence());
        }
        add(&mut findings, finding);
    }
    findings.sort_by_key(|finding| !finding.refuses_start);
    Judged {
        config: Some(config),
        authorities,
        findings,
    }
}

/// Adds a finding unless one with the same text is there; of two with the same text the worse one is kept.
pub fn add(findings: &mut Vec<Finding>, finding: Finding) {
    match findings.iter_mut().find(|known| known.what == finding.what) {
        Some(known) if known.level == Level::Broken || finding.level != Level::Broken => {}
        Some(known) => *known = finding,
        None => findings.push(finding),
    }
}
