//! Whether an update may be stored, given what is stored.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::draft::DraftError;
use super::hierarchy::Hierarchy;
use super::snapshot::check_snapshot;
use super::stages::SnapshotSource;
use super::{CheckedUpdate, Current, TimestampDraft, snapshot_request};
use crate::document::Document;
use crate::gun::Gun;
use crate::metadata::{Envelope, MetadataError};
use crate::rejection::Rejection;
use crate::role::RoleName;
use crate::trusted_root::TrustedRoot;
use crate::upload::{Part, Upload};
use crate::version::Version;

/// Validates an upload against the stored state of the repository at the time `now`.
///
/// The store decides in its transaction whether the versions are newer than every stored one; here only root versions
/// are compared.
///
/// # Errors
///
/// The reason to refuse the update, in words for the publisher, or [`Rejection::StoredState`] when what is stored
/// cannot be used.
pub fn check(
    gun: &Gun,
    upload: &Upload,
    current: &Current,
    now: DateTime<Utc>,
) -> Result<CheckedUpdate, Rejection> {
    let new_root = upload.part(&RoleName::Root);
    let root_is_new = new_root.is_some();
    let Roots {
        root,
        document: root_document,
        previous,
    } = load_root(gun, new_root, current.root.as_ref(), now)?;

    let mut hierarchy = Hierarchy::new(&root);
    let new_roles: BTreeSet<RoleName> = upload.targets().map(|(role, _)| role.clone()).collect();
    for (role, part) in upload.targets() {
        load_ancestors(&mut hierarchy, role, current)?;
        hierarchy
            .load_uploaded(role, part, current.targets.get(role), now)
            .map_err(|e| Rejection::uploaded(role, &e))?;
    }

    if root_is_new && !new_roles.contains(&RoleName::Targets) {
        check_stored_targets(&hierarchy, previous.as_ref(), current)?;
    }

    let loaded: Vec<&Document> = std::iter::once(&root_document)
        .chain(hierarchy.loaded())
        .collect();
    let snapshot = match upload.part(&RoleName::Snapshot) {
        Some(part) => {
            let checked = check_snapshot(&hierarchy, &root, part, &loaded, current, now);
            SnapshotSource::Uploaded(checked.map_err(|e| Rejection::uploaded(&RoleName::Snapshot, &e))?)
        }
        None => {
            let request = snapshot_request(current.snapshot.as_ref(), &loaded, &root, now);
            let request = request.map_err(|e| not_carried_on(gun, current, e))?;
            SnapshotSource::Made {
                request,
                instead_of: None,
            }
        }
    };
    let timestamp = TimestampDraft::new(current.timestamp.as_ref(), &root, now)
        .map_err(|e| cannot_make(&RoleName::Timestamp, e))?;

    let is_new = |document: &&Document| match document.role {
        RoleName::Root => root_is_new,
        _ => new_roles.contains(&document.role),
    };
    let documents = loaded.into_iter().filter(is_new).cloned().collect();
    let keys = new_roles.iter().filter_map(|role| {
        let keys = hierarchy.keys(role).ok()?;
        Some((role.clone(), keys.clone()))
    });
    let keys = keys.collect();
    Ok(CheckedUpdate {
        documents,
        snapshot,
        timestamp,
        signers: hierarchy.into_signers(),
        keys,
    })
}

/// The root from which an update is trusted.
struct Roots {
    root: TrustedRoot,
    document: Document,
    /// The stored root, if `root` is to follow it.
    previous: Option<TrustedRoot>,
}

/// A root that the stored targets do not satisfy would make the repository unreadable until somebody publishes others.
/// Where they do not satisfy the stored root either, nothing gets worse.
fn check_stored_targets(
    hierarchy: &Hierarchy<'_>,
    previous: Option<&TrustedRoot>,
    current: &Current,
) -> Result<(), Rejection> {
    let targets = RoleName::Targets;
    let Some(stored) = current
        .targets
        .get(&targets)
        .filter(|_| !hierarchy.is_loaded(&targets))
    else {
        return Ok(());
    };
    let Err(reason) = hierarchy.verify_stored(stored) else {
        return Ok(());
    };
    let stood = previous.is_some_and(|previous| Hierarchy::new(previous).verify_stored(stored).is_ok());
    if !stood {
        return Ok(());
    }
    Err(Rejection::BadRoot(format!(
        "the stored targets are not signed as this root demands, so no client could read them ({reason}); publish targets \
         that are, together with it"
    )))
}

