//! Checks that the versions of an update are new.
//!
//! The versions of root, targets and snapshot must be higher than the highest stored one. The version of a delegation
//! must be higher than that of its current document if the current keys verify that document. Otherwise its signer was
//! replaced, and the new signer's client starts again at version 1. In either case, documents published before cannot
//! be published again. `docs/decisions/0002-replaced-signers.md` has the reasons.

use std::collections::{BTreeMap, BTreeSet};

use tuf::{CheckedUpdate, Current, Gun, Rejection, RoleName, Version};

use super::PublishError;
use crate::{
    state::ServiceError,
    store::{Store, StoreError},
};

/// Checks every uploaded version. Returns the delegations whose stored documents of the same or a higher version must
/// be set aside.
pub(super) fn judge(
    store: &Store,
    gun: &Gun,
    versions: &[(RoleName, i64)],
    highest: &BTreeMap<RoleName, Version>,
    current: &Current,
    checked: &CheckedUpdate,
) -> Result<BTreeSet<RoleName>, PublishError> {
    let mut replaced = BTreeSet::new();
    for (role, version) in versions {
        let last = highest.get(role).filter(|last| i64::from(last.get()) >= *version);
        let is_trusted = || {
            let current = current.targets.get(role);
            current.is_some_and(|current| checked.trusts(role, &current.bytes))
        };
        // The snapshot names a document older than the newest: it was uploaded before such snapshots were refused.
        let is_behind = || {
            let current = current.targets.get(role);
            current.is_some_and(|current| i64::from(current.version.get()) < *version)
        };
        match (role, last) {
            (RoleName::Delegation(_), last) => {
                let goes_on = last.map(|_| is_trusted());
                match (delegation(store, gun, role, *version, goes_on, checked), last) {
                    (Err(PublishError::Conflict), Some(last)) if is_behind() => {
                        return Err(behind(role, *version, *last).into());
                    }
                    (judged, _) => judged?,
                }
                if last.is_some() {
                    replaced.insert(role.clone());
                }
            }
            (RoleName::Targets, Some(last)) if !is_trusted() => {
                return Err(continued(*version, *last).into());
            }
            (RoleName::Targets, Some(last)) if is_behind() => {
                return Err(behind(role, *version, *last).into());
            }
            (_, Some(_)) => return Err(PublishError::Conflict),
            (_, None) => {}
        }
    }
    Ok(replaced)
}

/// Checks the version of a delegation. Stored documents with this or a higher version must be set aside. `goes_on` is
/// `None` if there was no such document when the state was read; otherwise it says whether the current keys verify the
/// current document.
fn delegation(
    store: &Store,
    gun: &Gun,
    role: &RoleName,
    version: i64,
    goes_on: Option<bool>,
    checked: &CheckedUpdate,
) -> Result<(), PublishError> {
    let any = |set_aside, wanted: &dyn Fn(&[u8]) -> bool| {
        let found = store.any_document(gun, role, version, set_aside, wanted);
        found.map_err(|cause: StoreError| PublishError::from(ServiceError::from(cause)))
    };
    if goes_on == Some(true) && any(false, &|stored| checked.trusts(role, stored))? {
        return Err(PublishError::Conflict);
    }
    // The same document was published meanwhile.
    if goes_on.is_none() && any(false, &|stored| checked.repeats(role, stored))? {
        return Err(PublishError::Conflict);
    }
    if any(true, &|stored| checked.repeats(role, stored))? {
        return Err(repeated(role, version).into());
    }
    Ok(())
}

/// The refusal of a document that was published before. Uploading it again needs no key, and would take clients back
/// to it.
fn repeated(role: &RoleName, version: i64) -> Rejection {
    Rejection::BadTargets(format!(
        "this {role} version {version} was published before, and replaced since; sign and publish a new version"
    ))
}

/// The refusal of a version that is too low. Running the same command again would not help.
fn behind(role: &RoleName, version: i64, last: Version) -> Rejection {
    Rejection::BadTargets(format!(
        "{role} version {version} is not newer than version {last}, which is stored although the snapshot names an older \
         one; publish a version above {last}"
    ))
}

/// The refusal of targets that start again at a low version. Unlike with delegations, clients load the targets on
/// which they base a new version, and they do not accept an older version.
fn continued(version: i64, last: Version) -> Rejection {
    Rejection::BadTargets(format!(
        "targets version {version} is not newer than version {last}: the current keys did not sign that version, but readers have \
         seen it and refuse to go back; publish a version above {last}"
    ))
}
