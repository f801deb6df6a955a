//! Whether what is stored of TUF 1.0 repositories still verifies, and when it ends. For commands: these block.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use tuf::Gun;
use tuf_native::{Metadata, Role, Trusted};

use super::{named_files, trusted};
use crate::confirmed::native::faults;
use crate::store::{Store, StoreError};

/// How many names are read at a time.
const PAGE: u32 = 500;

/// What is wrong with a repository, or soon will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Clients refuse it, whatever the time is.
    Broken(String),
    /// It has ended, or ends soon, and a person has to act.
    Ends(Ending),
}

/// A file that ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ending {
    /// When.
    pub at: DateTime<Utc>,
    /// The repository.
    pub name: String,
    /// The role.
    pub role: String,
}

impl Ending {
    /// The sentence for people, with the command that helps.
    pub fn sentence(&self, now: DateTime<Utc>) -> String {
        let Self { at, name, role } = self;
        let when = match (*at - now).num_days() {
            days if *at < now => format!("expired {} days ago", -days),
            days => format!("expires in {days} days"),
        };
        format!("TUF repository {name}: {role} {when}; its owner runs: countersign tuf renew {name} {role}")
    }
}

/// Calls `visit` with the name of every repository that was not deleted.
///
/// # Errors
/// When the database fails.
pub fn each(store: &Store, mut visit: impl FnMut(&Gun) -> Result<(), StoreError>) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let page = store.native_repositories(&after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.name);
        for repository in page {
            if let Ok(name) = Gun::parse(&repository.name) {
                visit(&name)?;
            }
        }
    }
}

/// What a person has to renew within this time: roots, targets and delegated roles. The server renews the others.
///
/// # Errors
/// When the database fails.
pub fn ending(store: &Store, before: DateTime<Utc>) -> Result<Vec<Ending>, StoreError> {
    let mut found = Vec::new();
    each(store, |name| {
        // What cannot be read is reported by `check`.
        let current = match store.native_current(name, named_files) {
            Err(StoreError::Damaged { .. }) => None,
            other => other?,
        };
        let files = current.and_then(|(_, files)| trusted(files).ok());
        found.extend(files.iter().flat_map(|files| ends(name, files, before)));
        Ok(())
    })?;
    found.sort();
    Ok(found)
}

fn ends(name: &Gun, files: &Trusted, before: DateTime<Utc>) -> Vec<Ending> {
    let of_people = files.root.iter().chain(&files.targets);
    of_people
        .filter(|file| file.expires() <= before)
        .map(|file| Ending {
            at: file.expires(),
            name: name.to_string(),
            role: file.role().as_str().to_owned(),
        })
        .collect()
}

/// Verifies a repository from its first root to its last delegated role.
///
/// # Errors
/// When the database fails.
pub fn audit(
    store: &Store,
    name: &Gun,
    now: DateTime<Utc>,
    soon: TimeDelta,
) -> Result<Vec<Found>, StoreError> {
    let mut found = Vec::new();
    let mut broken = |what: String| found.push(Found::Broken(format!("TUF repository {name}: {what}")));
    let mut before: Option<Metadata> = None;
    for (version, bytes) in store.native_roots(name)? {
        let root = match Metadata::parse(&Role::Root, Bytes::from(bytes)) {
            Ok(root) => root,
            Err(reason) => {
                broken(format!("root version {version}: {reason}"));
                return Ok(found);
            }
        };
        let follows = before.as_ref().map_or(1, |before| before.version().get() + 1);
        if root.version().get() != follows || version != follows {
            broken(format!(
                "root version {version} stands where version {follows} has to be"
            ));
        }
        let previous = before
            .as_ref()
            .and_then(|before| before.root_signers(&Role::Root));
        for signers in previous.into_iter().chain(root.root_signers(&Role::Root)) {
            if !root.is_signed_by(signers) {
                broken(format!(
                    "root version {version} is not signed by enough of its keys"
                ));
            }
        }
        before = Some(root);
    }
    if before.is_none() {
        broken("it has no root".to_owned());
    }
    let files = match store.native_current(name, named_files) {
        Ok(Some((_, files))) => trusted(files),
        Ok(None) => return Ok(found),
        Err(damaged @ StoreError::Damaged { .. }) => Err(damaged.to_string()),
        Err(other) => return Err(other),
    };
    let files = match files {
        Ok(files) => files,
        Err(reason) => {
            broken(reason);
            return Ok(found);
        }
    };
    faults(&files).into_iter().for_each(broken);
    found.extend(ends(name, &files, now + soon).into_iter().map(Found::Ends));
    Ok(found)
}
