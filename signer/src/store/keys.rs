//! The rows of `private_keys`. A row with `deleted_at` set counts as missing.

use chrono::{NaiveDateTime, Utc};
use diesel::prelude::*;
use platform::database::{DbConnection, exact, first_only, locked};

use super::{Store, StoreError, schema::private_keys};
use crate::seal::{ENCRYPTION, KEY_WRAP};

/// The scope of the named locks under which keys of one GUN, role and algorithm are created one at a time.
const WAITING_LOCK: &str = "waiting key";

/// One key as the database has it: nothing in it has been checked.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = private_keys)]
pub struct KeyRow {
    /// The key ID as stored.
    pub key_id: String,
    /// The key type's name.
    pub algorithm: String,
    /// The alias of the passphrase it is sealed with.
    pub passphrase_alias: String,
    /// The public key in the encoding of its type.
    pub public: Vec<u8>,
    /// The sealed private key.
    pub private: Vec<u8>,
    /// The GUN it was made for.
    pub gun: String,
    /// The role it was made for.
    pub role: String,
    /// When it last signed (UTC, not exact); `None` if it never did.
    pub last_used: Option<NaiveDateTime>,
}

/// A key to be stored.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The key ID.
    pub key_id: String,
    /// The key type's name.
    pub algorithm: &'static str,
    /// The alias of the passphrase it is sealed with.
    pub passphrase_alias: String,
    /// The public key in the encoding of its type.
    pub public: Vec<u8>,
    /// The sealed private key.
    pub private: String,
    /// The GUN it is made for.
    pub gun: String,
    /// The role it is made for.
    pub role: String,
}

/// The outcome of storing a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It was stored.
    New,
    /// Another key of the same GUN, role and algorithm is waiting for its first use; use that one.
    Waiting(Box<KeyRow>),
}

#[derive(Insertable)]
#[diesel(table_name = private_keys)]
struct InsertKey<'a> {
    created_at: Option<NaiveDateTime>,
    updated_at: Option<NaiveDateTime>,
    key_id: &'a str,
    encryption_alg: &'a str,
    keywrap_alg: &'a str,
    algorithm: &'a str,
    passphrase_alias: &'a str,
    public: &'a [u8],
    private: &'a [u8],
    gun: &'a str,
    role: &'a str,
}

impl Store {
    /// The key with this ID.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub fn find(&self, key_id: &str) -> Result<Option<KeyRow>, StoreError> {
        let mut connection = self.database.reader()?;
        let row = private_keys::table
            .filter(private_keys::deleted_at.is_null())
            .filter(exact(private_keys::key_id, key_id))
            .select(KeyRow::as_select());
        Ok(first_only(row).get_result(&mut *connection).optional()?)
    }

    /// The key of this GUN, role and algorithm that has not signed yet, the lowest ID first.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub fn waiting(&self, gun: &str, role: &str, algorithm: &str) -> Result<Option<KeyRow>, StoreError> {
        let mut connection = self.database.reader()?;
        Ok(waiting(&mut connection, (gun, role, algorithm), false)?)
    }

    /// Stores a key unless another one of its purpose waits for its first use, decided in one transaction.
    ///
    /// # Errors
    /// When the database cannot store it.
    pub fn insert(&self, key: &NewKey) -> Result<Inserted, StoreError> {
        let name = format!("{}/{}/{}", key.algorithm, key.role, key.gun);
        self.write(Some((WAITING_LOCK, &name)), |connection| {
            if let Some(row) = waiting(connection, (&key.gun, &key.role, key.algorithm), true)? {
                return Ok(Inserted::Waiting(Box::new(row)));
            }
            insert(connection, key).map(|_| Inserted::New)
        })
    }

    /// Marks a key as deleted; its row stays. Deleting a key that does not exist is no error.
    ///
    /// # Errors
    /// When the database cannot do it.
    pub fn delete(&self, key_id: &str) -> Result<(), StoreError> {
        let mut connection = self.database.writer()?;
        let now = connection.storable(Utc::now());
        diesel::update(private_keys::table)
            .filter(private_keys::deleted_at.is_null())
            .filter(exact(private_keys::key_id, key_id))
            .set(private_keys::deleted_at.eq(now))
            .execute(&mut *connection)?;
        Ok(())
    }

    /// The newest and the oldest keys sealed with the passphrase of `alias`, up to `limit` of each.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub fn ends_of(&self, alias: &str, limit: i64) -> Result<[Vec<KeyRow>; 2], StoreError> {
        let mut connection = self.database.reader()?;
        let of_alias = || {
            private_keys::table
                .filter(private_keys::deleted_at.is_null())
                .filter(exact(private_keys::passphrase_alias, alias))
                .select(KeyRow::as_select())
                .limit(limit)
        };
        let newest = of_alias().order(private_keys::id.desc()).load(&mut *connection)?;
        let oldest = of_alias().order(private_keys::id.asc()).load(&mut *connection)?;
        Ok([newest, oldest])
    }
}

