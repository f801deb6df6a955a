//! `countersign anchor`: repositories that were deleted and made anew.

use clap::{Args, Subcommand};
use client::RootSummary;

use super::{
    confirm::is_confirmed,
    session::{self, RepositoryOptions},
};
use crate::commands::{Failure, Outcome, block_on};

const QUESTION: &str = "Trust in the known root ends, and begins anew with the offered one. Compare its keys with what the \
                        owner says. Type `yes` to accept it:";

/// What is done with the beginning of trust.
#[derive(Debug, Subcommand)]
pub enum AnchorCommand {
    /// Trust a repository that was deleted and made anew, after showing what changes.
    Accept(Box<AcceptOptions>),
}

/// Which repository.
#[derive(Debug, Args)]
pub struct AcceptOptions {
    /// The repository.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// Accept it without being asked.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    options: RepositoryOptions,
}

/// Does what was asked.
///
/// # Errors
/// When the repository cannot be read, or what it is now does not verify.
pub fn run(command: &AnchorCommand) -> Result<Outcome, Failure> {
    let AnchorCommand::Accept(options) = command;
    let image = session::repository(&options.repository)?;
    let session = options.options.open(&image)?;
    let (gun, anchor) = (&session.gun, session.anchor()?);
    block_on(async {
        let repositories = &session.repositories;
        let change = repositories.offered_root(&session.server, gun, anchor).await?;
        if change.old.as_ref() == Some(&change.new) {
            platform::say!("the root of {gun} is the one that is known: there is nothing to accept");
            return Ok(Outcome::Done);
        }
        match &change.old {
            Some(old) => show("known", old),
            None => platform::say!("nothing is known of {gun}"),
        }
        show("offered", &change.new);
        let instead = "compare the keys with what the owner says, and run this with --yes";
        if !options.yes && !is_confirmed(QUESTION, instead)? {
            platform::complain!("nothing was changed");
            return Ok(Outcome::Denied);
        }
        repositories
            .accept_root(&session.server, gun, anchor, &change)
            .await?;
        platform::say!("{gun} is trusted from the offered root on");
        Ok(Outcome::Done)
    })?
}

fn show(what: &str, root: &RootSummary) {
    platform::say!("{what} root: version {}, SHA-256 {}", root.version, root.sha256);
    for id in &root.key_ids {
        platform::say!("  key {id}");
    }
}
