//! The documents of each role: reading them and checking their structure.

mod envelope;
mod error;
mod fields;
mod file_meta;
mod role_keys;
mod root;
mod snapshot;
mod targets;
mod timestamp;

pub(crate) use envelope::{Envelope, RawSignature};
pub use error::MetadataError;
pub(crate) use file_meta::{FileMeta, write_meta};
pub(crate) use role_keys::{Counting, KeyMap, RoleKeys};
pub(crate) use root::RootBody;
pub(crate) use snapshot::SnapshotBody;
pub(crate) use targets::TargetsBody;
pub(crate) use timestamp::TimestampBody;