/// The uploaded root, or else the stored one.
fn load_root(
    gun: &Gun,
    new: Option<&Part>,
    stored: Option<&Document>,
    now: DateTime<Utc>,
) -> Result<Roots, Rejection> {
    let trusted = |stored: &Document| {
        Envelope::parse(&stored.bytes)
            .and_then(|document| TrustedRoot::of_stored(gun, &document))
            .map_err(|e| Rejection::stored(&RoleName::Root, &e))
    };
    let Some(part) = new else {
        let Some(stored) = stored else {
            let msg = "no pre-existing root and no root provided in update.";
            return Err(Rejection::Validation(msg.to_owned()));
        };
        return Ok(Roots {
            root: trusted(stored)?,
            document: stored.clone(),
            previous: None,
        });
    };
    let previous = stored.map(trusted).transpose()?;

    // For a new repository both 1 and 2 may be the first version.
    let current = i64::from(stored.map_or(Version::FIRST, |stored| stored.version).get());
    let new = part.document.version_number();
    if new != current && new != current + 1 {
        return Err(Rejection::BadRoot(format!(
            "Root modifications must increment the version. Current {current}, new {new}"
        )));
    }
    let validate = || {
        let role = RoleName::Root;
        let root = TrustedRoot::validate(gun, &part.document, previous.as_ref(), now)?;
        let version = part.document.version(&role)?;
        part.document.check_expiry(&role, now)?;
        Ok((root, part.to_document(&role, version)))
    };
    let (root, document) = validate().map_err(|e| Rejection::uploaded(&RoleName::Root, &e))?;
    Ok(Roots {
        root,
        document,
        previous,
    })
}

/// Loads the stored documents above a delegation that are not part of the update. A document that is not stored is
/// skipped; the verification of the delegation then fails with the reason.
fn load_ancestors(
    hierarchy: &mut Hierarchy<'_>,
    role: &RoleName,
    current: &Current,
) -> Result<(), Rejection> {
    for ancestor in role.ancestors() {
        if hierarchy.is_loaded(&ancestor) {
            continue;
        }
        if let Some(stored) = current.targets.get(&ancestor) {
            hierarchy
                .load_stored(stored)
                .map_err(|e| unusable_ancestor(stored, &e))?;
        }
    }
    Ok(())
}

/// A stored document that is no longer trusted has to be replaced by the publisher, who rotated keys without it. One
/// that cannot be read is a fault of the server.
fn unusable_ancestor(stored: &Document, error: &MetadataError) -> Rejection {
    let role = &stored.role;
    match error {
        MetadataError::Threshold(_)
        | MetadataError::KeyId
        | MetadataError::NoTargets
        | MetadataError::NoDelegation(_)
        | MetadataError::WeakCertificate(_) => Rejection::Validation(format!(
            "the stored {role} is no longer trusted, publish it again: {error}"
        )),
        // It was stored before such texts were refused. The server does not build on it.
        error if error.is_about_the_text() && is_json(&stored.bytes) => Rejection::Validation(format!(
            "the stored {role} can be read in more than one way, publish it again: {error}"
        )),
        _ => Rejection::stored(role, error),
    }
}

/// Whether some reader accepts it as JSON, as opposed to a damaged row.
fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

/// The server does not build on a snapshot that was stored before ambiguous texts were refused; its publisher can make
/// another.
fn not_carried_on(gun: &Gun, current: &Current, error: DraftError) -> Rejection {
    let is_text = current
        .snapshot
        .as_ref()
        .is_some_and(|stored| is_json(&stored.bytes));
    match error {
        DraftError::Stored(reason) if is_text && reason.is_about_the_text() => {
            Rejection::Validation(format!(
                "the stored snapshot can be read in more than one way, so the server makes no next one: {reason}; take its \
             key (\"notary key rotate {gun} snapshot\"), and publish targets and every delegation with it"
            ))
        }
        error => cannot_make(&RoleName::Snapshot, error),
    }
}

fn cannot_make(role: &RoleName, error: DraftError) -> Rejection {
    match error {
        DraftError::Stored(error) => Rejection::stored(role, &error),
        DraftError::NoTargets => Rejection::Validation(MetadataError::NoTargets.to_string()),
        DraftError::LastVersion => Rejection::last_version(role),
    }
}
