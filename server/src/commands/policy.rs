//! `policy test`: shows what a policy decides, and whether each rule applies.

use std::path::PathBuf;

use platform::config::ConfigError;
use tuf::{Gun, GunError};

use crate::access::policy::{Action, Asking, Policy};

/// Why the question cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum PolicyTestError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The argument is not a GUN.
    #[error("--gun {0:?}: {1}")]
    Gun(String, GunError),
}

/// A question to the policy.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The principal that asks: the name that whoami prints.
    #[arg(long = "as", value_name = "NAME", required_unless_present = "anonymous")]
    principal: Option<String>,
    /// Ask as a client without an identity.
    #[arg(long, conflicts_with_all = ["principal", "groups"])]
    anonymous: bool,
    /// The groups of the principal.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    groups: Vec<String>,
    /// The action: pull, push, push:ROLE, init, delete, rotate-key, list, changefeed or admin.
    #[arg(long, value_parser = Action::parse)]
    action: Action,
    /// The repository; all repositories if absent.
    #[arg(long)]
    gun: Option<String>,
}

/// Prints the verdict and every rule; returns true if it is allowed.
///
/// # Errors
/// When the configuration or the question is refused.
pub fn run(options: &Options) -> Result<bool, PolicyTestError> {
    let settings = crate::config::settings(&options.config)?;
    if let Some(gun) = &options.gun {
        Gun::parse(gun).map_err(|cause| PolicyTestError::Gun(gun.clone(), cause))?;
    }
    let Some(policy) = Policy::read(&settings)? else {
        platform::say!("allowed: there is no policy, so every client that is let in may do everything");
        return Ok(true);
    };
    let asking = Asking {
        principal: options.principal.as_deref(),
        groups: &options.groups,
        action: &options.action,
        gun: options.gun.as_deref(),
        image: None,
    };
    let verdict = policy.decide(&asking);
    let word = if verdict.allowed { "allowed" } else { "denied" };
    platform::say!("{word}: {}", verdict.sentence(&asking));
    if let Some(rule) = &verdict.rule {
        platform::say!("decided by: {rule}");
    }
    if !verdict.allowed && !verdict.enforced {
        platform::say!("this is only recorded, and the request is allowed, because access.mode is audit");
    }
    if let Some(rule) = &verdict.would_deny {
        platform::say!("the rule {rule}, which is in audit mode, would deny it");
    }
    for trace in policy.explain(&asking) {
        platform::say!("{trace}");
    }
    Ok(verdict.allowed)
}
