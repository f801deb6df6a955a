//! What a change did to the targets of its repository.

use std::collections::BTreeMap;

use diesel::prelude::*;
use platform::database::{DbConnection, exact, first_only};
use tuf::{Checksum, Gun, RoleName, SignedTarget, Version};

use super::{
    Change, RecordedActor, Store, StoreError,
    changes::Row,
    current_set::ROLE_LIMIT,
    read::{self, Selector, Stored},
    schema::{change_actors, changefeed},
};

/// A change, who made it, and what was before and after.
#[derive(Debug, Clone)]
pub struct Effect {
    /// Who made the change, if that is recorded.
    pub actor: Option<RecordedActor>,
    /// The change before, unless it was a deletion or there was none.
    pub before: Option<Change>,
    /// What was signed before and after; `None` if it is not stored any more.
    pub contents: Option<[Contents; 2]>,
}

/// What a timestamp leads to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// The checksums of root, targets and delegations as the snapshot names them.
    pub named: BTreeMap<RoleName, Checksum>,
    /// The targets of each role whose document differs between the two.
    pub targets: BTreeMap<RoleName, Vec<SignedTarget>>,
}

impl Store {
    /// What a change did.
    ///
    /// # Errors
    /// When the database fails.
    pub fn effect_of(&self, change: &Change) -> Result<Effect, StoreError> {
        let Ok(gun) = Gun::parse(&change.gun) else {
            return Ok(Effect {
                actor: None,
                before: None,
                contents: None,
            });
        };
        self.at_one_moment(|connection| {
            let actor = change_actors::table
                .filter(change_actors::change_id.eq(change.id))
                .select(RecordedActor::as_select());
            let actor = first_only(actor).get_result(connection).optional()?;
            let before = before(connection, change)?.filter(|before| before.category == UPDATE);
            let old = match &before {
                Some(before) => named(connection, &gun, before.version)?,
                None => Some(BTreeMap::new()),
            };
            let new = match change.category.as_str() {
                UPDATE => named(connection, &gun, change.version)?,
                // What was deleted cannot be read any more.
                _ => None,
            };
            let contents = match (old, new) {
                (Some(old), Some(new)) => {
                    let of_old = targets(connection, &gun, &old, &new)?;
                    let of_new = targets(connection, &gun, &new, &old)?;
                    Some([
                        Contents {
                            targets: of_old,
                            named: old,
                        },
                        Contents {
                            targets: of_new,
                            named: new,
                        },
                    ])
                }
                _ => None,
            };
            Ok(Effect {
                actor,
                before,
                contents,
            })
        })
    }

    /// What was signed at two versions of the timestamp; `None` if that is not stored any more.
    ///
    /// # Errors
    /// When the database fails.
    pub fn contents_at(&self, gun: &Gun, versions: [i32; 2]) -> Result<Option<[Contents; 2]>, StoreError> {
        self.at_one_moment(|connection| {
            let [old, new] = versions;
            let (Some(old), Some(new)) = (named(connection, gun, old)?, named(connection, gun, new)?) else {
                return Ok(None);
            };
            let of_old = targets(connection, gun, &old, &new)?;
            let of_new = targets(connection, gun, &new, &old)?;
            Ok(Some([
                Contents {
                    targets: of_old,
                    named: old,
                },
                Contents {
                    targets: of_new,
                    named: new,
                },
            ]))
        })
    }

    /// The changes with IDs from `first` to `last`, oldest first, at most `count`.
    ///
    /// # Errors
    /// When the database fails.
    pub fn changes_between(&self, first: i32, last: i32, count: u32) -> Result<Vec<Change>, StoreError> {
        let rows: Vec<Row> = changefeed::table
            .filter(changefeed::id.between(first, last))
            .order(changefeed::id.asc())
            .limit(i64::from(count))
            .select(Row::as_select())
            .load(&mut *self.database.reader()?)?;
        Ok(rows.into_iter().map(Change::from).collect())
    }
}

/// The category of a change that is no deletion.
const UPDATE: &str = "update";

fn before(connection: &mut DbConnection, change: &Change) -> QueryResult<Option<Change>> {
    let earlier = changefeed::table
        .filter(exact(changefeed::gun, change.gun.as_str()))
        .filter(changefeed::id.lt(change.id))
        .order(changefeed::id.desc())
        .select(Row::as_select());
    let row: Option<Row> = first_only(earlier).get_result(connection).optional()?;
    Ok(row.map(Change::from))
}

/// What the snapshot of a timestamp names: root, targets, and the delegations that can be reached from it. `None` if a
/// document is not stored any more.
fn named(
    connection: &mut DbConnection,
    gun: &Gun,
    version: i32,
) -> Result<Option<BTreeMap<RoleName, Checksum>>, StoreError> {
    let Ok(version) = Version::new(i64::from(version)) else {
        return Ok(None);
    };
    let timestamp = read::find(connection, gun, &RoleName::Timestamp, &Selector::Version(version))?;
    let Some(snapshot) = read::named_snapshot(connection, gun, timestamp.as_ref())? else {
        return Ok(None);
    };
    let mut found = BTreeMap::new();
    let name = |role: &RoleName, snapshot: &Stored| {
        tuf::named_in_snapshot(&snapshot.document.bytes, role)
            .ok()
            .flatten()
    };
    if let Some(checksum) = name(&RoleName::Root, &snapshot) {
        found.insert(RoleName::Root, checksum);
    }
    let mut roles = vec![RoleName::Targets];
    let mut next = 0;
    while let Some(role) = roles.get(next).cloned() {
        next += 1;
        let Some(checksum) = name(&role, &snapshot) else {
            continue;
        };
        let Some(stored) = read::find(connection, gun, &role, &Selector::Checksum(&checksum))? else {
            return Ok(None);
        };
        for role in tuf::delegated_roles(&role, &stored.document.bytes).unwrap_or_default() {
            if !roles.contains(&role) && roles.len() < ROLE_LIMIT {
                roles.push(role);
            }
        }
        found.insert(role, checksum);
    }
    Ok(Some(found))
}

/// The targets of those roles whose document is another one than in `other`.
fn targets(
    connection: &mut DbConnection,
    gun: &Gun,
    named: &BTreeMap<RoleName, Checksum>,
    other: &BTreeMap<RoleName, Checksum>,
) -> Result<BTreeMap<RoleName, Vec<SignedTarget>>, StoreError> {
    let mut found = BTreeMap::new();
    for (role, checksum) in named {
        if !role.is_targets_type() || other.get(role) == Some(checksum) {
            continue;
        }
        let stored = read::find(connection, gun, role, &Selector::Checksum(checksum))?;
        let targets = stored.and_then(|stored| tuf::signed_targets(role, &stored.document.bytes).ok());
        found.insert(role.clone(), targets.unwrap_or_default());
    }
    Ok(found)
}
