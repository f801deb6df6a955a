//! TUF 1.0 repositories: what is stored of them as `tuf_native` judges it, the server's keys for them, publishing, what
//! waits for signatures, and renewing what the server signs.

pub mod audit;
mod catalogue;
mod keys;
mod own_key;
mod publish;
mod renewal;
mod seal;
mod waiting;

use std::collections::BTreeMap;

use actix_web::web;
use bytes::Bytes;
use serde::Deserialize;
use tuf_native::{Metadata, PublicKey, Refusal, RepositoryName, Role, Trusted};

pub use catalogue::{keep as keep_lines, lines};
pub use keys::{ServerKey, named};
pub use publish::{Published, policy_role, publish};
pub use renewal::{renew, renew_due};
pub use waiting::{Waiting, add, waiting, withdraw};

use crate::{
    access::Denied,
    state::{ServiceError, State},
    store::{NativeFile, NativeRepository, StoreError},
    upload_memory::{NoMemory, Taken},
};

/// Why something is not done to a TUF 1.0 repository. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum NativeError {
    /// The files break a rule.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Somebody else changed the repository meanwhile, again and again.
    #[error(
        "somebody else published first: read what is there now, sign the next version, and publish again"
    )]
    Conflict,
    /// There is no such repository.
    #[error("there is no such TUF repository: publish its root and targets first")]
    NoRepository,
    /// The repository was deleted.
    #[error(
        "this TUF repository was deleted, and clients may know its root: it comes back when the next version of its root is \
         published, signed as the last one demands"
    )]
    Deleted,
    /// A root names a key for snapshots or timestamps that the signer does not hold for this repository and role.
    #[error(
        "root: the key it names for {0} is none of this server's for this repository: name the keys that GET .../keys answers"
    )]
    KeyNotHeld(Role),
    /// The policy requires the publisher's own signature, and it is missing.
    #[error(
        "{principal} may publish {role} only if it is signed with a key of their own: one registered to their account, or that \
         of their certificate"
    )]
    NotOwnKey {
        /// The principal that publishes.
        principal: String,
        /// The role of the file.
        role: Role,
    },
    /// The files would be more than one repository may have.
    #[error(
        "the current files of this repository would take {0} bytes, and one repository has at most {REPOSITORY_LIMIT}: divide it"
    )]
    RepositoryTooLarge(usize),
    /// Others leave no memory.
    #[error("other publishes take the memory that there is for them (limits.upload_memory)")]
    NoMemory,
    /// The publisher lacks a right that only now turned out to be needed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// What is stored cannot be read.
    #[error("what is stored of the TUF repository {0} cannot be used: {1}")]
    Stored(RepositoryName, String),
    /// The database or the signing service failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// How much larger than the bytes of a file is what is read of it, in units of what the memory for publishes counts anyway.
/// A file of 4.7 MB was measured to take less than 180 MiB.
const READ_TIMES: usize = 12;
/// The most that the current files of a repository may take together, in bytes, and the files that wait in it. Each publish
/// reads all of them.
pub const REPOSITORY_LIMIT: usize = 16 * 1024 * 1024;

/// What is stored of a repository.
#[derive(Debug)]
pub struct Current {
    /// Its row.
    pub repository: NativeRepository,
    /// Its current files.
    pub trusted: Trusted,
}

/// The memory for what is read of files. A publish has one for what it brings and for what is stored: with two, it would
/// wait for itself.
#[derive(Debug)]
pub struct Room {
    memory: Taken,
    /// How many bytes of files were brought.
    brought: usize,
    /// How many bytes of stored files are read beside them.
    stored: usize,
}

impl Room {
    /// For somebody who brings nothing.
    ///
    /// # Errors
    /// When others do not leave enough of it in time.
    pub async fn new(state: &State) -> Result<Self, NativeError> {
        Self::of_upload(state.upload_memory.take(None).await?, 0).await
    }

