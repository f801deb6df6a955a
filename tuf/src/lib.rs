//! The Notary v1 flavour of TUF: formats and rules, without I/O, SQL or a clock of its own.
//!
//! Start at [`Gun`], [`RoleName`] and [`Document`](document::Document) for what is stored,
//! and at `canonical` and `signature` for what is signed.

mod canonical;
mod checksum;
mod encoding;
mod gun;
mod json;
mod key;
mod role;
mod signature;
mod version;

pub use canonical::{CanonicalError, canonical_form, canonicalize};
pub use checksum::{Checksum, ChecksumError};
pub use gun::{Gun, GunError};
pub use json::{JsonError, MAX_DEPTH};
pub use key::{KeyId, KeyIdError, KeyType, PublicKey};
pub use role::{DelegationName, RoleName, RoleNameError};
pub use signature::{Signature, SignatureError, SignatureMethod, verify_signature};
pub use version::{Version, VersionError};
