//! What is wrong with a configuration, the files that it names and the database: one list, by which the start, a reload
//! and the commands `check-config`, `check` and `doctor` judge. What refuses a start is in it, and so is what lets a
//! server start with which somebody gets stuck.

pub mod certificates;
pub mod database;
mod files;
mod finding;
mod patterns;
mod places;
mod public;
mod rules;

use std::path::Path;

use chrono::{DateTime, Utc};
use openssl::x509::X509;
use platform::config::ConfigError;

use crate::{clock::Clock, config::Config, generation::Generation};

pub use files::further_files;
pub use finding::{Finding, Level};

/// A configuration file, judged.
pub struct Judged {
    /// What it says; nothing if it is refused as it is. Its warnings are those of this list.
    pub config: Option<Config>,
    /// The CA that clients trust to have issued the server's certificate, as far as known.
    pub authorities: Vec<X509>,
    /// Everything that was found, each once, in the order of the configuration: first what refuses a start.
    pub findings: Vec<Finding>,
}

/// Why a server does not start with a configuration: every reason, a line each.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Refused(Vec<String>);

/// Reads a configuration file.
///
/// # Errors
/// When the file or a section of it is refused; every reason.
pub fn read(path: &Path, strict: bool) -> Result<Config, Refused> {
    let refused = |faults: Vec<ConfigError>| Refused(faults.iter().map(ToString::to_string).collect());
    Config::load_or_every_fault(path, strict).map_err(refused)
}

/// The configuration to start with, or to take up at a reload. What does not refuse that is among its warnings.
///
/// # Errors
/// When a file that it names, or something else about it, is refused.
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

/// Judges a configuration file and what it names at a time. Changes nothing and connects to nobody.
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

/// The same with what the database says to a start.
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
                .chain(rules::of_texts(&config));
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

/// Adds a finding, unless it is there; of two that say the same, the worse one stays.
pub fn add(findings: &mut Vec<Finding>, finding: Finding) {
    match findings.iter_mut().find(|known| known.what == finding.what) {
        Some(known) if known.level == Level::Broken || finding.level != Level::Broken => {}
        Some(known) => *known = finding,
        None => findings.push(finding),
    }
}
