//! What a publish may be.

mod roots;
mod tree;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tuf::Version;

use crate::metadata::Metadata;
use crate::online::{self, Unsigned};
use crate::refusal::Refusal;
use crate::role::Role;
use crate::trusted::{Limits, OnlineKeys, Trusted};

pub(crate) use roots::{check_next, names_online_keys};

/// A publish that was judged good.
#[derive(Debug, Clone)]
pub struct Checked {
    new: Vec<Metadata>,
    dropped: Vec<Role>,
    root: Metadata,
    current: Vec<Metadata>,
    previous: Option<Metadata>,
}

/// Judges files of root, targets and delegated roles against what is stored.
///
/// - Roots follow each other one by one, each signed by enough keys of the one before and of its own; the first is
///   version 1. The last names exactly the server's keys for snapshot and timestamp.
/// - Every other file has a version above the stored one, by at most [`Limits::max_version_jump`], and is signed by
///   enough of the keys that its delegator names as it will be after the publish. So are the files that stay.
/// - Every delegated role has a file: without one tough passes over its siblings too, and python-tuf and tuf-js fail for
///   the targets it covers. One role delegates to it, at most 32 are delegated to, and it lists only targets that were
///   delegated to it. Clients agree about every path pattern and every target.
/// - No key of the server may sign root, targets or a delegated role.
/// - Nothing that is uploaded, and not the root, has expired.
///
/// A delegated role that is no longer delegated to is told by [`Checked::dropped`]. The snapshot goes on naming it,
/// because clients refuse a snapshot that names less than the one before.
///
/// # Errors
/// The first rule that does not hold.
pub fn check(
    trusted: &Trusted,
    uploaded: Vec<Metadata>,
    online: &OnlineKeys,
    limits: &Limits,
    now: DateTime<Utc>,
) -> Result<Checked, Refusal> {
    if uploaded.is_empty() {
        return Err(Refusal::Nothing);
    }
    let mut roots = Vec::new();
    let mut files = BTreeMap::new();
    for file in uploaded {
        match file.role() {
            Role::Root => roots.push(file),
            Role::Targets | Role::Delegated(_) => {
                let role = file.role().clone();
                if files.insert(role.clone(), file).is_some() {
                    return Err(Refusal::UploadedTwice { role });
                }
            }
            role @ (Role::Snapshot | Role::Timestamp) => {
                return Err(Refusal::MadeByServer { role: role.clone() });
            }
        }
    }
    roots.sort_by_key(Metadata::version);
    let root = roots::follow(trusted.root.as_ref(), &roots, online, limits)?;
    unexpired(&root, now)?;
    for file in files.values() {
        unexpired(file, now)?;
        check_version(trusted, file, limits)?;
    }
    let mut new = roots;
    new.extend(files.values().cloned());
    let current = tree::walk(&root, trusted, files, online, limits)?;
    let dropped = tree::reachable(trusted)
        .into_iter()
        .filter(|role| !current.iter().any(|file| file.role() == role))
        .collect();
    Ok(Checked {
        new,
        dropped,
        root,
        current,
        previous: trusted.snapshot.clone(),
    })
}

impl Checked {
    /// What is new: roots by version, then targets, then delegated roles.
    #[expect(clippy::new_ret_no_self, reason = "it is what is new")]
    pub fn new(&self) -> &[Metadata] {
        &self.new
    }

    /// Delegated roles that no role delegates to any more. Clients no longer visit them; the snapshot goes on naming
    /// them.
    pub fn dropped(&self) -> &[Role] {
        &self.dropped
    }

    /// The newest root after the publish.
    pub fn root(&self) -> &Metadata {
        &self.root
    }

    /// Targets and every delegated role that is delegated to, as they are after the publish, in the order in which
    /// clients visit them.
    pub fn current_targets(&self) -> &[Metadata] {
        &self.current
    }

    /// A snapshot over everything that is current, one version above the stored one.
    ///
    /// # Errors
    /// When there is no version above the stored one, or the snapshot would be longer than clients read.
    pub fn snapshot(&self, expires: DateTime<Utc>) -> Result<Unsigned, Refusal> {
        online::snapshot(&self.root, self.previous.as_ref(), &self.current, expires)
    }
}

fn unexpired(file: &Metadata, now: DateTime<Utc>) -> Result<(), Refusal> {
    if file.expires() > now {
        return Ok(());
    }
    Err(Refusal::Expired {
        role: file.role().clone(),
        at: file.expires(),
    })
}

/// Refuses versions that are not above what clients have seen, or too far above it.
pub(crate) fn check_version(trusted: &Trusted, file: &Metadata, limits: &Limits) -> Result<(), Refusal> {
    let (role, uploaded) = (file.role().clone(), file.version());
    let seen = trusted.seen(&role);
    match seen {
        Some(stored) if uploaded <= stored => {
            return Err(Refusal::Rollback {
                role,
                stored,
                uploaded,
            });
        }
        _ => {}
    }
    let stored = seen.map_or(0, Version::get);
    if i64::from(uploaded.get()) - i64::from(stored) > i64::from(limits.max_version_jump) {
        return Err(Refusal::FastForward {
            role,
            stored,
            uploaded,
            jump: limits.max_version_jump,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
