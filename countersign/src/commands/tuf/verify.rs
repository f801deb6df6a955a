//! `countersign tuf verify`.

use clap::Args;
use client::native::Expired;

use super::{mirror, session::ReadOptions};
use crate::commands::{Failure, Outcome};

/// What is verified.
#[derive(Debug, Args)]
pub struct Options {
    /// The repository.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// Targets that must be there; all are printed if absent.
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    #[command(flatten)]
    options: ReadOptions,
}

pub(super) async fn run(options: &Options) -> Result<Outcome, Failure> {
    let session = options.options.open(&options.repository)?;
    let loaded = session.load(Expired::Refused).await?;
    let found = loaded.targets();
    let mut outcome = Outcome::Done;
    let named = options.targets.iter();
    let shown: Vec<&String> = if options.targets.is_empty() {
        found.keys().collect()
    } else {
        named.collect()
    };
    for name in shown {
        match found.get(name) {
            Some((length, sha256)) => {
                let told = mirror::told(loaded.statement(name).as_ref());
                let told = told.map_or_else(String::new, |told| format!("  ({told})"));
                platform::say!("{sha256}  {length}  {name}{told}");
            }
            None => {
                platform::complain!("{} has no target {name:?}", session.name);
                outcome = Outcome::Denied;
            }
        }
    }
    Ok(outcome)
}
