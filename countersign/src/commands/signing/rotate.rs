//! `countersign key rotate`.

use clap::{Args, ValueEnum};
use client::keys::{KeyStore, Place};
use tuf::{KeyId, RoleName};

use super::{
    key_options::PlaceOptions,
    session::{self, RepositoryOptions},
};
use crate::commands::{Failure, Outcome, block_on};

/// Which key is replaced.
#[derive(Debug, Args)]
pub struct RotateOptions {
    /// The repository.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// The role whose key is replaced by a new one.
    #[arg(value_enum, value_name = "ROLE")]
    role: Rotated,
    /// Keep the key of the snapshot here, not with the server: then nobody can publish without it.
    #[arg(long)]
    local: bool,
    /// The ID of the next key of root or targets, of those at hand; a new one is made if absent.
    #[arg(long, value_name = "ID")]
    to: Option<String>,
    #[command(flatten)]
    place: PlaceOptions,
    #[command(flatten)]
    options: RepositoryOptions,
}

/// A role with keys that can be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rotated {
    /// The key with which trust begins. Its successor is signed by both.
    Root,
    /// The owner's key.
    Targets,
    /// The key of the snapshot, which the server keeps unless --local is said.
    Snapshot,
    /// The server's key of the timestamp.
    Timestamp,
}

/// Replaces a key.
///
/// # Errors
/// When the root cannot be signed, or the server refuses.
pub fn run(options: &RotateOptions) -> Result<Outcome, Failure> {
    if options.local && options.role != Rotated::Snapshot {
        return Err(Failure("--local is about the key of the snapshot alone".into()));
    }
    if options.to.is_some() && !matches!(options.role, Rotated::Root | Rotated::Targets) {
        return Err(Failure("--to is about the keys of root and targets alone".into()));
    }
    let is_made_here = match options.role {
        Rotated::Root | Rotated::Targets => options.to.is_none(),
        Rotated::Snapshot => options.local,
        Rotated::Timestamp => false,
    };
    if options.place.place() == Place::Token && !is_made_here {
        return Err(Failure(
            "--in-token is about a new key that is made here; a key that is named, or the server's, is where it is".into(),
        ));
    }
    let named = match &options.to {
        Some(text) => Some(KeyId::parse(text).map_err(|cause| Failure(format!("--to {text}: {cause}")))?),
        None => None,
    };
    let image = session::repository(&options.repository)?;
    let session = options.options.open(&image)?.keeping_in(options.place.place())?;
    let gun = &session.gun;
    block_on(async {
        // Before a key is made.
        session.read().await?;
        let (editor, anchor) = (session.editor(), session.anchor()?);
        let rotated = match options.role {
            Rotated::Root => {
                let id = match named {
                    Some(id) => id,
                    None => session.keys.generate("root", None)?.id().clone(),
                };
                let rotated = editor.rotate_root(gun, anchor, &id).await;
                if rotated.is_ok() {
                    platform::complain!(
                        "the root key of {gun} is {id} now; keep the former one: who knows only that follows from it"
                    );
                }
                rotated
            }
            Rotated::Targets => editor.rotate_targets(gun, anchor, named.as_ref()).await,
            Rotated::Snapshot if options.local => editor.rotate_snapshot_to_store(gun, anchor).await,
            Rotated::Snapshot => editor.rotate_server_key(gun, anchor, RoleName::Snapshot).await,
            Rotated::Timestamp => editor.rotate_server_key(gun, anchor, RoleName::Timestamp).await,
        };
        rotated.map_err(|cause| session.explained(cause))?;
        let role = options.role.to_possible_value();
        let role = role.as_ref().map_or("key", |role| role.get_name());
        platform::say!("the {role} of {gun} has a new key");
        Ok(Outcome::Done)
    })?
}
