//! How often repositories were pulled. A pull costs no statement: it is counted in memory, and what was counted is added to
//! the table from time to time, by every server on the database.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use diesel::prelude::*;
use platform::database::{DbConnection, Statement, exact, first_only};

use super::{Store, StoreError, schema::pull_counts};

/// How many repositories are added by one statement. Each number of rows is a statement that stays prepared.
const ROWS: usize = 32;
/// How many repositories are counted in memory at most, while the database is away. The pulls of further ones are not.
const COUNTED: usize = 100_000;

/// What was counted and is not in the table yet.
#[derive(Debug, Default)]
pub(super) struct Counted(Mutex<HashMap<String, u64>>);

impl Counted {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, gun: &str, pulls: u64) {
        let mut counted = self.lock();
        if let Some(known) = counted.get_mut(gun) {
            *known = known.saturating_add(pulls);
        } else if counted.len() < COUNTED {
            counted.insert(gun.to_owned(), pulls);
        }
    }
}

impl Store {
    /// Counts a pull.
    pub fn count_pull(&self, gun: &str) {
        self.counted.add(gun, 1);
    }

    /// How often a repository was pulled. For a moment less while counts are being stored.
    ///
    /// # Errors
    /// When the database fails.
    pub fn pulls_of(&self, gun: &str) -> Result<u64, StoreError> {
        let row = pull_counts::table
            .filter(exact(pull_counts::gun, gun))
            .select(pull_counts::pulls);
        let stored: Option<i64> = first_only(row)
            .get_result(&mut *self.database.reader()?)
            .optional()?;
        let counted = self.counted.lock().get(gun).copied().unwrap_or_default();
        Ok(stored.unwrap_or_default().unsigned_abs().saturating_add(counted))
    }

    /// Adds what was counted to the table.
    ///
    /// # Errors
    /// When the database fails; what was not added is still counted then.
    pub fn store_pulls(&self) -> Result<(), StoreError> {
        let mut left: Vec<(String, u64)> = std::mem::take(&mut *self.counted.lock()).into_iter().collect();
        // All servers lock rows in the same order.
        left.sort();
        let mut outcome = Ok(());
        while outcome.is_ok() && !left.is_empty() {
            let rows = &left[..left.len().min(ROWS)];
            match self.add_pulls(rows) {
                Ok(()) => drop(left.drain(..rows.len())),
                failed => outcome = failed,
            }
        }
        for (gun, pulls) in left {
            self.counted.add(&gun, pulls);
        }
        outcome
    }

    fn add_pulls(&self, rows: &[(String, u64)]) -> Result<(), StoreError> {
        let mut connection = self.database.writer()?;
        let mut insert: Statement<'_> = Statement::new("INSERT INTO pull_counts (gun, pulls) VALUES ");
        for (position, (gun, pulls)) in rows.iter().enumerate() {
            insert = insert
                .sql(if position == 0 { "(" } else { ", (" })
                .text(gun)
                .sql(", ")
                .big_integer(i64::try_from(*pulls).unwrap_or(i64::MAX))
                .sql(")");
        }
        let insert = insert.sql(match &*connection {
            DbConnection::Mysql(_) => " ON DUPLICATE KEY UPDATE pulls = pulls + VALUES(pulls)",
            _ => " ON CONFLICT (gun) DO UPDATE SET pulls = pull_counts.pulls + excluded.pulls",
        });
        insert.execute(&mut *connection)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(directory: &tempfile::TempDir) -> Store {
        let location = platform::database::Location::Sqlite(directory.path().join("server.db"));
        Store::open(&location, platform::database::Options::default()).unwrap()
    }

    #[test]
    fn counts_add_up_across_servers_and_restarts() {
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (store(&directory), store(&directory));
        for number in 0..100 {
            one.count_pull(&format!("g{number}"));
            other.count_pull("g7");
        }
        one.store_pulls().unwrap();
        other.store_pulls().unwrap();
        other.store_pulls().unwrap();
        one.count_pull("g7");
        assert_eq!(one.pulls_of("g7").unwrap(), 102);
        let later = store(&directory);
        assert_eq!(later.pulls_of("g7").unwrap(), 101);
        assert_eq!(later.pulls_of("g99").unwrap(), 1);
        assert_eq!(later.pulls_of("G99").unwrap(), 0);
    }
}
