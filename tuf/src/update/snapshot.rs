//! Checks that an uploaded snapshot names exactly the current documents.
//!
//! Otherwise the holder of the snapshot key could, without a key of the role, make readers load an older document of a
//! role, or one that does not exist, or ignore the role.

use chrono::{DateTime, Utc};

use super::Current;
use super::hierarchy::Hierarchy;
use crate::document::Document;
use crate::metadata::{Envelope, FileMeta, MetadataError, SnapshotBody};
use crate::role::RoleName;
use crate::trusted_root::TrustedRoot;
use crate::upload::Part;
use crate::version::Version;

/// Checks an uploaded snapshot: that it is signed, and that each entry is one of
///
/// * the exact hashes and length of a document in `loaded`: those that the update brings, and those it depends on;
/// * the exact hashes and length of the current document of its role;
/// * the entry of the stored snapshot, unchanged.
///
/// It may leave out what the stored snapshot names only where readers do: a delegation that is not declared any more,
/// or whose current document its parent's keys do not verify.
pub(super) fn check_snapshot(
    hierarchy: &Hierarchy<'_>,
    root: &TrustedRoot,
    part: &Part,
    loaded: &[&Document],
    current: &Current,
    now: DateTime<Utc>,
) -> Result<Document, MetadataError> {
    let (body, version) = load_snapshot(root, &part.document, now)?;
    for document in loaded {
        FileMeta::verify_exactly(body.meta(&document.role), document)?;
    }
    // A stored snapshot that cannot be read gives no entries to compare with; only the uploaded documents count.
    let stored = current.snapshot.as_ref().and_then(|stored| {
        let document = Envelope::parse(&stored.bytes).ok()?;
        SnapshotBody::read(&document).ok()
    });
    for (name, meta) in &body.meta {
        let role = RoleName::parse(name).ok();
        let is_loaded = |role: &RoleName| loaded.iter().any(|document| document.role == *role);
        if role.as_ref().is_some_and(is_loaded)
            || stored
                .as_ref()
                .is_some_and(|stored| stored.meta.get(name) == Some(meta))
        {
            continue;
        }
        match role.and_then(|role| current.targets.get(&role)) {
            Some(document) => FileMeta::verify_exactly(Some(meta), document)?,
            None => return Err(MetadataError::NotCurrent(name.clone())),
        }
    }
    let left_out = stored.iter().flat_map(|stored| stored.meta.keys());
    for name in left_out.filter(|name| !body.meta.contains_key(*name)) {
        if let Ok(role) = RoleName::parse(name)
            && hierarchy.trusts_current(&role, current)
        {
            return Err(MetadataError::LeftOut(role));
        }
    }
    Ok(part.to_document(&RoleName::Snapshot, version))
}

/// Verifies a snapshot: signatures, structure, version, expiry.
pub(crate) fn load_snapshot(
    root: &TrustedRoot,
    document: &Envelope,
    now: DateTime<Utc>,
) -> Result<(SnapshotBody, Version), MetadataError> {
    let role = RoleName::Snapshot;
    let body = SnapshotBody::read(document)?;
    root.role(&role)?.verify(&role, document)?;
    body.check(document)?;
    let version = document.version(&role)?;
    document.check_expiry(&role, now)?;
    Ok((body, version))
}
