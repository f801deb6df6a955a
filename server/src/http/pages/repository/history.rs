//! What tags meant before, from the stored versions of the documents that name them.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use tuf::{Gun, RoleName};

use crate::store::{ChangeQuery, RecordedActor, Store, StoreError};

/// How many versions of a role are looked at, of how many roles, and how many bytes of them all.
const VERSIONS: usize = 100;
const ROLES: usize = 50;
const BYTES: usize = 32 * 1024 * 1024;
/// How many changes are looked at to find who published a version.
const CHANGES: u32 = 500;

/// A version of a role's document: when it was stored, and the digests of its tags.
struct Version {
    stored_at: Option<DateTime<Utc>>,
    tags: HashMap<String, String>,
}

/// The stored versions of some roles, the newest first.
pub struct History(BTreeMap<RoleName, Vec<Version>>);

/// What a tag meant for some time.
pub struct Meant {
    pub role: RoleName,
    /// `None` while it was taken back.
    pub digest: Option<String>,
    /// Since when; `None` if that is not known.
    pub from: Option<DateTime<Utc>>,
    /// Until when; `None` while it lasts.
    pub to: Option<DateTime<Utc>>,
}

impl History {
    /// Reads the versions of these roles.
    ///
    /// # Errors
    /// When the database fails.
    pub fn read(store: &Store, gun: &Gun, roles: &[RoleName]) -> Result<Self, StoreError> {
        let mut history = BTreeMap::new();
        let mut budget = BYTES;
        for role in roles.iter().take(ROLES) {
            let versions = store
                .versions(gun, role, VERSIONS, &mut budget)?
                .into_iter()
                .map(|stored| {
                    let targets = tuf::signed_targets(role, &stored.document.bytes).unwrap_or_default();
                    let tags = targets.into_iter().map(|target| {
                        let digest = target
                            .sha256
                            .map_or_else(String::new, |hash| format!("sha256:{hash}"));
                        (target.name, digest)
                    });
                    Version {
                        stored_at: stored.stored_at,
                        tags: tags.collect(),
                    }
                });
            history.insert(role.clone(), versions.collect());
        }
        Ok(Self(history))
    }

    /// What a tag meant in a role, the newest meaning first. Before its first meaning there is nothing.
    pub fn of(&self, role: &RoleName, tag: &str) -> Vec<Meant> {
        let mut meant: Vec<Meant> = Vec::new();
        let mut ended = None;
        for version in self.0.get(role).into_iter().flatten() {
            let digest = version.tags.get(tag).cloned();
            match meant.last_mut() {
                Some(last) if last.digest == digest => last.from = version.stored_at,
                _ => meant.push(Meant {
                    role: role.clone(),
                    digest,
                    from: version.stored_at,
                    to: ended,
                }),
            }
            ended = version.stored_at;
        }
        if meant.last().is_some_and(|first| first.digest.is_none()) {
            meant.pop();
        }
        meant
    }
}

/// Who made changes, by when they were made. A document and the change that brought it are stored at the same moment.
pub struct Publishers(HashMap<DateTime<Utc>, RecordedActor>);

impl Publishers {
    /// Nobody, for readers who may not know.
    pub fn unknown() -> Self {
        Self(HashMap::new())
    }

    /// Reads them.
    ///
    /// # Errors
    /// When the database fails.
    pub fn read(store: &Store, gun: &Gun) -> Result<Self, StoreError> {
        let changes = store.changes(Some(gun), ChangeQuery::Newest, CHANGES)?;
        let (Some(first), Some(last)) = (changes.first(), changes.last()) else {
            return Ok(Self::unknown());
        };
        let actors = store.actors_of(Some(gun), first.id, last.id)?;
        let times: HashMap<i32, DateTime<Utc>> = changes
            .iter()
            .map(|change| (change.id, change.created_at))
            .collect();
        let by_time = actors
            .into_iter()
            .filter_map(|actor| Some((*times.get(&actor.change_id)?, actor)));
        Ok(Self(by_time.collect()))
    }

    /// Who published what was stored at a moment.
    pub fn at(&self, stored_at: Option<DateTime<Utc>>) -> Option<&RecordedActor> {
        self.0.get(&stored_at?)
    }
}
