//! `countersign revoke`.

use clap::Args;
use client::publish::Change;
use tuf::RoleName;

use super::{
    delegations,
    session::{self, RELEASES, RepositoryOptions},
    sign::names,
};
use crate::commands::{Failure, Outcome, block_on};

/// Which image is not to be trusted any more.
#[derive(Debug, Args)]
pub struct Options {
    /// The image with its tag.
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Take it out of the role of this signer, and out of targets/releases. Without this and --role it is taken out of every
    /// role for which a key is at hand.
    #[arg(long = "as", value_name = "NAME", conflicts_with = "role")]
    signer: Option<String>,
    /// Take it out of these roles and no other.
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
    #[command(flatten)]
    repository: RepositoryOptions,
}

/// Takes a tag out of trust data. A tag that is not there is no error.
///
/// # Errors
/// When it cannot be taken out.
pub fn run(options: &Options) -> Result<Outcome, Failure> {
    let (image, tag) = session::tagged(&options.image)?;
    let session = options.repository.open(&image)?;
    block_on(async {
        let (repository, documents) = session.read().await?;
        let declared = delegations::of(&repository, &documents)?;
        let signable = session.editor().signable_roles(&repository, &documents)?;
        let naming: Vec<RoleName> = repository
            .roles()
            .iter()
            .filter(|role| role.target(&tag).is_some())
            .filter_map(|role| RoleName::parse(role.name()).ok())
            .collect();
        let mut asked = Vec::new();
        for text in &options.role {
            asked.push(session::role(text)?);
        }
        if let Some(name) = &options.signer {
            asked.push(RoleName::Delegation(session::signer(name)?));
        }
        for role in &asked {
            delegations::must_have(&declared, role, &session.gun)?;
        }
        let releases = RoleName::parse(RELEASES)?;
        if options.signer.is_some() && signable.contains(&releases) {
            asked.push(releases);
        }
        let explicit = !asked.is_empty();
        let chosen: Vec<RoleName> = naming
            .iter()
            .filter(|role| {
                if explicit {
                    asked.contains(role)
                } else {
                    signable.contains(role)
                }
            })
            .cloned()
            .collect();
        let left: Vec<RoleName> = naming
            .iter()
            .filter(|role| !chosen.contains(role))
            .cloned()
            .collect();
        if chosen.is_empty() && !left.is_empty() && !explicit {
            return Err(Failure(format!(
                "{image} is signed in {}, and no key for that is at hand; import one with `countersign key import`",
                names(&left)
            )));
        }
        if chosen.is_empty() {
            platform::say!("{image} is not signed there: nothing to revoke");
        } else {
            let change = |role: &RoleName| Change::RemoveTarget {
                role: role.clone(),
                name: tag.clone(),
            };
            let changes: Vec<Change> = chosen.iter().map(change).collect();
            let published = session
                .editor()
                .publish(&session.gun, session.anchor()?, &changes)
                .await;
            published.map_err(|cause| session.explained(cause))?;
            platform::say!("revoked {image} in {}", names(&chosen));
        }
        if !left.is_empty() {
            platform::complain!("note: {image} is still signed in {}", names(&left));
        }
        Ok(Outcome::Done)
    })?
}
