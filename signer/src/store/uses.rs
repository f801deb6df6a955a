//! What keys have been used for: `last_used` and the versions signed.

use chrono::NaiveDateTime;
use diesel::{
    prelude::*,
    result::DatabaseErrorKind,
    sql_types::{BigInt, Integer, Text},
};
use platform::database::{DbConnection, Statement, is_conflict};

use super::{Store, StoreError};

/// The most versions raised by one statement. Each number of rows is a statement that stays prepared.
const ROWS: usize = 32;

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
    /// Stores uses; they are on disk when this returns.
    ///
    /// # Errors
    /// When the database fails; then it is not known which of them were written, and none counts.
    pub fn record(&self, uses: &[Use]) -> Result<Vec<UseOutcome>, StoreError> {
        let mut outcomes = vec![None; uses.len()];
        let mut left: Vec<(usize, &Use)> = uses.iter().enumerate().collect();
        // All signers lock rows in the same order, so that they cannot deadlock.
        left.sort_by(|(_, one), (_, other)| one.key_id.cmp(&other.key_id));
        if is_plain(&left) {
            for group in left.chunks(ROWS) {
                for place in self.raise_all(group)? {
                    if let Some(outcome) = outcomes.get_mut(place) {
                        *outcome = Some(UseOutcome::Recorded);
                    }
                }
            }
            left.retain(|(place, _)| outcomes.get(*place).is_some_and(Option::is_none));
        }
        if !left.is_empty() {
            let decided = self.write(None, |connection| {
                let of_one_key =
                    |(_, one): &(usize, &Use), (_, other): &(usize, &Use)| one.key_id == other.key_id;
                // Everything is read first. On MySQL it is not locked before it is written: what holds locks can be ended
                // by a transaction of another node of a cluster, and the client library does not survive that while it
                // reads an answer.
                let groups = left.chunk_by(of_one_key);
                let plans: Vec<_> = groups
                    .map(|group| plan(connection, group))
                    .collect::<diesel::QueryResult<_>>()?;
                let mut decided = Vec::with_capacity(left.len());
                for plan in plans {
                    decided.extend(plan.apply(connection)?);
                }
                Ok(decided)
            })?;
            for (place, outcome) in decided {
                if let Some(known) = outcomes.get_mut(place) {
                    *known = Some(outcome);
                }
            }
        }
        // Each has one by now.
        Ok(outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or(UseOutcome::KeyGone))
            .collect())
    }

    /// Raises the versions signed of many keys with one statement, which is a transaction of its own. Returns the
    /// places of those that were raised; the others are of keys that are gone, have signed a higher version, or are not
    /// known to be raised.
    fn raise_all(&self, group: &[(usize, &Use)]) -> Result<Vec<usize>, StoreError> {
        let mut connection = self.database.writer()?;
        let raised = match &*connection {
            DbConnection::Mysql(_) => raise_and_count(&mut connection, group),
            _ => raise_and_tell(&mut connection, group),
        };
        match raised {
            // Another signer came first; the transaction that follows waits for it.
            Err(cause) if is_conflict(&cause) => Ok(Vec::new()),
            outcome => Ok(outcome?),
        }
    }
}

/// Where a statement can return the rows that it wrote.
fn raise_and_tell(connection: &mut DbConnection, group: &[(usize, &Use)]) -> QueryResult<Vec<usize>> {
    let mut raise: Statement<'_, (Text, Text)> = Statement::new(
        "INSERT INTO signed_versions (key_id, role, version, signed_at) \
         SELECT used.key_id, used.role, used.version, used.signed_at FROM (",
    );
    let mut separator = "SELECT ";
    for (one, role, version) in raises(group) {
        raise = raise
            .sql(separator)
            .text(&one.key_id)
            .sql(" AS key_id, ")
            .text(role)
            .sql(" AS role, ")
            .big_integer(version)
            .sql(" AS version, ")
            .time(connection.storable(one.at.and_utc()))
            .sql(" AS signed_at");
        separator = " UNION ALL SELECT ";
    }
    let raise = raise.sql(
        ") AS used JOIN private_keys ON private_keys.key_id = used.key_id AND private_keys.deleted_at IS NULL \
         WHERE true ORDER BY used.key_id ON CONFLICT (key_id, role) DO UPDATE SET version = excluded.version, \
         signed_at = excluded.signed_at WHERE signed_versions.version <= excluded.version \
         RETURNING key_id, role",
    );
    let raised: Vec<(String, String)> = raise.load(connection)?;
    let is_raised = |one: &Use| {
        let role = one.signed.as_ref().map(|(role, _)| role);
        raised
            .iter()
            .any(|(key, of)| *key == one.key_id && Some(of) == role)
    };
    let places = group.iter().filter(|(_, one)| is_raised(one));
    Ok(places.map(|(place, _)| *place).collect())
}

