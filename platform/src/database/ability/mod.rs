//! Whether a database that answers lets a program do its work: the right to write, and tables that take its rows. Judged
//! by looking alone: by the engine's catalogue, and by statements that are planned and not run.
//!
//! Tables that other programs made (Notary's migrations, or a migrator between engines) may lack the default of a column
//! which those programs, or an older version, filled in; the first publish would find out.

mod rights;
mod tables;

use diesel::{
    QueryableByName,
    sql_types::{BigInt, Bool, Text},
};

use super::{DatabaseError, DbConnection, Options, schema, schema::Migrations};
use rights::{Refused, no_migration, read_only};
use tables::{columns, missing_values, sequences, unfilled};

/// A table, and what a program does with it beside reading.
#[derive(Debug, Clone, Copy)]
pub struct TableUse {
    /// Its name.
    pub table: &'static str,
    /// The columns that every new row is given; the others are left to the database.
    pub filled: &'static [&'static str],
    /// Whether rows are changed in the course of normal work.
    pub updates: bool,
    /// Whether rows are deleted in the course of normal work.
    pub deletes: bool,
    /// A table, its column, and the values that foreign keys of this table need there.
    pub needs: Option<(&'static str, &'static str, &'static [&'static str])>,
}

/// What keeps a program from its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// What is so.
    pub what: String,
    /// What to do about it, with the statement where there is one.
    pub fix: String,
    /// Whether a program does not even start with such a database.
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
    /// As the database writes its type.
    #[diesel(sql_type = Text)]
    kind: String,
    /// Whether a row must say its value.
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

/// What the database refuses of what `migrations`' program does, as far as it can be known without writing.
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
        found.extend(unfilled(connection, used, &columns));
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
