//! Keys that were made on request and that no root names yet. They are counted per requester, and deleted after some
//! time.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::{
    prelude::*,
    sql_types::{Nullable, Timestamp},
};
use openssl::sha::sha256;
use platform::database::{DbConnection, Statement, exact, first_only, is_conflict};
use tuf::{Document, Gun, KeyId, RoleName};

use super::{
    Store, StoreError,
    commit::GUN_LOCK,
    inventory,
    schema::{pending_keys, server_keys},
};

/// The roles whose keys the signer makes.
const SERVER_SIGNED_ROLES: [RoleName; 2] = [RoleName::Snapshot, RoleName::Timestamp];

/// The signer returns the same key until it has been used for a signature. So up to this many keys for one repository
/// and role are not counted as new; only a client whose publishes are signed but never stored causes more.
const REPEATS: i64 = 8;

/// Whether a requester may have another key made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyQuota {
    /// It may, or the key exists already.
    Free,
    /// This many of its keys wait for a root that names them.
    UsedUp(i64),
}

/// A key that waits for a root that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingKey {
    /// The key.
    pub id: KeyId,
    /// The repository for which it was made.
    pub gun: Gun,
    /// When it was given up; `None` if it was not.
    pub swept_at: Option<DateTime<Utc>>,
}

#[derive(Insertable)]
#[diesel(table_name = pending_keys)]
struct NewRow<'a> {
    key_id: &'a str,
    gun: &'a str,
    role: &'a str,
    requester: &'a str,
    created_at: NaiveDateTime,
}

fn digest(requester: &str) -> String {
    hex::encode(sha256(requester.as_bytes()))
}

/// The keys that a root names for the roles which the server may sign.
fn named(root: &Document) -> impl Iterator<Item = KeyId> {
    // A root that cannot be read is refused elsewhere.
    let listed = |role| tuf::role_keys(&root.bytes, role).unwrap_or_default();
    SERVER_SIGNED_ROLES
        .iter()
        .flat_map(listed)
        .map(|key| key.id().clone())
        .collect::<Vec<_>>()
        .into_iter()
}

/// Keys that wait and that a root names.
#[derive(Default)]
pub(super) struct Named {
    ids: Vec<KeyId>,
    swept: Vec<Option<NaiveDateTime>>,
}

/// Those of a root.
pub(super) fn named_by(connection: &mut DbConnection, root: &Document) -> QueryResult<Named> {
    among(connection, named(root).collect())
}

/// Those among these keys.
pub(super) fn among(connection: &mut DbConnection, ids: Vec<KeyId>) -> QueryResult<Named> {
    if ids.is_empty() {
        return Ok(Named::default());
    }
    let select: Statement<'_, Nullable<Timestamp>> =
        Statement::new("SELECT swept_at FROM pending_keys WHERE key_id IN (");
    let swept = one_of(select, &ids).load(connection)?;
    Ok(Named { ids, swept })
}

impl Named {
    /// Whether one of them is being deleted.
    pub(super) fn any_swept(&self) -> bool {
        self.swept.iter().any(Option::is_some)
    }

    /// Marks them as used. Returns false if one of them is being deleted, or was taken, since it was read.
    pub(super) fn take(&self, connection: &mut DbConnection) -> QueryResult<bool> {
        if self.swept.is_empty() {
            return Ok(true);
        }
        let delete: Statement<'_> =
            Statement::new("DELETE FROM pending_keys WHERE swept_at IS NULL AND key_id IN (");
        Ok(one_of(delete, &self.ids).execute(connection)? == self.swept.len())
    }
}

fn one_of<'a, R>(mut statement: Statement<'a, R>, ids: &'a [KeyId]) -> Statement<'a, R> {
    for (position, id) in ids.iter().enumerate() {
        statement = statement
            .sql(if position == 0 { "" } else { ", " })
            .text(id.as_str());
    }
    statement.sql(")")
}