/// MySQL does not return rows, but counts two for each that was there and was changed: if it counts two for each use, all
/// were raised. Otherwise none is known to be, and to raise it again is harmless.
fn raise_and_count(connection: &mut DbConnection, group: &[(usize, &Use)]) -> QueryResult<Vec<usize>> {
    // Each key is compared with a value and not with a column of a list, because columns of two character sets are not
    // compared by an index.
    let mut raise: Statement<'_> =
        Statement::new("INSERT INTO signed_versions (key_id, role, version, signed_at) ");
    let mut separator = "SELECT key_id, ";
    for (one, role, version) in raises(group) {
        raise = raise
            .sql(separator)
            .text(role)
            .sql(", ")
            .big_integer(version)
            .sql(", ")
            .time(connection.storable(one.at.and_utc()))
            .sql(" FROM private_keys WHERE ")
            .exact("key_id", &one.key_id)
            .sql(" AND deleted_at IS NULL");
        separator = " UNION ALL SELECT key_id, ";
    }
    // The columns are set from left to right, so the version comes last.
    let raise = raise.sql(
        " ON DUPLICATE KEY UPDATE \
         signed_at = IF(signed_versions.version <= VALUES(version), VALUES(signed_at), signed_versions.signed_at), \
         version = IF(signed_versions.version <= VALUES(version), VALUES(version), signed_versions.version)",
    );
    let all = raise.execute(connection)? == 2 * group.len();
    Ok(group.iter().map(|(place, _)| *place).filter(|_| all).collect())
}

/// The versions that uses raise.
fn raises<'a>(group: &[(usize, &'a Use)]) -> impl Iterator<Item = (&'a Use, &'a str, i64)> {
    let raise = |(_, one): &(usize, &'a Use)| {
        let (role, version) = one.signed.as_ref()?;
        Some((*one, role.as_str(), *version))
    };
    group.iter().filter_map(raise)
}

/// Whether the uses only raise versions, each of another key. `uses` is sorted by key.
fn is_plain(uses: &[(usize, &Use)]) -> bool {
    let raises = |(_, one): &(usize, &Use)| one.signed.is_some() && !one.mark;
    let differ = |pair: &[(usize, &Use)]| match pair {
        [(_, one), (_, other)] => one.key_id != other.key_id,
        _ => true,
    };
    uses.iter().all(raises) && uses.windows(2).all(differ)
}

/// The version that a key has signed for a role.
struct Ledger<'a> {
    role: &'a str,
    stored: Option<i64>,
    raised: Option<(i64, NaiveDateTime)>,
}

impl Ledger<'_> {
    fn highest(&self) -> Option<i64> {
        self.raised.map(|(version, _)| version).or(self.stored)
    }
}

/// What is to be written for the uses of one key.
#[derive(Default)]
struct Plan<'a> {
    key_id: &'a str,
    ledgers: Vec<Ledger<'a>>,
    mark: Option<NaiveDateTime>,
    outcomes: Vec<(usize, UseOutcome)>,
}

/// Decides about the uses of one key, in their order.
fn plan<'a>(connection: &mut DbConnection, uses: &[(usize, &'a Use)]) -> QueryResult<Plan<'a>> {
    let Some((_, first)) = uses.first() else {
        return Ok(Plan::default());
    };
    let id = first.key_id.as_str();
    let mut plan = Plan {
        key_id: id,
        ..Plan::default()
    };
    if !is_there(connection, id)? {
        let gone = uses.iter().map(|(place, _)| (*place, UseOutcome::KeyGone));
        plan.outcomes = gone.collect();
        return Ok(plan);
    }
    for (place, one) in uses {
        let at = connection.storable(one.at.and_utc());
        let mut outcome = UseOutcome::Recorded;
        if let Some((role, version)) = &one.signed {
            let ledger = match plan.ledgers.iter().position(|ledger| ledger.role == role) {
                Some(known) => known,
                None => {
                    let stored = signed_version(connection, id, role)?;
                    let raised = None;
                    plan.ledgers.push(Ledger { role, stored, raised });
                    plan.ledgers.len() - 1
                }
            };
            if let Some(ledger) = plan.ledgers.get_mut(ledger) {
                match ledger.highest() {
                    Some(signed) if signed > *version => outcome = UseOutcome::LowerVersion(signed),
                    _ => ledger.raised = Some((*version, at)),
                }
            }
        }
        if one.mark && outcome == UseOutcome::Recorded {
            plan.mark = Some(at);
        }
        plan.outcomes.push((*place, outcome));
    }
    Ok(plan)
}

