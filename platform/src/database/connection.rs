//! One connection to any of the engines, and what they do differently in transactions.

use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};
use diesel::{
    connection::{AnsiTransactionManager, Connection, SimpleConnection, TransactionManager},
    prelude::*,
    result::DatabaseErrorKind,
    sql_types::BigInt,
};

use super::is_conflict;

/// How often a transaction is tried when others come first.
const ATTEMPTS: u32 = 10;
/// Seconds to wait for a name that another writer holds.
const NAME_SECONDS: u32 = 10;

/// A connection to the configured engine.
// `connect` in pool.rs opens the configured engine. Diesel's own `establish` tries one engine after the other, and
// would make an SQLite file named like a PostgreSQL address that does not answer.
#[derive(diesel::MultiConnection)]
pub enum DbConnection {
    /// PostgreSQL and what speaks its protocol.
    Postgres(PgConnection),
    /// MySQL and MariaDB.
    Mysql(MysqlConnection),
    /// The embedded engine.
    Sqlite(SqliteConnection),
}

impl DbConnection {
    /// Runs writes in one transaction. On SQLite it excludes other writers from its beginning. On the other engines
    /// rows that are read with [`super::locked`], or a name held with [`DbConnection::write_transaction_for`], exclude
    /// them.
    ///
    /// # Errors
    /// What `write` returns, after everything was rolled back, or the failure to begin or commit.
    pub fn write_transaction<T, E>(&mut self, write: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E>
    where
        E: From<diesel::result::Error>,
    {
        self.write_transaction_begun("BEGIN", write)
    }

    /// The same, begun with this text on PostgreSQL.
    fn write_transaction_begun<T, E>(
        &mut self,
        begin: &str,
        write: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<diesel::result::Error>,
    {
        type Manager = <DbConnection as Connection>::TransactionManager;
        let begun = match self {
            Self::Sqlite(sqlite) => AnsiTransactionManager::begin_transaction_sql(sqlite, "BEGIN IMMEDIATE"),
            Self::Postgres(postgres) => AnsiTransactionManager::begin_transaction_sql(postgres, begin),
            Self::Mysql(_) => Manager::begin_transaction(self),
        };
        if let Err(cause) = begun {
            // The transaction may have begun, and failed after that.
            if let Self::Postgres(postgres) = self {
                let _ = postgres.batch_execute("ROLLBACK");
            }
            return Err(cause.into());
        }
        match write(self) {
            Ok(value) => {
                Manager::commit_transaction(self)?;
                Ok(value)
            }
            Err(cause) => {
                // The cause says more than a failure to roll back; a broken connection is not used again.
                let _ = Manager::rollback_transaction(self);
                Err(cause)
            }
        }
    }

    /// [`DbConnection::write_transaction`] while holding a name. Of several transactions for one name, including those
    /// of other servers on this database, one runs and the others wait. Needed where there is no row to lock yet. In a
    /// Galera cluster the name is held on this node only: transactions of two nodes must also change a common row, or add
    /// one under the same unique key, so that one of them fails as a conflict.
    /// SQLite has one writer at a time anyway.
    ///
    /// # Errors
    /// As [`DbConnection::write_transaction`]; a name that does not become free in time is a conflict.
    pub fn write_transaction_for<T, E>(
        &mut self,
        scope: &str,
        name: &str,
        write: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<diesel::result::Error>,
    {
        let key = lock_key(scope, name);
        match self {
            Self::Sqlite(_) => self.write_transaction(write),
            // One trip to the server for both.
            Self::Postgres(_) => {
                self.write_transaction_begun(&format!("BEGIN; SELECT pg_advisory_xact_lock({key})"), write)
            }
            Self::Mysql(mysql) => {
                hold_mysql_name(mysql, key)?;
                let outcome = self.write_transaction(write);
                self.free_mysql_name(key);
                outcome
            }
        }
    }

    /// [`DbConnection::write_transaction_for`] that begins anew when another transaction came first: a name of MySQL is
    /// held on one node of a Galera cluster only, and a transaction of another node may win.
    ///
    /// # Errors
    /// As [`DbConnection::write_transaction_for`].
    pub fn repeated_transaction_for<T>(
        &mut self,
        scope: &str,
        name: &str,
        mut write: impl FnMut(&mut Self) -> QueryResult<T>,
    ) -> QueryResult<T> {
        let Self::Mysql(mysql) = self else {
            return self.write_transaction_for(scope, name, write);
        };
        let key = lock_key(scope, name);
        hold_mysql_name(mysql, key)?;
        let mut outcome = self.write_transaction(&mut write);
        for _ in 1..ATTEMPTS {
            match outcome {
                Err(cause) if is_conflict(&cause) => outcome = self.write_transaction(&mut write),
                _ => break,
            }
        }
        self.free_mysql_name(key);
        outcome
    }

    fn free_mysql_name(&mut self, key: i64) {
        if let Self::Mysql(mysql) = self {
            // If it fails, the connection is broken; the server frees the name when the connection ends.
            let _ = diesel::sql_query(format!("DO RELEASE_LOCK('countersign {key}')")).execute(mysql);
        }
    }

    /// A time as this engine stores it; MySQL's columns hold whole seconds, and some versions round up.
    pub fn storable(&self, time: DateTime<Utc>) -> NaiveDateTime {
        let digits = if matches!(self, Self::Mysql(_)) { 0 } else { 6 };
        time.naive_utc().trunc_subsecs(digits)
    }
}

/// A named lock of MySQL belongs to the connection. Locking reads are no alternative: if the server ends a deadlock
/// while such a read returns rows, MariaDB's client library waits for ever.
fn hold_mysql_name(mysql: &mut MysqlConnection, key: i64) -> QueryResult<()> {
    #[derive(QueryableByName)]
    struct Got {
        #[diesel(sql_type = BigInt)]
        got: i64,
    }
    let question = format!("SELECT COALESCE(GET_LOCK('countersign {key}', {NAME_SECONDS}), 0) AS got");
    let got: Got = diesel::sql_query(question).get_result(mysql)?;
    if got.got == 1 {
        return Ok(());
    }
    Err(diesel::result::Error::DatabaseError(
        DatabaseErrorKind::SerializationFailure,
        Box::new("another server has been writing for a long time".to_owned()),
    ))
}

/// The number that stands for a name among PostgreSQL's advisory locks.
pub(super) fn lock_key(scope: &str, name: &str) -> i64 {
    let digest = openssl::sha::sha256(format!("countersign/{scope}/{name}").as_bytes());
    digest
        .iter()
        .take(8)
        .fold(0, |key, byte| (key << 8) | i64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_nothing_and_the_connection_usable() {
        let mut connection = DbConnection::Sqlite(SqliteConnection::establish(":memory:").unwrap());
        connection.batch_execute("CREATE TABLE t (n INTEGER)").unwrap();
        let insert = |c: &mut DbConnection| c.batch_execute("INSERT INTO t VALUES (1)");
        let failed: Result<(), diesel::result::Error> = connection.write_transaction(|c| {
            insert(c)?;
            Err(diesel::result::Error::NotFound)
        });
        assert!(failed.is_err());
        connection.write_transaction(insert).unwrap();
        let rows = diesel::sql_query("DELETE FROM t")
            .execute(&mut connection)
            .unwrap();
        assert_eq!(rows, 1);
    }

    #[test]
    fn names_have_keys_of_their_own() {
        assert_ne!(lock_key("gun", "a"), lock_key("gun", "b"));
        assert_ne!(lock_key("gun", "a"), lock_key("key", "a"));
    }
}
