//! Reads every key, without changing any.

use diesel::{dsl::count_star, prelude::*};
use platform::database::{Database, Location, exact};

use super::{KeyRow, Store, StoreError, schema::private_keys};

impl Store {
    /// Opens an existing database read-only: it is neither created nor migrated.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_read_only(location: &Location) -> Result<Self, StoreError> {
        Ok(Self {
            database: Database::open_read_only(location)?,
        })
    }

    /// The aliases of the passphrases that keys are sealed with, as stored, and the number of keys of each.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub fn aliases(&self) -> Result<Vec<(String, i64)>, StoreError> {
        Ok(private_keys::table
            .filter(private_keys::deleted_at.is_null())
            .group_by(private_keys::passphrase_alias)
            .select((private_keys::passphrase_alias, count_star()))
            .order(private_keys::passphrase_alias)
            .load(&mut *self.database.reader()?)?)
    }

    /// At most `limit` keys sealed with the passphrase of `alias`, in the order of their rows; those after the row
    /// `after`, each with its row's number.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub fn keys_of(&self, alias: &str, after: i32, limit: i64) -> Result<Vec<(i32, KeyRow)>, StoreError> {
        Ok(private_keys::table
            .filter(private_keys::deleted_at.is_null())
            .filter(exact(private_keys::passphrase_alias, alias))
            .filter(private_keys::id.gt(after))
            .order(private_keys::id)
            .limit(limit)
            .select((private_keys::id, KeyRow::as_select()))
            .load(&mut *self.database.reader()?)?)
    }
}
