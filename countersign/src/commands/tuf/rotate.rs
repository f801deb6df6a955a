//! `countersign tuf rotate`.

use clap::{Args, ValueEnum};
use tuf_native::{Role, authoring::RootContent};

use super::session::{WorkOptions, in_days};
use crate::commands::{Failure, Outcome};

/// Whose key is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Online {
    /// The server's key for snapshots.
    Snapshot,
    /// The server's key for timestamps.
    Timestamp,
}

/// Which key of the server is replaced.
#[derive(Debug, Args)]
pub struct Options {
    /// The repository.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// The role.
    #[arg(value_enum, value_name = "ROLE")]
    role: Online,
    /// In how many days the new root ends.
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    root_days: u32,
    #[command(flatten)]
    options: WorkOptions,
}

pub(super) async fn run(options: &Options) -> Result<Outcome, Failure> {
    let work = options.options.open(&options.repository)?;
    let (name, server) = (&work.session.name, &work.session.server);
    let trusted = work.session.begun().await?;
    let root = trusted.root.as_ref();
    let content = root.map(|root| RootContent::following(root, in_days(options.root_days)));
    let Some(mut content) = content.transpose()?.flatten() else {
        return Err(Failure(format!("{name} has no root")));
    };
    let mut keys = server.native_keys(name).await?;
    match options.role {
        Online::Snapshot => keys.snapshot = server.native_new_key(name, &Role::Snapshot).await?,
        Online::Timestamp => keys.timestamp = server.native_new_key(name, &Role::Timestamp).await?,
    }
    content.use_online_keys(&keys);
    work.submit(&trusted, vec![content.draft()?]).await?;
    Ok(Outcome::Done)
}