impl Store {
    /// Checks whether `requester` may have another key made; at most `limit` of its keys may wait.
    ///
    /// # Errors
    /// When the database fails.
    pub fn key_quota(
        &self,
        gun: &Gun,
        role: &RoleName,
        requester: &str,
        limit: i64,
    ) -> Result<KeyQuota, StoreError> {
        self.at_one_moment(|connection| {
            let waiting = pending_keys::table.filter(pending_keys::swept_at.is_null());
            let there: i64 = waiting
                .filter(exact(pending_keys::gun, gun.as_str()))
                .filter(pending_keys::role.eq(role.as_str()))
                .count()
                .get_result(connection)?;
            let theirs: i64 = waiting
                .filter(pending_keys::requester.eq(digest(requester)))
                .count()
                .get_result(connection)?;
            Ok(if (1..REPEATS).contains(&there) || theirs < limit {
                KeyQuota::Free
            } else {
                KeyQuota::UsedUp(theirs)
            })
        })
    }

    /// Records that a key was made for a requester. Returns false if the key is being deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub fn add_pending_key(
        &self,
        id: &KeyId,
        gun: &Gun,
        role: &RoleName,
        requester: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut connection = self.database.writer()?;
        let row = NewRow {
            key_id: id.as_str(),
            gun: gun.as_str(),
            role: role.as_str(),
            requester: &digest(requester),
            created_at: connection.storable(now),
        };
        let before = pending_keys::table
            .find(id.as_str())
            .select(pending_keys::swept_at);
        let swept: Option<Option<NaiveDateTime>> =
            first_only(before).get_result(&mut *connection).optional()?;
        if let Some(swept) = swept {
            return Ok(swept.is_none());
        }
        match diesel::insert_into(pending_keys::table)
            .values(&row)
            .execute(&mut *connection)
        {
            // Another client asked for it at the same moment.
            Err(cause) if is_conflict(&cause) => Ok(true),
            outcome => Ok(outcome.map(|_| true)?),
        }
    }

    /// At most `count` keys that have waited since before `made_before`, or that are being deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub fn overdue_keys(
        &self,
        made_before: DateTime<Utc>,
        count: u32,
    ) -> Result<Vec<PendingKey>, StoreError> {
        let mut connection = self.database.reader()?;
        let made_before = connection.storable(made_before);
        let rows: Vec<(String, String, Option<NaiveDateTime>)> = pending_keys::table
            .filter(
                pending_keys::created_at
                    .lt(made_before)
                    .or(pending_keys::swept_at.is_not_null()),
            )
            .order(pending_keys::created_at.asc())
            .limit(i64::from(count))
            .select((pending_keys::key_id, pending_keys::gun, pending_keys::swept_at))
            .load(&mut *connection)?;
        let keys = rows.into_iter().filter_map(|(id, gun, swept_at)| {
            Some(PendingKey {
                id: KeyId::parse(&id).ok()?,
                gun: Gun::parse_kept(&gun).ok()?,
                swept_at: swept_at.map(|time| time.and_utc()),
            })
        });
        Ok(keys.collect())
    }

    /// Gives a key up, unless a root names it meanwhile. Once this returns true, no publish can name it any more.
    ///
    /// # Errors
    /// When the database fails.
    pub fn give_up_key(&self, key: &PendingKey, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let mut connection = self.database.writer()?;
        let now = connection.storable(now);
        connection.write_transaction_for(GUN_LOCK, key.gun.as_str(), |connection| {
            let row = pending_keys::table.find(key.id.as_str());
            // A Notary server, which does not use this table, may have published it.
            let root = inventory::highest_root(connection, &key.gun)?;
            if root.is_some_and(|root| named(&root).any(|id| id == key.id)) {
                diesel::delete(row).execute(connection)?;
                return Ok::<_, StoreError>(false);
            }
            let given_up = diesel::update(row)
                .set(pending_keys::swept_at.eq(now))
                .execute(connection)?;
            Ok(given_up > 0)
        })
    }

    /// Removes the record of a key that was given up.
    ///
    /// # Errors
    /// When the database fails.
    pub fn forget_key(&self, id: &KeyId) -> Result<(), StoreError> {
        let mut connection = self.database.writer()?;
        diesel::delete(pending_keys::table.find(id.as_str())).execute(&mut *connection)?;
        diesel::delete(server_keys::table.find(id.as_str())).execute(&mut *connection)?;
        Ok(())
    }
}