impl Plan<'_> {
    /// Writes it. What was read is compared once more where it was not locked; a difference is a conflict.
    fn apply(self, connection: &mut DbConnection) -> QueryResult<Vec<(usize, UseOutcome)>> {
        let raises = self.ledgers.iter().any(|ledger| ledger.raised.is_some());
        if raises || self.mark.is_some() {
            hold(connection, self.key_id)?;
        }
        for ledger in &self.ledgers {
            if let Some((version, at)) = ledger.raised {
                raise(connection, self.key_id, ledger, version, at)?;
            }
        }
        if let Some(at) = self.mark {
            let update: Statement<'_> = Statement::new("UPDATE private_keys SET last_used = ")
                .time(at)
                .sql(", updated_at = ")
                .time(at)
                .sql(" WHERE ")
                .exact("key_id", self.key_id);
            update.execute(connection)?;
        }
        Ok(self.outcomes)
    }
}

/// Whether a key exists. Except on MySQL its row is locked, so that no other transaction deletes it or raises its versions
/// in this way before this one commits.
fn is_there(connection: &mut DbConnection, id: &str) -> QueryResult<bool> {
    let row: Statement<'_, Integer> = Statement::new("SELECT id FROM private_keys WHERE ")
        .exact("key_id", id)
        .sql(" AND deleted_at IS NULL")
        .lock_rows();
    let found: Vec<i32> = row.load(connection)?;
    Ok(!found.is_empty())
}

/// On MySQL, locks the row of a key, which must be there still: an update locks the row even if it sets the value that is
/// there.
fn hold(connection: &mut DbConnection, id: &str) -> QueryResult<()> {
    if !matches!(connection, DbConnection::Mysql(_)) {
        return Ok(());
    }
    let touch: Statement<'_> = Statement::new("UPDATE private_keys SET role = role WHERE ")
        .exact("key_id", id)
        .sql(" AND deleted_at IS NULL");
    came_first(touch.execute(connection)?)
}

/// A statement that finds no row any more is a conflict.
fn came_first(found: usize) -> QueryResult<()> {
    if found > 0 {
        return Ok(());
    }
    let reason = "another signer came first".to_owned();
    Err(diesel::result::Error::DatabaseError(
        DatabaseErrorKind::SerializationFailure,
        Box::new(reason),
    ))
}

/// The version that a key has signed for a role.
fn signed_version(connection: &mut DbConnection, id: &str, role: &str) -> QueryResult<Option<i64>> {
    let stored: Statement<'_, BigInt> = Statement::new("SELECT version FROM signed_versions WHERE ")
        .exact("key_id", id)
        .sql(" AND ")
        .exact("role", role)
        .lock_rows();
    Ok(stored.load(connection)?.pop())
}

fn raise(
    connection: &mut DbConnection,
    id: &str,
    ledger: &Ledger<'_>,
    version: i64,
    at: NaiveDateTime,
) -> QueryResult<()> {
    let write: Statement<'_> = if ledger.stored.is_some() {
        Statement::new("UPDATE signed_versions SET version = ")
            .big_integer(version)
            .sql(", signed_at = ")
            .time(at)
            .sql(" WHERE ")
            .exact("key_id", id)
            .sql(" AND ")
            .exact("role", ledger.role)
            .sql(" AND version <= ")
            .big_integer(version)
    } else {
        Statement::new("INSERT INTO signed_versions (key_id, role, version, signed_at) VALUES (")
            .text(id)
            .sql(", ")
            .text(ledger.role)
            .sql(", ")
            .big_integer(version)
            .sql(", ")
            .time(at)
            .sql(")")
    };
    came_first(write.execute(connection)?)
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
