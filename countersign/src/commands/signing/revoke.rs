//! `countersign revoke`.

use clap::Args;
use client::publish::Change;
use tuf::RoleName;
use verifier::Repository;

use super::{
    confirm::is_confirmed,
    delegations,
    session::{self, RELEASES, RepositoryOptions},
    sign::names,
};
use crate::commands::{Failure, Outcome, block_on};

/// Which image is not to be trusted any more.
#[derive(Debug, Args)]
pub struct Options {
    /// The image with its tag; with --all the repository.
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Take every tag of the repository out, after asking.
    #[arg(long)]
    all: bool,
    /// With --all, do it without being asked.
    #[arg(long, requires = "all")]
    yes: bool,
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

/// A role, and the tags that it names of those that are meant.
struct Naming {
    role: RoleName,
    tags: Vec<String>,
}

/// Takes a tag, or all of them, out of trust data. A tag that is not there is no error.
///
/// # Errors
/// When it cannot be taken out.
pub fn run(options: &Options) -> Result<Outcome, Failure> {
    let (image, tag) = if options.all {
        (session::repository(&options.image)?, None)
    } else {
        let (image, tag) = session::tagged(&options.image)
            .map_err(|Failure(sentence)| Failure(format!("{sentence}; every tag is revoked with --all")))?;
        (image, Some(tag))
    };
    let session = options.repository.open(&image)?;
    block_on(async {
        let (repository, documents) = session.read().await?;
        let declared = delegations::of(&repository, &documents)?;
        let signable = session.editor().signable_roles(&repository, &documents)?;
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
        let mut naming = naming(&repository, tag.as_deref());
        let releases = RoleName::parse(RELEASES)?;
        if options.signer.is_some() && signable.contains(&releases) {
            if options.all {
                keep_theirs(&mut naming, &releases, &asked);
            }
            asked.push(releases);
        }
        let explicit = !asked.is_empty();
        let is_chosen = |naming: &Naming| {
            let roles = if explicit { &asked } else { &signable };
            roles.contains(&naming.role)
        };
        let (chosen, left): (Vec<Naming>, Vec<Naming>) = naming.into_iter().partition(is_chosen);
        if chosen.is_empty() && !left.is_empty() && !explicit {
            return Err(Failure(format!(
                "{image} is signed in {}, and no key for that is at hand; import one with `countersign key import`",
                names(&roles(&left))
            )));
        }
        if chosen.is_empty() {
            platform::say!("{image} is not signed there: nothing to revoke");
        } else {
            if options.all && !options.yes && !is_confirmed(&question(&image.to_string(), &chosen), INSTEAD)?
            {
                platform::complain!("nothing was changed");
                return Ok(Outcome::Denied);
            }
            let change = |naming: &Naming| {
                let role = naming.role.clone();
                let names = naming.tags.clone().into_iter();
                names.map(move |name| Change::RemoveTarget {
                    role: role.clone(),
                    name,
                })
            };
            let changes: Vec<Change> = chosen.iter().flat_map(change).collect();
            let published = session
                .editor()
                .publish(&session.gun, session.anchor()?, &changes)
                .await;
            published.map_err(|cause| session.explained(cause))?;
            platform::say!("revoked {image} in {}", names(&roles(&chosen)));
        }
        if !left.is_empty() {
            platform::complain!("note: {image} is still signed in {}", names(&roles(&left)));
        }
        Ok(Outcome::Done)
    })?
}

const INSTEAD: &str = "run this with --yes to revoke every tag";

/// The roles that name the tag, or any.
fn naming(repository: &Repository, tag: Option<&str>) -> Vec<Naming> {
    let of = |role: &verifier::SignedRole| {
        let tags = role.tags().map(|(name, _)| name);
        let mut tags: Vec<String> = tags
            .filter(|name| tag.is_none_or(|tag| tag == *name))
            .map(str::to_owned)
            .collect();
        tags.sort();
        let role = RoleName::parse(role.name()).ok().filter(|_| !tags.is_empty())?;
        Some(Naming { role, tags })
    };
    repository.roles().iter().filter_map(of).collect()
}

/// Leaves in the role of what is released only tags that one of these roles names: what others have released stays.
fn keep_theirs(naming: &mut Vec<Naming>, releases: &RoleName, theirs: &[RoleName]) {
    let of_theirs = naming.iter().filter(|naming| theirs.contains(&naming.role));
    let tags: Vec<String> = of_theirs.flat_map(|naming| naming.tags.clone()).collect();
    for naming in naming.iter_mut().filter(|naming| naming.role == *releases) {
        naming.tags.retain(|tag| tags.contains(tag));
    }
    naming.retain(|naming| !naming.tags.is_empty());
}

fn roles(naming: &[Naming]) -> Vec<RoleName> {
    naming.iter().map(|naming| naming.role.clone()).collect()
}

fn question(repository: &str, chosen: &[Naming]) -> String {
    let each = chosen
        .iter()
        .map(|naming| format!("{} of {}", naming.tags.join(", "), naming.role.as_str()));
    let each: Vec<String> = each.collect();
    format!(
        "This revokes every tag of {repository}: {}. Type `yes` to do it:",
        each.join("; ")
    )
}
