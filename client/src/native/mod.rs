//! TUF 1.0 repositories of a server: reading them verified by tough, signing with the keys at hand, and publishing.

mod catalogue;
mod download;
mod load;
mod sign;
mod statements;
mod transport;
mod vouching;
mod wire;

use std::path::PathBuf;

use thiserror::Error;
use tuf_native::{KeyError as NativeKeyError, Refusal, Role};

use crate::failure::ReadError;
use crate::keys::KeyError;
use crate::state::StateError;

pub use load::{Beginning, Expired, NativeRepository, check_first, read_root};
pub use sign::{read_native_key, sign};
pub use vouching::{Operator, Vouched, Vouching};
pub use wire::{Need, Published, Waiting};

/// Why something about a TUF 1.0 repository was not done.
#[derive(Debug, Error)]
pub enum NativeError {
    /// The server.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There is no such repository.
    #[error("{server} has no TUF 1.0 repository {name}; begin it with `countersign tuf init {name}`")]
    Absent {
        /// The server.
        server: String,
        /// The repository.
        name: String,
    },
    /// What the server shows does not verify.
    #[error("{name} does not verify: {reason}")]
    Unverified {
        /// The repository.
        name: String,
        /// What tough says.
        reason: String,
    },
    /// A file has expired.
    #[error("{name} has expired: {reason}; whoever signs it has to renew it")]
    Expired {
        /// The repository.
        name: String,
        /// What tough says.
        reason: String,
    },
    /// The server shows an older root than before.
    #[error(
        "{name} has root version {shown} now, and version {seen} was verified here before: the server shows an old state; if \
         the repository was begun anew on purpose, remove {}", .state.display()
    )]
    WentBack {
        /// The repository.
        name: String,
        /// The version that is shown.
        shown: u64,
        /// The version that was seen.
        seen: u64,
        /// Where it is remembered.
        state: PathBuf,
    },
    /// Nothing says where trust begins.
    #[error(
        "nothing says where trust in {0} begins: name a root file that you trust with --root FILE, the ID of a root key with \
         --root-key ID, or say --tofu to trust the first root that the server shows"
    )]
    NoBeginning(String),
    /// The first root is not the one that is trusted.
    #[error("root version 1 of {name} is not signed by the key {key}; it is signed by {signers}")]
    OtherRoot {
        /// The repository.
        name: String,
        /// The key that was named.
        key: String,
        /// The IDs of the keys that signed it.
        signers: String,
    },
    /// A file that the profile refuses.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A private key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A public key that clients do not read.
    #[error("{0}")]
    PublicKey(#[from] NativeKeyError),
    /// What is kept.
    #[error(transparent)]
    State(#[from] StateError),
    /// A file.
    #[error("{}: {reason}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A target that is not there.
    #[error("{name} has no target {target:?}")]
    NoTarget {
        /// The repository.
        name: String,
        /// The target.
        target: String,
    },
    /// A role that is not there.
    #[error("{name} has no role {role}")]
    NoRole {
        /// The repository.
        name: String,
        /// The role.
        role: Role,
    },
}
