//! `countersign policy`: whether a policy can be used, what it says about images, and policies of other products as ours.

use std::{
    fs,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use client::{Discovery, ServerSettings};
use verifier::{ImageReference, Mode, Plan, RequestContext};

use super::{Failure, Outcome};
use crate::{
    decider::{Generation, PolicySource, TrustSettings},
    line,
};

/// What is done with a policy.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Read a policy and every file that it names, and tell what lets unsigned images run.
    Check(CheckOptions),
    /// Say what a policy demands of images, without asking any server: status 1 if one is denied already.
    Test(TestOptions),
    /// Write a policy from the configuration of another product.
    Import(ImportOptions),
}

/// Which policy.
#[derive(Debug, Args)]
pub struct CheckOptions {
    /// The policy file.
    #[arg(value_name = "FILE")]
    policy: PathBuf,
}

/// Which images, and who asks.
#[derive(Debug, Args)]
pub struct TestOptions {
    /// The policy file.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The Kubernetes namespace.
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// The authenticated user.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The user's groups.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    groups: Vec<String>,
    /// An annotation of the object or the review.
    #[arg(long, value_name = "NAME=VALUE")]
    annotation: Vec<String>,
    /// The moment of the decision (RFC 3339); now if absent.
    #[arg(long, value_name = "TIME")]
    at: Option<DateTime<Utc>>,
    /// The images, as they are written in a deployment.
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

/// Which configuration.
#[derive(Debug, Args)]
pub struct ImportOptions {
    /// Whose configuration it is.
    #[arg(long, value_enum)]
    from: Origin,
    /// The configuration file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// A product whose policies can be read.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Origin {
    /// MKE's configuration (TOML): trust_configuration.
    Mke,
    /// The engine's daemon.json: content-trust.
    Engine,
    /// The config.json of the notary client: trust_pinning.
    Notary,
}

/// Does what was asked.
///
/// # Errors
/// When the policy, or a file, cannot be used.
pub fn run(command: &PolicyCommand) -> Result<Outcome, Failure> {
    match command {
        PolicyCommand::Check(options) => check(options),
        PolicyCommand::Test(options) => test(options),
        PolicyCommand::Import(options) => import(options),
    }
}

fn load(policy: &Path) -> Result<Generation, Failure> {
    let source = PolicySource::File {
        path: policy.to_owned(),
        signers: Vec::new(),
    };
    let trust = TrustSettings {
        given: ServerSettings::default(),
        discovery: Discovery::from_environment(),
        deadline: std::time::Duration::ZERO,
        max_age: chrono::TimeDelta::zero(),
        follow: false,
        offline: false,
    };
    Ok(Generation::load(&source, &trust)?)
}

fn check(options: &CheckOptions) -> Result<Outcome, Failure> {
    let loaded = load(&options.policy)?;
    let policy = loaded.policy();
    for remark in policy.remarks() {
        platform::say!("note: {remark}");
    }
    let file = options.policy.display();
    platform::say!(
        "{file}: the policy can be used; it has {} rules",
        policy.rule_count()
    );
    Ok(Outcome::Done)
}

fn test(options: &TestOptions) -> Result<Outcome, Failure> {
    let loaded = load(&options.policy)?;
    let mut request = RequestContext {
        namespace: options.namespace.clone(),
        user: options.user.clone(),
        groups: options.groups.clone(),
        now: options.at.unwrap_or_else(Utc::now),
        ..RequestContext::default()
    };
    for annotation in &options.annotation {
        let Some((name, value)) = annotation.split_once('=') else {
            return Err(Failure(format!(
                "--annotation {annotation:?} has to be NAME=VALUE"
            )));
        };
        request.annotations.insert(name.to_owned(), value.to_owned());
    }
    let mut outcome = Outcome::Done;
    for text in &options.images {
        let image = ImageReference::parse(text).map_err(|cause| Failure(format!("{text}: {cause}")))?;
        match loaded.policy().plan(&image, &request) {
            Plan::Decided(verdict) => {
                if verdict.allow {
                    platform::say!("allowed: {text}: {}", verdict.sentence);
                } else {
                    platform::say!("{}", line::of(&verdict));
                }
                if !verdict.permits() {
                    outcome = Outcome::Denied;
                }
            }
            Plan::Check(check) => {
                let audit = if check.mode() == Mode::Audit {
                    " (audit only)"
                } else {
                    ""
                };
                platform::say!(
                    "checked: {text}: by the rule {}{audit}: {}",
                    check.rule(),
                    check.demands()
                );
                platform::say!("  repository: {}", image.gun());
                platform::say!("  trust begins with: {}", check.anchor());
                let server = loaded
                    .policy()
                    .server_for(&image)
                    .map(|server| server.url.as_str());
                platform::say!(
                    "  server: {}",
                    server.unwrap_or("as configured, or that of the registry")
                );
                let staleness = check.max_staleness().num_seconds();
                platform::say!("  without an answer of the server: for {staleness} seconds");
            }
        }
    }
    Ok(outcome)
}

fn import(options: &ImportOptions) -> Result<Outcome, Failure> {
    let file = options.file.display();
    let text = fs::read_to_string(&options.file)
        .map_err(|cause| Failure(format!("{file}: {}", platform::reason::of_io(&cause))))?;
    let imported = match options.from {
        Origin::Mke => verifier::import_mke(&text),
        Origin::Engine => verifier::import_engine(&text),
        Origin::Notary => verifier::import_notary(&text),
    };
    let imported = imported.map_err(|cause| Failure(format!("{file}: {cause}")))?;
    platform::say!("{}", imported.policy.trim_end());
    for note in &imported.notes {
        platform::complain!("note: {note}");
    }
    Ok(Outcome::Done)
}
