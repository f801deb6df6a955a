//! TUF 1.0 repositories: what a file may be, what a publish may change, what the server adds. Without I/O, SQL or a clock
//! of its own.
//!
//! [`Metadata::parse`] takes a file in which every client reads the same: tough, python-tuf and tuf-js. [`check()`] judges
//! a publish against what is stored, and [`Checked::snapshot`] and [`timestamp()`] make what the server signs after it.
//! [`Draft`] is a file that waits for more signatures.
//!
//! What is decided, is decided by our own verification of the received bytes. The crate `tough` reads and verifies each
//! file too, so that nothing is taken in which its users could not read.

#![forbid(unsafe_code)]

pub mod authoring;
mod body;
mod check;
mod draft;
#[cfg(test)]
mod draft_tests;
mod envelope;
mod fields;
mod interop;
mod key;
#[cfg(test)]
mod loading_tests;
mod metadata;
pub mod migrate;
pub mod mirror;
mod name;
mod online;
mod paths;
#[cfg(test)]
mod profile_tests;
mod refusal;
mod role;
pub mod roots;
mod signers;
pub mod statement;
#[cfg(test)]
mod testing;
mod trusted;

pub use body::REPOSITORY_MEMBER;
pub use check::{Checked, check};
pub use draft::{Draft, Needed, Standing, ready};
pub use key::{KeyError, PublicKey, Scheme};
pub use metadata::Metadata;
pub use name::{NameError, RepositoryName};
pub use online::{SPEC_VERSION, Unsigned, renewed_snapshot, timestamp};
pub use refusal::{Delegator, Refusal};
pub use role::{DelegatedName, Role, RoleError};
pub use signers::Signers;
pub use trusted::{Limits, OnlineKeys, Trusted};
pub use tuf::{Checksum, Gun, KeyId, Version, VersionError};
