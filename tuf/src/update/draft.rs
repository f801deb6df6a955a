//! The snapshots and timestamps that the server makes.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::document::Document;
use crate::key::PublicKey;
use crate::metadata::{Envelope, FileMeta, MetadataError, RoleKeys, SnapshotBody, TimestampBody, write_meta};
use crate::role::RoleName;
use crate::signing::SigningRequest;
use crate::trusted_root::TrustedRoot;
use crate::version::Version;

/// How long a timestamp made by the server is valid.
pub const TIMESTAMP_LIFETIME: TimeDelta = TimeDelta::days(14);

/// How long a snapshot made by the server is valid.
pub const SNAPSHOT_LIFETIME: TimeDelta = TimeDelta::days(3 * 365);

/// Why the server cannot make the next snapshot or timestamp.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum DraftError {
    /// The stored document it would continue cannot be used.
    Stored(MetadataError),
    /// There is nothing to continue, and no targets to begin with.
    NoTargets,
    /// The stored document has the highest version there can be.
    LastVersion,
}

/// A timestamp without the hashes of its snapshot.
#[derive(Debug, Clone)]
pub(crate) struct TimestampDraft {
    meta: BTreeMap<String, FileMeta>,
    version: Version,
    expires: DateTime<Utc>,
    keys: RoleKeys,
}

/// The snapshot that follows the stored one: its entries, with those of the documents in `loaded` replaced.
///
/// Entries of delegations that are no longer declared stay; clients ignore them. The hashes are those of the uploaded
/// bytes.
pub(crate) fn snapshot_request(
    previous: Option<&Document>,
    loaded: &[&Document],
    root: &TrustedRoot,
    now: DateTime<Utc>,
) -> Result<SigningRequest, DraftError> {
    let (mut meta, version) = match previous {
        Some(stored) => {
            let document = Envelope::parse(&stored.bytes)?;
            let body = SnapshotBody::read(&document)?;
            body.check(&document)?;
            (body.meta, next_version(stored)?)
        }
        None if loaded.iter().any(|document| document.role == RoleName::Targets) => {
            (BTreeMap::new(), Version::FIRST)
        }
        None => return Err(DraftError::NoTargets),
    };
    for document in loaded {
        meta.insert(document.role.to_string(), FileMeta::of(document));
    }
    let message = write_meta("Snapshot", now + SNAPSHOT_LIFETIME, &meta, version);
    let keys = root.role(&RoleName::Snapshot)?;
    Ok(SigningRequest::new(RoleName::Snapshot, version, message, keys))
}

impl TimestampDraft {
    /// The timestamp that follows the stored one, or the first.
    pub(crate) fn new(
        previous: Option<&Document>,
        root: &TrustedRoot,
        now: DateTime<Utc>,
    ) -> Result<Self, DraftError> {
        let (meta, version) = match previous {
            Some(stored) => {
                let body = TimestampBody::read(&Envelope::parse(&stored.bytes)?)?;
                (body.meta, next_version(stored)?)
            }
            None => (BTreeMap::new(), Version::FIRST),
        };
        let keys = root.role(&RoleName::Timestamp)?.clone();
        Ok(Self {
            meta,
            version,
            expires: now + TIMESTAMP_LIFETIME,
            keys,
        })
    }

    pub(crate) fn version_and_keys(&self) -> (Version, Vec<PublicKey>) {
        (self.version, self.keys.usable())
    }

    /// The timestamp for this snapshot.
    pub(crate) fn request(mut self, snapshot: &Document) -> SigningRequest {
        self.meta
            .insert(RoleName::Snapshot.to_string(), FileMeta::of(snapshot));
        let message = write_meta("Timestamp", self.expires, &self.meta, self.version);
        SigningRequest::new(RoleName::Timestamp, self.version, message, &self.keys)
    }
}

fn next_version(stored: &Document) -> Result<Version, DraftError> {
    stored.version.next().ok_or(DraftError::LastVersion)
}

impl From<MetadataError> for DraftError {
    fn from(error: MetadataError) -> Self {
        Self::Stored(error)
    }
}
