//! `countersign tuf download`.

use std::path::PathBuf;

use clap::Args;
use client::native::Expired;

use super::{mirror, session::ReadOptions};
use crate::commands::{Failure, Outcome};

/// What is downloaded.
#[derive(Debug, Args)]
pub struct Options {
    /// The repository.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// The targets.
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<String>,
    /// The directory below which they are written under their names.
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    dir: PathBuf,
    #[command(flatten)]
    options: ReadOptions,
}

pub(super) async fn run(options: &Options) -> Result<Outcome, Failure> {
    let session = options.options.open(&options.repository)?;
    let loaded = session.load(Expired::Refused).await?;
    for target in &options.targets {
        if let Some(told) = mirror::told(loaded.statement(target).as_ref()) {
            platform::complain!("note: {target}: {told}");
        }
        let path = loaded.download(target, &options.dir).await?;
        platform::say!("{}", path.display());
    }
    Ok(Outcome::Done)
}