    /// For an upload, with the memory that its body takes: of files with so many bytes.
    ///
    /// # Errors
    /// When others do not leave enough of it in time.
    pub async fn of_upload(memory: Taken, bytes: usize) -> Result<Self, NativeError> {
        let mut room = Self {
            memory,
            brought: bytes,
            stored: 0,
        };
        room.more(0).await?;
        Ok(room)
    }

    /// Has it suffice for stored files of so many bytes too.
    async fn more(&mut self, bytes: usize) -> Result<(), NativeError> {
        self.stored = self.stored.saturating_add(bytes);
        let all = self.brought.saturating_add(self.stored);
        Ok(self.memory.cover(all.saturating_mul(READ_TIMES)).await?)
    }

    /// What was read of stored files is gone, and will be read again. The memory stays.
    fn begin_again(&mut self) {
        self.stored = 0;
    }
}

impl From<NoMemory> for NativeError {
    fn from(_: NoMemory) -> Self {
        Self::NoMemory
    }
}

/// What is stored of a repository and current, also of a deleted one; `None` if there was never one of this name. `room` has
/// to live as long.
///
/// # Errors
/// When the database fails, what it holds cannot be read, or there is no memory for it.
pub async fn current(
    state: &State,
    name: &RepositoryName,
    room: &mut Room,
) -> Result<Option<Current>, NativeError> {
    let gun = name.gun().clone();
    let found = state
        .with_store(move |store| store.native_current(&gun, named_files))
        .await
        .map_err(|cause| match cause {
            ServiceError::Store(cause @ StoreError::Damaged { .. }) => {
                NativeError::Stored(name.clone(), cause.to_string())
            }
            other => NativeError::Service(other),
        })?;
    let Some((repository, files)) = found else {
        return Ok(None);
    };
    room.more(files.iter().map(|file| file.bytes.len()).sum()).await?;
    let trusted = web::block(move || trusted(files)).await;
    let trusted = trusted
        .map_err(|_| ServiceError::Stopping)?
        .map_err(|cause| NativeError::Stored(name.clone(), cause))?;
    Ok(Some(Current { repository, trusted }))
}

fn trusted(files: Vec<NativeFile>) -> Result<Trusted, String> {
    let mut trusted = Trusted::default();
    for file in files {
        let role = Role::parse(&file.role).map_err(|cause| cause.to_string())?;
        let read = Metadata::parse(&role, Bytes::from(file.bytes)).map_err(|cause| cause.to_string())?;
        match role {
            Role::Root => trusted.root = Some(read),
            Role::Snapshot => trusted.snapshot = Some(read),
            Role::Timestamp => trusted.timestamp = Some(read),
            Role::Targets | Role::Delegated(_) => trusted.targets.push(read),
        }
    }
    Ok(trusted)
}

/// The roles and versions that a snapshot names; none if it cannot be read, which is found out where it is parsed.
pub fn named_files(snapshot: &[u8]) -> Vec<(String, i32)> {
    #[derive(Deserialize)]
    struct File {
        signed: Signed,
    }
    #[derive(Deserialize)]
    struct Signed {
        meta: BTreeMap<String, Named>,
    }
    #[derive(Deserialize)]
    struct Named {
        version: i32,
    }
    let Ok(file) = serde_json::from_slice::<File>(snapshot) else {
        return Vec::new();
    };
    let named = file.signed.meta.into_iter();
    named
        .filter_map(|(name, Named { version })| {
            // Unlike the names of files, those in a snapshot are not percent-encoded.
            let role = Role::parse(name.strip_suffix(".json")?).ok()?;
            Some((role.as_str().to_owned(), version))
        })
        .collect()
}

/// The keys that a root lists for a role.
pub fn listed(root: &Metadata, role: &Role) -> Vec<PublicKey> {
    root.root_signers(role)
        .map(|signers| signers.keys().to_vec())
        .unwrap_or_default()
}

/// A file as the database stores it.
fn stored(file: &Metadata) -> NativeFile {
    NativeFile {
        role: file.role().as_str().to_owned(),
        version: file.version().get(),
        bytes: file.bytes().to_vec(),
    }
}
