//! What keys have been used for: `last_used` and the versions signed.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use platform::database::{DbConnection, exact, locked};

use super::{
    Store, StoreError,
    schema::{private_keys, signed_versions},
};

/// One use of a key.
#[derive(Debug, Clone)]
pub struct Use {
    /// The key.
    pub key_id: String,
    /// When (UTC).
    pub at: NaiveDateTime,
    /// Whether to store the time in `last_used`, after which the key no longer waits for its first use.
    pub mark: bool,
    /// The role and version signed, unless anything may be signed.
    pub signed: Option<(String, i64)>,
}

/// The outcome of storing a use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UseOutcome {
    /// It is on disk.
    Recorded,
    /// The key does not exist any more; nothing was written.
    KeyGone,
    /// The key has signed this higher version; nothing was written.
    LowerVersion(i64),
}

impl Store {
    /// Stores uses in one transaction; they are on disk when this returns.
    ///
    /// # Errors
    /// When the database fails; then nothing was written.
    pub fn record(&self, uses: &[Use]) -> Result<Vec<UseOutcome>, StoreError> {
        // All signers lock rows in the same order, so that they cannot deadlock.
        let mut order: Vec<(usize, &Use)> = uses.iter().enumerate().collect();
        order.sort_by(|(_, one), (_, other)| one.key_id.cmp(&other.key_id));
        let mut outcomes = self.write(None, |connection| {
            order
                .iter()
                .map(|(place, one)| Ok((*place, record(connection, one)?)))
                .collect::<QueryResult<Vec<_>>>()
        })?;
        outcomes.sort_by_key(|(place, _)| *place);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }
}

fn record(connection: &mut DbConnection, one: &Use) -> QueryResult<UseOutcome> {
    let live = private_keys::table
        .filter(exact(private_keys::key_id, one.key_id.as_str()))
        .filter(private_keys::deleted_at.is_null());
    // The key's row is locked, so that no other transaction deletes the key or raises its versions before this one
    // commits. On MySQL an update locks the row even if it sets the value that is there.
    let gone = if let DbConnection::Mysql(_) = connection {
        diesel::update(live)
            .set(private_keys::role.eq(private_keys::role))
            .execute(connection)?
            == 0
    } else {
        locked(live.select(private_keys::id))
            .get_result::<i32>(connection)
            .optional()?
            .is_none()
    };
    if gone {
        return Ok(UseOutcome::KeyGone);
    }
    if let Some((role, version)) = &one.signed
        && let Some(higher) = raise(connection, one, role, *version)?
    {
        return Ok(UseOutcome::LowerVersion(higher));
    }
    if one.mark {
        let at = connection.storable(one.at.and_utc());
        diesel::update(private_keys::table.filter(exact(private_keys::key_id, one.key_id.as_str())))
            .set((private_keys::last_used.eq(at), private_keys::updated_at.eq(at)))
            .execute(connection)?;
    }
    Ok(UseOutcome::Recorded)
}

/// Raises the version signed, or returns the stored one if it is higher. The condition is part of the update, which
/// sees rows as they are now; a read may see them as they were when the transaction began.
fn raise(connection: &mut DbConnection, one: &Use, role: &str, version: i64) -> QueryResult<Option<i64>> {
    let at = connection.storable(one.at.and_utc());
    let raised = diesel::update(signed_versions::table.find((&one.key_id, role)))
        .filter(signed_versions::version.le(version))
        .set((
            signed_versions::version.eq(version),
            signed_versions::signed_at.eq(at),
        ))
        .execute(connection)?;
    if raised > 0 {
        return Ok(None);
    }
    let stored = signed_versions::table
        .find((&one.key_id, role))
        .select(signed_versions::version);
    let signed: Option<i64> = locked(stored).get_result(connection).optional()?;
    if signed.is_some() {
        return Ok(signed);
    }
    let first = (
        signed_versions::key_id.eq(&one.key_id),
        signed_versions::role.eq(role),
        signed_versions::version.eq(version),
        signed_versions::signed_at.eq(at),
    );
    diesel::insert_into(signed_versions::table)
        .values(first)
        .execute(connection)?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::{super::keys::tests::new_key, *};

    fn signed(version: i64) -> Use {
        Use {
            key_id: "a".to_owned(),
            at: Utc::now().naive_utc(),
            mark: true,
            signed: Some(("timestamp".to_owned(), version)),
        }
    }

    fn store() -> Store {
        let store = Store::in_memory().unwrap();
        store.insert(&new_key("a", "gun")).unwrap();
        store
    }

    #[test]
    fn versions_rise_or_stay_but_never_fall() {
        let store = store();
        let uses = [3, 3, 2, 4, 3].map(signed);
        let expected = [
            UseOutcome::Recorded,
            UseOutcome::Recorded,
            UseOutcome::LowerVersion(3),
            UseOutcome::Recorded,
            UseOutcome::LowerVersion(4),
        ];
        assert_eq!(store.record(&uses).unwrap(), expected);
        assert_eq!(store.record(&[signed(1)]).unwrap(), [UseOutcome::LowerVersion(4)]);
    }

    #[test]
    fn roles_have_versions_of_their_own() {
        let store = store();
        let snapshot = Use {
            signed: Some(("snapshot".to_owned(), 1)),
            ..signed(0)
        };
        assert_eq!(
            store.record(&[signed(9), snapshot]).unwrap(),
            [UseOutcome::Recorded; 2]
        );
    }

    #[test]
    fn a_marked_use_ends_the_waiting() {
        let store = store();
        let unmarked = Use {
            mark: false,
            ..signed(1)
        };
        store.record(&[unmarked]).unwrap();
        assert!(store.waiting("gun", "timestamp", "ecdsa").unwrap().is_some());
        store.record(&[signed(1)]).unwrap();
        assert!(store.waiting("gun", "timestamp", "ecdsa").unwrap().is_none());
        assert!(store.find("a").unwrap().unwrap().last_used.is_some());
    }

    #[test]
    fn a_refused_use_does_not_mark() {
        let store = store();
        store
            .record(&[Use {
                mark: false,
                ..signed(5)
            }])
            .unwrap();
        assert_eq!(store.record(&[signed(4)]).unwrap(), [UseOutcome::LowerVersion(5)]);
        assert!(store.find("a").unwrap().unwrap().last_used.is_none());
    }

    #[test]
    fn deleted_and_unknown_keys_are_reported_as_gone() {
        let store = store();
        store.delete("a").unwrap();
        let unknown = Use {
            key_id: String::new(),
            ..signed(1)
        };
        assert_eq!(
            store.record(&[signed(1), unknown]).unwrap(),
            [UseOutcome::KeyGone; 2]
        );
    }

    #[test]
    fn what_was_recorded_survives_reopening() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("signer.db");
        let store = Store::open_sqlite(&path).unwrap();
        store.insert(&new_key("a", "gun")).unwrap();
        store.record(&[signed(8)]).unwrap();
        drop(store);
        let store = Store::open_sqlite(&path).unwrap();
        assert_eq!(store.record(&[signed(7)]).unwrap(), [UseOutcome::LowerVersion(8)]);
    }
}
