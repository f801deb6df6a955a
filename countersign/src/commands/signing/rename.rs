//! `countersign gun`: a repository under another name.

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand};
use client::publish::{Change, Target};
use serde_json::Value;
use tuf::{Checksum, RoleName};
use verifier::{Documents, Repository};

use super::{
    delegations::{self, Delegation},
    init::{self, Beginning},
    key_options::PlaceOptions,
    session::{self, RepositoryOptions, Session},
};
use crate::commands::{Failure, Outcome, block_on};

/// What is done with the names of repositories.
#[derive(Debug, Subcommand)]
pub enum GunCommand {
    /// Make a new repository with the signers and signed tags of another one, for instance because the registry has a new
    /// name. The other one stays as it is.
    Rename(Box<RenameOptions>),
}

/// From which to which.
#[derive(Debug, Args)]
pub struct RenameOptions {
    /// The repository that is there.
    #[arg(value_name = "OLD")]
    old: String,
    /// The repository that is made. It begins with the only root key at hand, or with a new one.
    #[arg(value_name = "NEW")]
    new: String,
    #[command(flatten)]
    place: PlaceOptions,
    #[command(flatten)]
    options: RepositoryOptions,
}

/// What a new repository takes over, and what it cannot.
struct Move {
    changes: Vec<Change>,
    tags: usize,
    left: Vec<String>,
}

/// Does what was asked.
///
/// # Errors
/// When one cannot be read, or the other cannot be made.
pub fn run(command: &GunCommand) -> Result<Outcome, Failure> {
    let GunCommand::Rename(options) = command;
    let (old, new) = (
        session::repository(&options.old)?,
        session::repository(&options.new)?,
    );
    let from = options.options.open(&old)?;
    let to = options.options.open(&new)?.keeping_in(options.place.place())?;
    block_on(async {
        let (repository, documents) = from.read().await?;
        let carried = carry(&from, &repository, &documents)?;
        init::begin(&to, Beginning::with(&carried.changes)).await?;
        platform::say!("{} has {} signed tags of {}", to.gun, carried.tags, from.gun);
        for left in &carried.left {
            platform::complain!("not taken over: {left}");
        }
        platform::complain!(
            "{} stays as it is until its owner deletes it; who pins its root by a certificate has to pin that of {}",
            from.gun,
            to.gun
        );
        Ok(Outcome::Done)
    })?
}

fn carry(from: &Session, repository: &Repository, documents: &Documents) -> Result<Move, Failure> {
    let declared = delegations::of(repository, documents)?;
    let signable = from.editor().signable_roles(repository, documents)?;
    let mut carried = Move {
        changes: declared.iter().map(declare).collect(),
        tags: 0,
        left: Vec::new(),
    };
    for known in declared.iter().filter(|known| known.threshold > 1) {
        carried.left.push(format!(
            "{} had to be signed by {} of its keys, and is signed by one now",
            known.role, known.threshold
        ));
    }
    for role in repository.roles() {
        let name = RoleName::parse(role.name())?;
        let count = role.tags().count();
        // The owner makes a new key for `targets`.
        if name != RoleName::Targets && !signable.contains(&name) {
            if count > 0 {
                carried.left.push(format!(
                    "{count} tags of {name}, which its signer has to sign again"
                ));
            }
            continue;
        }
        let signed = delegations::signed(documents, role.name())?;
        for (tag, _) in role.tags() {
            match target(&signed["targets"][tag]) {
                Some(target) => {
                    carried.tags += 1;
                    carried.changes.push(Change::AddTarget {
                        role: name.clone(),
                        name: tag.to_owned(),
                        target,
                    });
                }
                None => carried
                    .left
                    .push(format!("{tag} of {name}, which is named without a SHA-256")),
            }
        }
    }
    Ok(carried)
}

fn declare(known: &Delegation) -> Change {
    Change::AddDelegation {
        role: known.role.clone(),
        keys: known.keys.clone(),
        paths: known.paths.clone(),
    }
}

fn target(value: &Value) -> Option<Target> {
    let sha256 = STANDARD.decode(value["hashes"]["sha256"].as_str()?).ok()?;
    Some(Target {
        sha256: Checksum::from_bytes(sha256.try_into().ok()?),
        length: value["length"].as_u64()?,
        custom: value.get("custom").filter(|custom| !custom.is_null()).cloned(),
    })
}
