//! `countersign tuf`: TUF 1.0 repositories.

mod add;
mod changes;
mod delegate;
mod download;
mod init;
mod migrate;
mod mirror;
mod publish;
mod renew;
mod roots;
mod rotate;
mod session;
mod sign;
mod signers;
mod status;
mod verify;

use clap::Subcommand;

use super::{Failure, Outcome, block_on};

/// What is done with a TUF 1.0 repository.
#[derive(Debug, Subcommand)]
pub enum TufCommand {
    /// Begin a repository: its root, with the keys of its owners and those of the server, and an empty targets.
    Init(init::Options),
    /// Sign files as targets, and store them at the server.
    Add(add::AddOptions),
    /// Take targets out of what is signed.
    Remove(add::RemoveOptions),
    /// Trust a role with targets of some paths, or no longer.
    Delegate(delegate::Options),
    /// Sign what waits for signatures, after showing what it changes, and publish what is complete.
    Sign(sign::Options),
    /// Publish what waits and is complete, or files that were signed elsewhere.
    Publish(publish::Options),
    /// Take a file back that waits for signatures.
    Withdraw(sign::WithdrawOptions),
    /// Sign roles again without changing what they say, before they end.
    Renew(renew::Options),
    /// Change who signs root or targets, by a new root.
    Signers(signers::Options),
    /// Have the server make a new key for snapshots or timestamps, and name it in a new root.
    Rotate(rotate::Options),
    /// Make a TUF 1.0 repository say what a Notary repository says, signed with the same keys.
    Migrate(Box<migrate::Options>),
    /// Vouch for the roots of Notary repositories, so that who trusts an operator knows where trust in them begins.
    Roots(Box<roots::Options>),
    /// Make an attested mirror: say what was seen signed in a Notary repository, as its operator and in nobody else's name.
    Mirror(Box<mirror::Options>),
    /// Verify a repository, and print its targets.
    Verify(verify::Options),
    /// Download targets and verify them.
    Download(download::Options),
    /// Show versions, dates and signers, and what waits for signatures.
    Status(status::Options),
}

/// Does what was asked.
///
/// # Errors
/// When it cannot be done.
pub fn run(command: &TufCommand) -> Result<Outcome, Failure> {
    block_on(async {
        match command {
            TufCommand::Init(options) => init::run(options).await,
            TufCommand::Add(options) => add::add(options).await,
            TufCommand::Remove(options) => add::remove(options).await,
            TufCommand::Delegate(options) => delegate::run(options).await,
            TufCommand::Sign(options) => sign::run(options).await,
            TufCommand::Publish(options) => publish::run(options).await,
            TufCommand::Withdraw(options) => sign::withdraw(options).await,
            TufCommand::Renew(options) => renew::run(options).await,
            TufCommand::Signers(options) => signers::run(options).await,
            TufCommand::Rotate(options) => rotate::run(options).await,
            TufCommand::Migrate(options) => migrate::run(options).await,
            TufCommand::Roots(options) => roots::run(options).await,
            TufCommand::Mirror(options) => mirror::run(options).await,
            TufCommand::Verify(options) => verify::run(options).await,
            TufCommand::Download(options) => download::run(options).await,
            TufCommand::Status(options) => status::run(options).await,
        }
    })?
}
