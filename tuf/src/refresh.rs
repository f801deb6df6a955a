//! Renewing the snapshot and timestamp of a repository that nobody publishes to.

use chrono::{DateTime, TimeDelta, Utc};
use thiserror::Error;

use crate::document::Document;
use crate::gun::Gun;
use crate::metadata::{Envelope, FileMeta, MetadataError, TimestampBody};
use crate::role::RoleName;
use crate::trusted_root::TrustedRoot;
use crate::update::{
    CheckedUpdate, DraftError, SnapshottedUpdate, TimestampDraft, load_snapshot, snapshot_request,
};

/// Which documents have to be renewed.
#[derive(Debug, Clone)]
pub enum Refresh {
    /// Nothing.
    Fresh,
    /// The timestamp, for the stored snapshot.
    Timestamp(SnapshottedUpdate),
    /// Both. When the snapshot's key turns out to be the publisher's and the snapshot has not expired yet,
    /// [`CheckedUpdate::keep_snapshot`] goes on with the timestamp alone.
    Both(Box<CheckedUpdate>),
}

/// Why a repository cannot be refreshed, beyond a key that the server does not hold.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum RefreshError {
    /// A stored document cannot be used.
    #[error("the stored {role} cannot be used: {reason}")]
    Stored {
        /// Its role.
        role: RoleName,
        /// What is wrong with it.
        reason: MetadataError,
    },
    /// The new document would have a version that cannot be stored.
    #[error("{0} has reached the highest version that can be stored, {max}", max = i32::MAX)]
    LastVersion(RoleName),
}

/// Decides what to renew: the snapshot and the timestamp when they have expired or do so within `before`, and the
/// timestamp when it does not name the snapshot's hashes. `before` is zero to renew only what has expired.
///
/// `root` is the highest stored root, whose expiry does not matter; `snapshot` is the one that `timestamp` names.
///
/// # Errors
///
/// Fails when a stored document is needed but cannot be used, for instance when the snapshot is not signed by the keys
/// of the root.
pub fn plan_refresh(
    gun: &Gun,
    root: &Document,
    snapshot: &Document,
    timestamp: &Document,
    now: DateTime<Utc>,
    before: TimeDelta,
) -> Result<Refresh, RefreshError> {
    let due = now.checked_add_signed(before).unwrap_or(DateTime::<Utc>::MAX_UTC);
    let snapshot_document = stored(snapshot, Envelope::parse(&snapshot.bytes))?;
    let timestamp_document = stored(timestamp, Envelope::parse(&timestamp.bytes))?;

    let snapshot_due = snapshot_document.expires() < due;
    let timestamp_due =
        timestamp_document.expires() < due || stored(timestamp, misnames(&timestamp_document, snapshot))?;
    if !snapshot_due && !timestamp_due {
        return Ok(Refresh::Fresh);
    }

    let trusted = Envelope::parse(&root.bytes).and_then(|document| TrustedRoot::of_stored(gun, &document));
    let trusted = stored(root, trusted)?;
    let draft = TimestampDraft::new(Some(timestamp), &trusted, now);
    let draft = draft.map_err(|e| cannot_make(timestamp, e))?;
    let usable = load_snapshot(&trusted, &snapshot_document, now)
        .and_then(|(body, _)| FileMeta::verify(body.meta(&RoleName::Root), root));

    if snapshot_due {
        let request = snapshot_request(Some(snapshot), &[root], &trusted, now);
        let request = request.map_err(|e| cannot_make(snapshot, e))?;
        let instead_of = (usable.is_ok() && timestamp_due).then(|| snapshot.clone());
        return Ok(Refresh::Both(Box::new(CheckedUpdate::refresh(
            request, instead_of, draft,
        ))));
    }
    stored(snapshot, usable)?;
    Ok(Refresh::Timestamp(SnapshottedUpdate::of_stored(snapshot, draft)))
}

/// Whether the timestamp names other hashes than those of these bytes.
fn misnames(timestamp: &Envelope, snapshot: &Document) -> Result<bool, MetadataError> {
    let body = TimestampBody::read(timestamp)?;
    Ok(FileMeta::verify(body.snapshot(), snapshot).is_err())
}

fn stored<T>(document: &Document, result: Result<T, MetadataError>) -> Result<T, RefreshError> {
    result.map_err(|reason| RefreshError::Stored {
        role: document.role.clone(),
        reason,
    })
}

fn cannot_make(document: &Document, error: DraftError) -> RefreshError {
    let role = document.role.clone();
    match error {
        DraftError::Stored(reason) => RefreshError::Stored { role, reason },
        DraftError::NoTargets => RefreshError::Stored {
            role,
            reason: MetadataError::NoTargets,
        },
        DraftError::LastVersion => RefreshError::LastVersion(role),
    }
}
