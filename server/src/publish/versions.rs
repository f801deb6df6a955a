//! Whether the versions of an update are new.
//!
//! Root, targets and snapshot go on from the highest stored version. A delegation goes on from its current document, if
//! the keys in force verify it; else its signer was replaced, and the successor's client begins anew. What was
//! published before does not come back either way. `docs/decisions/0002-replaced-signers.md` has the reasons.

use std::collections::{BTreeMap, BTreeSet};

use tuf::{CheckedUpdate, Current, Gun, Rejection, RoleName, Version};

use super::PublishError;
use crate::{
    state::ServiceError,
    store::{Store, StoreError},
};

/// Judges every uploaded version. Returns the delegations whose stored documents of the same or a higher version make
/// room.
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
        // The snapshot names an older document than the newest: it was uploaded before that was refused.
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

/// Judges the version of a delegation: whatever is stored of it with this version or a higher one has to make room.
/// `goes_on` is nothing if there was no such document a moment ago, or else whether the keys in force verify the current
/// one.
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
    // Somebody published the very same at this moment.
    if goes_on.is_none() && any(false, &|stored| checked.repeats(role, stored))? {
        return Err(PublishError::Conflict);
    }
    if any(true, &|stored| checked.repeats(role, stored))? {
        return Err(repeated(role, version).into());
    }
    Ok(())
}

/// Somebody took a document that was published before, which needs no key, to take readers back to it.
fn repeated(role: &RoleName, version: i64) -> Rejection {
    Rejection::BadTargets(format!(
        "this {role} version {version} was published before, and replaced since; sign and publish anew"
    ))
}

/// Running the same command again would not help.
fn behind(role: &RoleName, version: i64, last: Version) -> Rejection {
    Rejection::BadTargets(format!(
        "{role} version {version} is not newer than version {last}, which is stored although the snapshot names an older \
         one; publish a version above {last}"
    ))
}

/// Unlike those of delegations, clients load the targets that they begin from, and readers do not go back.
fn continued(version: i64, last: Version) -> Rejection {
    Rejection::BadTargets(format!(
        "targets version {version} is not newer than version {last}: the keys in force did not sign that, but readers have \
         seen it and refuse to go back; publish a version above {last}"
    ))
}
