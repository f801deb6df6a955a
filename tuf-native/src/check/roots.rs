//! The step from one root to the next.

use tuf::Version;

use crate::metadata::Metadata;
use crate::refusal::Refusal;
use crate::role::Role;
use crate::trusted::{Limits, OnlineKeys};

/// Follows uploaded roots, sorted by version, from the stored one. The last of them.
pub(super) fn follow(
    stored: Option<&Metadata>,
    uploaded: &[Metadata],
    online: &OnlineKeys,
    limits: &Limits,
) -> Result<Metadata, Refusal> {
    if uploaded.len() > limits.max_roots {
        return Err(Refusal::TooManyRoots {
            count: uploaded.len(),
            limit: limits.max_roots,
        });
    }
    let mut current = stored;
    for root in uploaded {
        step(current, root)?;
        // The keys of a root that is soon replaced decide too: they sign the next one.
        for role in [Role::Root, Role::Targets] {
            if let Some(signers) = root.root_signers(&role) {
                online.check_absent(root, &role, signers)?;
            }
        }
        current = Some(root);
    }
    let root = current.ok_or(Refusal::NoRoot)?;
    for role in [Role::Root, Role::Targets] {
        if let Some(signers) = root.root_signers(&role) {
            online.check_absent(root, &role, signers)?;
        }
    }
    names_online_keys(root, online)?;
    Ok(root.clone())
}

/// Refuses a root that does not follow another, or, where there is none, is not a first one.
pub(crate) fn step(before: Option<&Metadata>, root: &Metadata) -> Result<(), Refusal> {
    check_next(before, root)?;
    for delegator in before.into_iter().chain([root]) {
        if let Some(signers) = delegator.root_signers(&Role::Root) {
            root.check_signed(signers, delegator)?;
        }
    }
    Ok(())
}

/// Refuses a root whose version is not the next one.
pub(crate) fn check_next(before: Option<&Metadata>, root: &Metadata) -> Result<(), Refusal> {
    let next = before.map_or(Some(Version::FIRST), |before| before.version().next());
    if next == Some(root.version()) {
        return Ok(());
    }
    Err(Refusal::RootVersion {
        stored: before.map_or(0, |before| before.version().get()),
        uploaded: root.version(),
    })
}

/// Refuses a root that does not name the server's keys for snapshot and timestamp, each alone and with threshold 1.
pub(crate) fn names_online_keys(root: &Metadata, online: &OnlineKeys) -> Result<(), Refusal> {
    for (role, key) in [
        (Role::Snapshot, &online.snapshot),
        (Role::Timestamp, &online.timestamp),
    ] {
        let named = root.root_signers(&role).is_some_and(|signers| {
            signers.threshold() == 1 && matches!(signers.keys(), [one] if one.id() == key.id())
        });
        if !named {
            return Err(Refusal::OnlineKey {
                version: root.version(),
                role,
                key: key.id().clone(),
            });
        }
    }
    Ok(())
}
