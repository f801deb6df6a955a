//! Whether an update may be stored, given what is stored.

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::draft::DraftError;
use super::hierarchy::Hierarchy;
use super::stages::SnapshotSource;
use super::{CheckedUpdate, Current, TimestampDraft, snapshot_request};
use crate::certificate::Dates;
use crate::document::Document;
use crate::gun::Gun;
use crate::metadata::{Envelope, FileMeta, MetadataError, SnapshotBody};
use crate::rejection::Rejection;
use crate::role::RoleName;
use crate::trusted_root::TrustedRoot;
use crate::upload::{Part, Upload};
use crate::version::Version;

/// Validates an upload against the stored state of the repository at the time `now`.
///
/// Whether the versions are newer than every stored one is for the store to decide, in its transaction; here only
/// root versions are compared.
///
/// # Errors
///
/// Every reason to refuse the update, as the publisher is told, and apart from them [`Rejection::StoredState`] when
/// what is stored cannot be used.
pub fn check(
    gun: &Gun,
    mut upload: Upload,
    current: &Current,
    now: DateTime<Utc>,
) -> Result<CheckedUpdate, Rejection> {
    let mut documents = Vec::new();
    let stored_root = current
        .root
        .as_ref()
        .map(|stored| load_stored_root(gun, stored))
        .transpose()?;
    let (root, root_bytes) = match (upload.take(&RoleName::Root), stored_root) {
        (Some(part), stored) => {
            let version = current
                .root
                .as_ref()
                .map_or(Version::FIRST, |stored| stored.version);
            let (root, document) = load_new_root(gun, &part, stored.as_ref(), version, now)?;
            documents.push(document);
            (root, part.bytes)
        }
        (None, Some(stored)) => (
            stored,
            current
                .root
                .as_ref()
                .map(|root| root.bytes.clone())
                .unwrap_or_default(),
        ),
        (None, None) => {
            let msg = "no pre-existing root and no root provided in update.";
            return Err(Rejection::Validation(msg.to_owned()));
        }
    };

    let mut hierarchy = Hierarchy::new(&root);
    for (role, part) in upload.take_targets() {
        load_ancestors(&mut hierarchy, &role, current)?;
        documents.push(load_new_targets(&mut hierarchy, role, part, now)?);
    }

    let root_bytes = (&RoleName::Root, &*root_bytes);
    let loaded: Vec<(&RoleName, &[u8])> = std::iter::once(root_bytes).chain(hierarchy.loaded()).collect();
    let snapshot = match upload.take(&RoleName::Snapshot) {
        Some(part) => SnapshotSource::Uploaded(check_snapshot(&root, part, &loaded, now)?),
        None => {
            let request = snapshot_request(current.snapshot.as_ref(), &loaded, &root, now);
            let request = request.map_err(|e| cannot_make(&RoleName::Snapshot, e))?;
            SnapshotSource::Made {
                request,
                instead_of: None,
            }
        }
    };
    let timestamp = TimestampDraft::new(current.timestamp.as_ref(), &root, now)
        .map_err(|e| cannot_make(&RoleName::Timestamp, e))?;
    Ok(CheckedUpdate {
        documents,
        snapshot,
        timestamp,
    })
}

/// The stored root was accepted once, so neither its own expiry nor that of its certificates matters any more.
fn load_stored_root(gun: &Gun, stored: &Document) -> Result<TrustedRoot, Rejection> {
    Envelope::parse(&stored.bytes)
        .and_then(|document| TrustedRoot::load(gun, &document, None, Dates::Ignored))
        .map_err(|e| Rejection::stored(&RoleName::Root, &e))
}

/// `current` is the version of the stored root, or 1 for a new repository: both 1 and 2 may be a first root.
fn load_new_root(
    gun: &Gun,
    part: &Part,
    stored: Option<&TrustedRoot>,
    current: Version,
    now: DateTime<Utc>,
) -> Result<(TrustedRoot, Document), Rejection> {
    let role = RoleName::Root;
    let new = part.document.version_number();
    let current = i64::from(current.get());
    if new != current && new != current + 1 {
        return Err(Rejection::BadRoot(format!(
            "Root modifications must increment the version. Current {current}, new {new}"
        )));
    }
    let load = || {
        let root = TrustedRoot::load(gun, &part.document, stored, Dates::CheckedAt(now))?;
        let version = part.document.version(&role)?;
        part.document.check_expiry(&role, now)?;
        Ok((root, Document::new(role.clone(), version, part.bytes.clone())))
    };
    load().map_err(|e| Rejection::uploaded(&role, &e))
}

/// Loads the stored documents above a delegation that the update does not bring. Those that are not stored are
/// passed over: what is missing then shows in the delegation itself.
fn load_ancestors(
    hierarchy: &mut Hierarchy<'_>,
    role: &RoleName,
    current: &Current,
) -> Result<(), Rejection> {
    for ancestor in role.ancestors() {
        if hierarchy.loaded().any(|(loaded, _)| *loaded == ancestor) {
            continue;
        }
        if let Some(stored) = current.targets.get(&ancestor) {
            hierarchy
                .load_stored(&ancestor, &stored.bytes)
                .map_err(|e| unusable_ancestor(&ancestor, &e))?;
        }
    }
    Ok(())
}

/// A stored document that is no longer trusted is the publisher's to replace: keys were rotated without it. One that
/// cannot be read is a fault of the server.
fn unusable_ancestor(role: &RoleName, error: &MetadataError) -> Rejection {
    match error {
        MetadataError::Threshold(_)
        | MetadataError::KeyId
        | MetadataError::NoTargets
        | MetadataError::NoDelegation(_)
        | MetadataError::WeakCertificate(_) => Rejection::Validation(format!(
            "the stored {role} is no longer trusted, publish it again: {error}"
        )),
        _ => Rejection::stored(role, error),
    }
}

fn load_new_targets(
    hierarchy: &mut Hierarchy<'_>,
    role: RoleName,
    part: Part,
    now: DateTime<Utc>,
) -> Result<Document, Rejection> {
    let loaded = hierarchy.load_uploaded(&role, &part.document, &part.bytes, now);
    let version = loaded.map_err(|e| Rejection::uploaded(&role, &e))?;
    Ok(Document::new(role, version, part.bytes))
}

/// The uploaded snapshot must be signed and must name every document loaded in this update by its hash.
fn check_snapshot(
    root: &TrustedRoot,
    part: Part,
    loaded: &[(&RoleName, &[u8])],
    now: DateTime<Utc>,
) -> Result<Document, Rejection> {
    let check = |bytes: Bytes| {
        let (body, version) = load_snapshot(root, &part.document, now)?;
        for (role, bytes) in loaded {
            FileMeta::verify(body.meta(role), role, bytes)?;
        }
        Ok(Document::new(RoleName::Snapshot, version, bytes))
    };
    check(part.bytes).map_err(|e| Rejection::uploaded(&RoleName::Snapshot, &e))
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

fn cannot_make(role: &RoleName, error: DraftError) -> Rejection {
    match error {
        DraftError::Stored(error) => Rejection::stored(role, &error),
        DraftError::NoTargets => Rejection::Validation(MetadataError::NoTargets.to_string()),
        DraftError::LastVersion => Rejection::last_version(role),
    }
}
