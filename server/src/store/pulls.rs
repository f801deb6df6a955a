//! How often repositories were pulled. A pull costs no statement: it is counted in memory, and what was counted is added to
//! the table from time to time, by every server on the database.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use diesel::{
    prelude::*,
    sql_types::{BigInt, Text},
};
use platform::database::{DbConnection, Statement};

use super::{Store, StoreError};

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

    /// How often repositories were pulled; those that never were are missing. For a moment less while counts are being
    /// stored.
    ///
    /// # Errors
    /// When the database fails.
    pub fn pulls_of(&self, guns: &[String]) -> Result<HashMap<String, u64>, StoreError> {
        let mut pulls = HashMap::new();
        let mut connection = self.database.reader()?;
        for guns in guns.chunks(ROWS) {
            let Some(last) = guns.last() else { break };
            let mut select: Statement<'_, (Text, BigInt)> =
                Statement::new("SELECT gun, pulls FROM pull_counts WHERE gun IN (");
            for position in 0..guns.len().next_power_of_two() {
                select = select.sql(if position == 0 { "" } else { ", " });
                select = select.text(guns.get(position).unwrap_or(last));
            }
            let rows: Vec<(String, i64)> = select.sql(")").load(&mut *connection)?;
            pulls.extend(rows.into_iter().map(|(gun, pulls)| (gun, pulls.unsigned_abs())));
        }
        let counted = self.counted.lock();
        for gun in guns {
            if let Some(counted) = counted.get(gun) {
                let all = pulls.entry(gun.clone()).or_default();
                *all = all.saturating_add(*counted);
            }
        }
        Ok(pulls)
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
        let pulls = |store: &Store, gun: &str| {
            let found = store.pulls_of(&[gun.to_owned()]).unwrap();
            found.get(gun).copied().unwrap_or_default()
        };
        assert_eq!(pulls(&one, "g7"), 102);
        let later = store(&directory);
        assert_eq!(pulls(&later, "g7"), 101);
        assert_eq!(pulls(&later, "g99"), 1);
        assert_eq!(pulls(&later, "G99"), 0);
        let some = ["g1", "g7", "no"].map(str::to_owned);
        assert_eq!(later.pulls_of(&some).unwrap().len(), 2);
    }
}