/// The key that waits for its first use. With `for_update` it is read as it is now, and no other transaction finds or
/// makes one before this one ends.
fn waiting(
    connection: &mut DbConnection,
    (gun, role, algorithm): (&str, &str, &str),
    for_update: bool,
) -> QueryResult<Option<KeyRow>> {
    let query = private_keys::table
        .filter(private_keys::deleted_at.is_null())
        .filter(private_keys::last_used.is_null())
        .filter(exact(private_keys::gun, gun))
        .filter(exact(private_keys::role, role))
        .filter(exact(private_keys::algorithm, algorithm))
        .order(private_keys::key_id)
        .select(KeyRow::as_select());
    let query = first_only(query);
    if for_update {
        locked(query).get_result(connection).optional()
    } else {
        query.get_result(connection).optional()
    }
}

fn insert(connection: &mut DbConnection, key: &NewKey) -> QueryResult<usize> {
    let now = Some(connection.storable(Utc::now()));
    diesel::insert_into(private_keys::table)
        .values(&InsertKey {
            created_at: now,
            updated_at: now,
            key_id: &key.key_id,
            encryption_alg: ENCRYPTION,
            keywrap_alg: KEY_WRAP,
            algorithm: key.algorithm,
            passphrase_alias: &key.passphrase_alias,
            public: &key.public,
            private: key.private.as_bytes(),
            gun: &key.gun,
            role: &key.role,
        })
        .execute(connection)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn new_key(id: &str, gun: &str) -> NewKey {
        NewKey {
            key_id: id.to_owned(),
            algorithm: "ecdsa",
            passphrase_alias: "alias".to_owned(),
            public: vec![1],
            private: "token".to_owned(),
            gun: gun.to_owned(),
            role: "timestamp".to_owned(),
        }
    }

    #[test]
    fn one_key_waits_for_each_gun_role_and_algorithm() {
        let store = Store::in_memory().unwrap();
        assert_eq!(store.insert(&new_key("a", "gun")).unwrap(), Inserted::New);
        let Inserted::Waiting(row) = store.insert(&new_key("b", "gun")).unwrap() else {
            panic!("a second key")
        };
        assert_eq!(row.key_id, "a");
        assert_eq!(store.insert(&new_key("c", "GUN")).unwrap(), Inserted::New);
        let ed25519 = NewKey {
            algorithm: "ed25519",
            ..new_key("d", "gun")
        };
        assert_eq!(store.insert(&ed25519).unwrap(), Inserted::New);
        assert_eq!(store.find("b").unwrap(), None);
    }

    #[test]
    fn deleted_keys_are_gone_but_their_rows_stay() {
        let store = Store::in_memory().unwrap();
        store.insert(&new_key("a", "gun")).unwrap();
        store.delete("a").unwrap();
        store.delete("never there").unwrap();
        assert_eq!(store.find("a").unwrap(), None);
        assert_eq!(store.waiting("gun", "timestamp", "ecdsa").unwrap(), None);
        assert_eq!(store.ends_of("alias", 1).unwrap(), [vec![], vec![]]);
        let mut connection = store.database.reader().unwrap();
        assert_eq!(private_keys::table.count().get_result(&mut *connection), Ok(1i64));
    }

    #[test]
    fn the_newest_and_the_oldest_keys_of_an_alias_are_found() {
        let store = Store::in_memory().unwrap();
        for (id, alias) in [("c", "alias"), ("b", "alias"), ("a", "alias"), ("other", "other")] {
            let key = NewKey {
                passphrase_alias: alias.to_owned(),
                ..new_key(id, id)
            };
            store.insert(&key).unwrap();
        }
        let ids = |rows: &[KeyRow]| rows.iter().map(|row| row.key_id.clone()).collect::<Vec<_>>();
        let [newest, oldest] = store.ends_of("alias", 2).unwrap();
        assert_eq!(
            (ids(&newest), ids(&oldest)),
            (vec!["a".into(), "b".into()], vec!["c".into(), "b".into()])
        );
    }

    #[test]
    fn deleting_an_empty_id_deletes_nothing() {
        let store = Store::in_memory().unwrap();
        store.insert(&new_key("a", "gun")).unwrap();
        store.delete("").unwrap();
        assert!(store.find("a").unwrap().is_some());
    }

    #[test]
    fn insertions_at_once_leave_one_waiting_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("signer.db");
        // Two stores: what two processes on one file would do.
        let stores = [
            Store::open_sqlite(&path).unwrap(),
            Store::open_sqlite(&path).unwrap(),
        ];
        let new = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16)
                .map(|n| {
                    let store = &stores[n % 2];
                    scope.spawn(move || store.insert(&new_key(&format!("key {n}"), "gun")).unwrap())
                })
                .collect();
            threads
                .into_iter()
                .map(|t| t.join().unwrap())
                .filter(|i| *i == Inserted::New)
                .count()
        });
        assert_eq!(new, 1);
    }

    #[test]
    fn the_database_itself_refuses_a_second_waiting_key() {
        let store = Store::in_memory().unwrap();
        let mut connection = store.database.writer().unwrap();
        insert(&mut connection, &new_key("a", "gun")).unwrap();
        let second = insert(&mut connection, &new_key("b", "gun"));
        assert!(platform::database::is_conflict(&second.unwrap_err()));
    }
}
