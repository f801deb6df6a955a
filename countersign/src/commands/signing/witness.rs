//! `countersign witness`.

use clap::Args;
use client::publish::Change;

use super::{
    delegations,
    session::{self, RepositoryOptions},
    sign::names,
};
use crate::commands::{Failure, Outcome, block_on};

/// What is signed again.
#[derive(Debug, Args)]
pub struct Options {
    /// The repository.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// The roles, such as targets/alice.
    #[arg(value_name = "ROLE", required = true)]
    roles: Vec<String>,
    #[command(flatten)]
    options: RepositoryOptions,
}

/// Signs roles again without changing what they say, which also puts off their end.
///
/// # Errors
/// When a key is missing, or there is nothing in a role that readers accept.
pub fn run(options: &Options) -> Result<Outcome, Failure> {
    let image = session::repository(&options.repository)?;
    let mut roles = Vec::new();
    for text in &options.roles {
        roles.push(session::role(text)?);
    }
    let session = options.options.open(&image)?;
    block_on(async {
        let (repository, documents) = session.read().await?;
        let declared = delegations::of(&repository, &documents)?;
        for role in roles.iter().filter(|role| role.is_targets_type()) {
            delegations::must_have(&declared, role, &session.gun)?;
            if repository.role(role.as_str()).is_none() {
                // Nobody vouches for what was not signed by the right keys.
                return Err(Failure(format!(
                    "there is nothing in {role} that readers accept, so there is nothing to sign again; sign images in it with \
                     `countersign sign --role {role}`"
                )));
            }
        }
        let changes: Vec<Change> = roles
            .iter()
            .map(|role| Change::Witness { role: role.clone() })
            .collect();
        let published = session
            .editor()
            .publish(&session.gun, session.anchor()?, &changes)
            .await;
        published.map_err(|cause| session.explained(cause))?;
        platform::say!("signed {} of {} again", names(&roles), session.gun);
        Ok(Outcome::Done)
    })?
}
