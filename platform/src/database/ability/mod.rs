//! Checks whether a program can write to its database: privileges, and tables in which its INSERTs would fail. Uses only
//! the engine's catalogue and EXPLAIN, so nothing is written.
//!
//! Tables that other programs created (Notary's migrations, or a migrator between engines) may lack the default value of
//! a column that those programs set themselves. Without this check the first publish would fail.

mod rights;
mod tables;

use diesel::{
    QueryableByName,
    sql_types::{BigInt, Bool, Text},
};

use super::{DatabaseError, DbConnection, Options, schema, schema::Migrations};
use rights::{Refused, no_migration, read_only};
use tables::{columns, missing_values, sequences, unfilled};

/// A table and how a program writes to it.
#[derive(Debug, Clone, Copy)]
pub struct TableUse {
    /// Its name.
    pub table: &'static str,
    /// The columns that every INSERT of the program sets; the database fills the others. Empty if it adds no rows.
    pub filled: &'static [&'static str],
    /// Whether the program updates rows in normal operation.
    pub updates: bool,
    /// Whether the program deletes rows in normal operation.
    pub deletes: bool,
    /// Another table, its column, and the values there that a foreign key of this table refers to.
    pub needs: Option<(&'static str, &'static str, &'static [&'static str])>,
}

impl TableUse {
    /// Whether the program adds rows.
    fn inserts(&self) -> bool {
        !self.filled.is_empty()
    }
}

/// A reason why a program cannot write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The problem.
    pub what: String,
    /// What to do about it; the SQL statement where there is one.
    pub fix: String,
    /// Whether it prevents a start.
    pub refuses_start: bool,
}

impl Obstacle {
    fn new(what: String, fix: String) -> Self {
        Self {
            what,
            fix,
            refuses_start: false,
        }
    }
}

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    name: String,
    /// Its type, as the database names it.
    #[diesel(sql_type = Text)]
    kind: String,
    /// Whether an INSERT must set it: it is NOT NULL and has no default value.
    #[diesel(sql_type = Bool)]
    demanded: bool,
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = BigInt)]
    found: i64,
}

#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = Text)]
    name: String,
}

/// The reasons why the program of `migrations` cannot write to the database, as far as they can be found without writing.
///
/// # Errors
/// When the database fails, or was changed by a newer version.
pub fn obstacles(
    connection: &mut DbConnection,
    migrations: &Migrations,
    options: Options,
) -> Result<Vec<Obstacle>, DatabaseError> {
    let pending = schema::status(connection, migrations)?
        .into_iter()
        .filter(|step| !step.applied)
        .map(|step| step.name)
        .collect::<Vec<_>>();
    let failed = |cause: diesel::result::Error| DatabaseError::Schema(cause.to_string());
    let mut found = Vec::new();
    found.extend(read_only(connection).map_err(failed)?);
    if !pending.is_empty() && found.is_empty() {
        found.extend(no_migration(connection, migrations, &pending, options).map_err(failed)?);
    }
    let mut refused = Refused::default();
    for used in migrations.tables {
        let columns = columns(connection, used.table).map_err(failed)?;
        if columns.is_empty() {
            // A migration makes it; or, where none is missing, somebody has removed it.
            if pending.is_empty() {
                found.push(Obstacle::new(
                    format!("the database has no table {}", used.table),
                    "bring it back from a backup".to_owned(),
                ));
            }
            continue;
        }
        refused.ask(connection, used, &columns).map_err(failed)?;
        if used.inserts() {
            found.extend(unfilled(connection, used, &columns));
        }
        if pending.is_empty() {
            found.extend(missing_values(connection, used).map_err(failed)?);
        }
        if let DbConnection::Postgres(_) = connection {
            found.extend(sequences(connection, used.table).map_err(failed)?);
        }
    }
    found.extend(refused.told(connection).map_err(failed)?);
    Ok(found)
}
