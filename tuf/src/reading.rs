//! Reads stored documents without verifying them again.

use chrono::{DateTime, Utc};

use crate::checksum::Checksum;
use crate::gun::Gun;
use crate::key::PublicKey;
use crate::metadata::{
    Envelope, FileMeta, MetadataError, RootBody, SnapshotBody, TargetsBody, TimestampBody,
};
use crate::role::RoleName;
use crate::trusted_root::TrustedRoot;
use crate::version::Version;

/// The keys that a root lists for a base role, sorted by key ID.
///
/// # Errors
///
/// Fails for bytes that are not a root, and for roles that a root does not list.
pub fn role_keys(root_bytes: &[u8], role: &RoleName) -> Result<Vec<PublicKey>, MetadataError> {
    let root = RootBody::read(&Envelope::parse_slice(root_bytes)?)?;
    Ok(root.role(role)?.usable())
}

/// The checksum of the snapshot that a timestamp names.
///
/// # Errors
///
/// Fails for bytes that are not a timestamp.
pub fn named_snapshot(timestamp_bytes: &[u8]) -> Result<Checksum, MetadataError> {
    let body = TimestampBody::read(&Envelope::parse_slice(timestamp_bytes)?)?;
    let sha256 = body.snapshot().and_then(FileMeta::sha256);
    sha256.ok_or(MetadataError::NoChecksum(RoleName::Snapshot))
}

/// The checksum of the document that a snapshot names for a role; `None` if it names none.
///
/// # Errors
///
/// Fails for bytes that are not a snapshot.
pub fn named_in_snapshot(snapshot_bytes: &[u8], role: &RoleName) -> Result<Option<Checksum>, MetadataError> {
    let document = Envelope::parse_slice(snapshot_bytes)?;
    let body = SnapshotBody::read(&document)?;
    body.check(&document)?;
    Ok(body.meta(role).and_then(FileMeta::sha256))
}

/// The roles that targets, or a delegation, delegate to. Names that are not valid role names are left out.
///
/// # Errors
///
/// Fails for bytes that are not targets.
pub fn delegated_roles(role: &RoleName, targets_bytes: &[u8]) -> Result<Vec<RoleName>, MetadataError> {
    let body = TargetsBody::read(role, &Envelope::parse_slice(targets_bytes)?)?;
    Ok(body
        .delegations()
        .filter_map(|name| RoleName::parse(name).ok())
        .collect())
}

/// Checks that all readers parse a document alike, as is required of every publish: its text, and the names of its
/// fields. Nothing else is checked.
///
/// # Errors
///
/// When readers may parse it differently.
pub fn has_one_meaning(role: &RoleName, bytes: &[u8]) -> Result<(), MetadataError> {
    let document = Envelope::parse_slice(bytes)?;
    let read = match role {
        RoleName::Root => RootBody::read(&document).map(drop),
        RoleName::Snapshot => SnapshotBody::read(&document).map(drop),
        RoleName::Timestamp => TimestampBody::read(&document).map(drop),
        RoleName::Targets | RoleName::Delegation(_) => TargetsBody::read(role, &document).map(drop),
    };
    match read {
        Err(error) if error.is_about_the_text() => Err(error),
        _ => Ok(()),
    }
}

/// The version that a document of this role states.
///
/// # Errors
///
/// Fails for bytes that are not a document, and for versions that cannot be stored.
pub fn stated_version(bytes: &[u8], role: &RoleName) -> Result<Version, MetadataError> {
    Envelope::parse_slice(bytes)?.version(role)
}

/// When a document expires. One without expiry has expired in the year 1.
///
/// # Errors
///
/// Fails for bytes that are not a document.
pub fn expires(bytes: &[u8]) -> Result<DateTime<Utc>, MetadataError> {
    Ok(Envelope::parse_slice(bytes)?.expires())
}

/// Why a document cannot be used any more after some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndOf {
    /// The document itself expires.
    Document,
    /// Too few of the root's certificates are still valid.
    Certificates,
}

/// Until when readers accept a document, and what expires first. For a root the certificates of its keys count too.
///
/// # Errors
///
/// Fails for bytes that are not a document.
pub fn usable_until(
    gun: &Gun,
    role: &RoleName,
    bytes: &[u8],
) -> Result<(DateTime<Utc>, EndOf), MetadataError> {
    let document = Envelope::parse_slice(bytes)?;
    let expires = document.expires();
    if *role != RoleName::Root {
        return Ok((expires, EndOf::Document));
    }
    Ok(match TrustedRoot::certificates_end(gun, &document)? {
        Some(end) if end < expires => (end, EndOf::Certificates),
        Some(_) => (expires, EndOf::Document),
        None => (DateTime::UNIX_EPOCH, EndOf::Certificates),
    })
}

/// A target, as a targets document names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTarget {
    /// Its name: for Docker, a tag.
    pub name: String,
    /// The checksum of the content that it names, if it is stated.
    pub sha256: Option<Checksum>,
    /// The length of the content that it names, in bytes.
    pub length: i64,
}

/// The targets that `targets`, or a delegation, names.
///
/// # Errors
///
/// Fails for bytes that are not targets.
pub fn signed_targets(role: &RoleName, targets_bytes: &[u8]) -> Result<Vec<SignedTarget>, MetadataError> {
    let document = Envelope::parse_slice(targets_bytes)?;
    let signed = document.signed(role)?;
    let mut found = Vec::new();
    for (name, target) in signed.map("targets")? {
        let meta = FileMeta::read(target, "document.signed.targets")?;
        found.push(SignedTarget {
            name: name.to_owned(),
            sha256: meta.sha256(),
            length: meta.length(),
        });
    }
    Ok(found)
}

/// The keys with a good signature on a document, of those that the document above it (its root, or the targets
/// that delegate to it) declares for its role.
///
/// # Errors
///
/// Fails for bytes that are not such documents.
pub fn signers(
    above: &RoleName,
    above_bytes: &[u8],
    role: &RoleName,
    bytes: &[u8],
) -> Result<Vec<PublicKey>, MetadataError> {
    let declaring = Envelope::parse_slice(above_bytes)?;
    let document = Envelope::parse_slice(bytes)?;
    if *above == RoleName::Root {
        return RootBody::read(&declaring)?.role(role)?.signers(&document);
    }
    let body = TargetsBody::read(above, &declaring)?;
    match body.delegation(role) {
        Some(keys) => keys.signers(&document),
        None => Ok(Vec::new()),
    }
}
