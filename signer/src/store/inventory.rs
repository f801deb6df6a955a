//! Reads every key, without changing any.

use diesel::{dsl::count_star, prelude::*};
use platform::database::{Database, Location, Obstacle, Options, exact};

use super::{KeyRow, MIGRATIONS, Store, StoreError, schema::private_keys};

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

    /// The names of the migrations that the database lacks.
    ///
    /// # Errors
    /// When it does not answer, or was used by a newer version.
    pub fn missing_migrations(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.database.missing_migrations(&MIGRATIONS)?)
    }

    /// What keeps the signer from writing to this database, looked for without writing.
    ///
    /// # Errors
    /// When the database does not answer, or was used by a newer version.
    pub fn obstacles(&self, options: Options) -> Result<Vec<Obstacle>, StoreError> {
        Ok(self.database.obstacles(&MIGRATIONS, options)?)
    }

    /// Refuses while the database refuses what the signer writes: no signature leaves without a record of it.
    ///
    /// # Errors
    /// What is in the way.
    pub fn can_write(&self) -> Result<(), StoreError> {
        Ok(self.database.can_write(&MIGRATIONS)?)
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
