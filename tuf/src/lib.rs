//! The Notary v1 flavour of TUF: formats and rules, without I/O, SQL or a clock of its own.
//!
//! A publish goes through [`Upload`], [`check`], [`CheckedUpdate`], [`SnapshottedUpdate`] and [`SignedUpdate`].
//! [`plan_refresh`] renews the documents of a repository that nobody publishes to, [`audit`] verifies what is stored, and
//! [`verified_targets`] tells what it signs.

#![forbid(unsafe_code)]

mod audit;
mod canonical;
mod certificate;
mod checksum;
mod document;
mod encoding;
mod gun;
mod json;
mod key;
mod metadata;
mod pem;
mod reading;
mod refresh;
mod rejection;
mod role;
mod signature;
mod signing;
mod spki;
mod time;
mod trusted_root;
mod update;
mod upload;
mod verified;
mod verified_root;
mod version;

pub use audit::{Finding, Severity, audit};
pub use canonical::{canonical_form, canonicalize};
pub use checksum::{Checksum, ChecksumError};
pub use document::Document;
pub use gun::{Gun, GunError, is_of_tuf_1};
pub use json::{JsonError, MAX_DEPTH};
pub use key::{KeyId, KeyIdError, KeyType, PublicKey};
pub use metadata::MetadataError;
pub use reading::{
    EndOf, SignedTarget, delegated_roles, expires, has_one_meaning, named_in_snapshot, named_snapshot,
    role_keys, signed_targets, signers, stated_version, usable_until,
};
pub use refresh::{Refresh, RefreshError, plan_refresh};
pub use rejection::Rejection;
pub use role::{DelegationName, RoleName, RoleNameError};
pub use signature::{Signature, SignatureError, SignatureMethod, verify_signature};
pub use signing::{SealError, SigningRequest, write_document};
pub use update::{
    CheckedUpdate, Current, SNAPSHOT_LIFETIME, SignedUpdate, SnapshottedUpdate, TIMESTAMP_LIFETIME, check,
    check_steps,
};
pub use upload::{IntakeError, Upload};
pub use verified::{
    CurrentDocuments, LeftOut, LeftOutCause, VerifiedDocument, VerifiedRole, VerifiedTargets,
    verified_targets,
};
pub use verified_root::VerifiedRoot;
pub use version::{Version, VersionError};
