//! TUF 1.0 repositories: what a file may be, what a publish may change, what the server adds. Without I/O, SQL or a clock
//! of its own.

#![forbid(unsafe_code)]
#![allow(clippy::unimplemented, unused_variables, unused_imports, missing_docs)]

mod check;
mod draft;
mod key;
mod metadata;
mod name;
mod online;
mod refusal;
mod role;

pub use check::{Checked, Limits, OnlineKeys, Trusted, check};
pub use draft::{Draft, Needed, Standing};
pub use key::{KeyError, KeyId, PublicKey, Scheme};
pub use metadata::Metadata;
pub use name::{NameError, RepositoryName};
pub use online::{Unsigned, renewed_snapshot, timestamp};
pub use refusal::{Delegator, Refusal};
pub use role::{DelegatedName, Role, RoleError};
pub use tuf::{Checksum, Gun, Version, VersionError};
