//! Which digests were signed, and which of them are no longer: for rules that let those run for a while.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use tuf::{Checksum, VerifiedRole};

use super::{Declared, Former, Signature, still_signed};
use crate::seen::{FORMER, SignedOnce};

type Key = (String, String, String);

/// Carries the history on with what is signed now.
pub(super) fn continued(
    before: &[SignedOnce],
    roles: &[VerifiedRole],
    now: DateTime<Utc>,
) -> Vec<SignedOnce> {
    let mut current: BTreeMap<Key, SignedOnce> = BTreeMap::new();
    let mut tags: BTreeSet<(&str, &str)> = BTreeSet::new();
    for role in roles {
        let signers: BTreeSet<String> = Signature::all(&role.document.signers)
            .into_iter()
            .map(|key| key.identity)
            .collect();
        for target in &role.targets {
            tags.insert((role.role.as_str(), &target.name));
            let Some(digest) = target.sha256 else { continue };
            let entry = SignedOnce {
                role: role.role.to_string(),
                tag: target.name.clone(),
                digest: digest.as_hex(),
                last_seen: now,
                signers: signers.clone(),
                revoked: false,
            };
            current.insert(key(&entry), entry);
        }
    }
    let mut former: Vec<SignedOnce> = Vec::new();
    for entry in before {
        match current.get_mut(&key(entry)) {
            // A clock that was set back makes nothing younger.
            Some(current) => current.last_seen = current.last_seen.max(entry.last_seen),
            None => former.push(SignedOnce {
                revoked: entry.revoked || !tags.contains(&(entry.role.as_str(), entry.tag.as_str())),
                ..entry.clone()
            }),
        }
    }
    former.sort_by_key(|entry| std::cmp::Reverse(entry.last_seen));
    former.truncate(FORMER);
    current.into_values().chain(former).collect()
}

/// What is no longer signed, with those of its signers who may still sign.
pub(super) fn former(history: &[SignedOnce], roles: &[VerifiedRole]) -> Vec<Former> {
    let declared: BTreeMap<&str, (Declared, i64)> = roles
        .iter()
        .map(|role| {
            let (keys, threshold) = (&role.document.declared, role.document.threshold);
            (role.role.as_str(), (Declared::of(keys, threshold), threshold))
        })
        .collect();
    let named: BTreeSet<(&str, &str, Checksum)> = roles
        .iter()
        .flat_map(|role| {
            role.targets
                .iter()
                .filter_map(|target| Some((role.role.as_str(), target.name.as_str(), target.sha256?)))
        })
        .collect();
    let read = |entry: &SignedOnce| {
        let digest = Checksum::parse(&entry.digest).ok()?;
        if named.contains(&(entry.role.as_str(), entry.tag.as_str(), digest)) {
            return None;
        }
        let declared = declared.get(entry.role.as_str());
        let counts = declared.filter(|(now, threshold)| still_signed(&entry.signers, &now.keys, *threshold));
        let signers = counts.map_or_else(Vec::new, |(now, _)| {
            now.keys
                .iter()
                .filter(|key| entry.signers.contains(&key.identity))
                .cloned()
                .collect()
        });
        Some(Former {
            role: entry.role.clone(),
            tag: entry.tag.clone(),
            digest,
            last_seen: entry.last_seen,
            revoked: entry.revoked,
            signers,
            declared: declared.map_or_else(Declared::nobody, |(now, _)| now.clone()),
        })
    };
    history.iter().filter_map(read).collect()
}

fn key(entry: &SignedOnce) -> Key {
    (entry.role.clone(), entry.tag.clone(), entry.digest.clone())
}
