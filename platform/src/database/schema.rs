//! Bringing the tables up to date, and refusing those of a newer version.
//!
//! The first migration of a program is Notary's own schema, made only where it is not there, so that a
//! database made by Notary's migrations is recognised and used as it is. The later ones add what is ours.

use std::time::Duration;

use diesel::{
    QueryableByName, RunQueryDsl,
    connection::SimpleConnection,
    migration::{Migration, MigrationSource},
    sql_types::{BigInt, Text},
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};

use super::{DatabaseError, DbConnection, TableUse, connection::lock_key, galera};

/// Where diesel keeps the numbers of the migrations applied.
const BOOKKEEPING: &str = "__diesel_schema_migrations";
/// Seconds to wait for another process that migrates.
const LOCK_SECONDS: u32 = 300;
/// How often migrating is tried again on a node of a cluster, and after what time.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// The program that owns tables. Server and signer may share a database, so their migrations have different numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The trust server: numbers starting with 0.
    Server,
    /// The signer: numbers starting with 1.
    Signer,
}

/// The migrations of one program, for each engine.
pub struct Migrations {
    /// The program that they belong to.
    pub program: Program,
    /// The tables that the program writes to once all are applied.
    pub tables: &'static [TableUse],
    /// For SQLite.
    pub sqlite: EmbeddedMigrations,
    /// For PostgreSQL.
    pub postgres: EmbeddedMigrations,
    /// For MySQL and MariaDB.
    pub mysql: EmbeddedMigrations,
}

/// One migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its number and name.
    pub name: String,
    /// Whether the database has it.
    pub applied: bool,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Server => "countersign-server",
            Self::Signer => "countersign-signer",
        }
    }

    fn owns(self, version: &str) -> bool {
        version.starts_with(match self {
            Self::Server => '0',
            Self::Signer => '1',
        })
    }
}

/// The migrations and whether they are applied, oldest first. Changes nothing.
///
/// # Errors
/// When the database fails, or was changed by a newer version.
pub fn status(connection: &mut DbConnection, migrations: &Migrations) -> Result<Vec<Step>, DatabaseError> {
    let known = known(connection, migrations)?;
    let applied = applied(connection).map_err(failed)?;
    let unknown: Vec<&str> = applied
        .iter()
        .map(String::as_str)
        .filter(|version| {
            migrations.program.owns(version) && !known.iter().any(|(known, _)| known == version)
        })
        .collect();
    if !unknown.is_empty() {
        return Err(DatabaseError::Newer {
            unknown: unknown.join(", "),
        });
    }
    Ok(known
        .into_iter()
        .map(|(version, name)| Step {
            applied: applied.contains(&version),
            name,
        })
        .collect())
}

/// Refuses a schema that lacks a migration. Changes nothing.
///
/// # Errors
/// When one is missing or unknown, or the database fails.
pub fn require_current(connection: &mut DbConnection, migrations: &Migrations) -> Result<(), DatabaseError> {
    let pending = pending(connection, migrations)?;
    if pending.is_empty() {
        return Ok(());
    }
    Err(outdated(migrations.program, &pending, String::new()))
}

/// Applies the missing migrations and returns their names. If none is missing it does nothing and needs no rights. Of
/// several processes at once one migrates; the others wait and find the schema up to date.
///
/// # Errors
/// When the schema is newer than this program, or a migration fails.
pub fn up(connection: &mut DbConnection, migrations: &Migrations) -> Result<Vec<String>, DatabaseError> {
    if pending(connection, migrations)?.is_empty() {
        return Ok(Vec::new());
    }
    let lock = lock_key("schema", "");
    match connection {
        DbConnection::Sqlite(_) => connection
            .write_transaction(|connection| Ok::<_, Locked>(migrate(connection, migrations)))
            .map_err(|Locked(cause)| failed(cause))?,
        DbConnection::Postgres(postgres) => {
            postgres
                .batch_execute(&format!("SELECT pg_advisory_lock({lock})"))
                .map_err(failed)?;
            let outcome = migrate(connection, migrations);
            // The lock ends with the session anyway.
            let _ = connection.batch_execute(&format!("SELECT pg_advisory_unlock({lock})"));
            outcome
        }
        DbConnection::Mysql(mysql) => {
            #[derive(QueryableByName)]
            struct Got {
                #[diesel(sql_type = BigInt)]
                got: i64,
            }
            let question =
                format!("SELECT COALESCE(GET_LOCK('countersign {lock}', {LOCK_SECONDS}), 0) AS got");
            let got: Got = diesel::sql_query(question).get_result(mysql).map_err(failed)?;
            if got.got != 1 {
                return Err(DatabaseError::Schema(
                    "another process has been migrating it for a long time".into(),
                ));
            }
            let in_cluster = galera::is_node(mysql).map_err(failed)?;
            let mut outcome = migrate(connection, migrations);
            // The lock is held on this node of a cluster only. A process that migrates through another one makes
            // statements of this one fail; every migration may be repeated.
            for _ in 0..ATTEMPTS {
                if outcome.is_ok() || !in_cluster {
                    break;
                }
                std::thread::sleep(PAUSE);
                outcome = migrate(connection, migrations);
            }
            // The lock ends with the session anyway.
            let _ = connection.batch_execute(&format!("DO RELEASE_LOCK('countersign {lock}')"));
            outcome
        }
    }
}

struct Locked(diesel::result::Error);

impl From<diesel::result::Error> for Locked {
    fn from(cause: diesel::result::Error) -> Self {
        Self(cause)
    }
}

/// Applies the missing migrations; the caller holds the lock that keeps other processes from doing the same.
fn migrate(connection: &mut DbConnection, migrations: &Migrations) -> Result<Vec<String>, DatabaseError> {
    let pending = pending(connection, migrations)?;
    let run = match connection {
        DbConnection::Sqlite(sqlite) => run(sqlite, &migrations.sqlite, &pending),
        DbConnection::Postgres(postgres) => run(postgres, &migrations.postgres, &pending),
        DbConnection::Mysql(mysql) => run(mysql, &migrations.mysql, &pending),
    };
    run.map_err(|cause| outdated(migrations.program, &pending, format!("; it failed now: {cause}")))?;
    if !pending.is_empty() {
        tracing::info!(
            migrations = pending.join(" "),
            "the database schema is up to date"
        );
    }
    Ok(pending)
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn run<C>(connection: &mut C, source: &EmbeddedMigrations, pending: &[String]) -> Result<(), Failure>
where
    C: diesel::Connection + MigrationHarness<C::Backend>,
    C::Backend: diesel::backend::Backend,
    EmbeddedMigrations: MigrationSource<C::Backend>,
{
    // Creates diesel's table of applied migrations.
    connection.applied_migrations()?;
    for migration in MigrationSource::<C::Backend>::migrations(source)? {
        if pending.contains(&migration.name().to_string()) {
            connection.run_migration(&*migration)?;
        }
    }
    Ok(())
}

fn pending(connection: &mut DbConnection, migrations: &Migrations) -> Result<Vec<String>, DatabaseError> {
    let steps = status(connection, migrations)?;
    Ok(steps
        .into_iter()
        .filter(|step| !step.applied)
        .map(|step| step.name)
        .collect())
}

pub(super) fn outdated(program: Program, pending: &[String], reason: String) -> DatabaseError {
    DatabaseError::Outdated {
        pending: pending.join(", "),
        program: program.name(),
        reason,
    }
}

fn failed(cause: impl std::fmt::Display) -> DatabaseError {
    DatabaseError::Schema(cause.to_string())
}

/// The numbers and names of the migrations for the engine of `connection`, oldest first.
fn known(connection: &DbConnection, migrations: &Migrations) -> Result<Vec<(String, String)>, DatabaseError> {
    fn list<DB: diesel::backend::Backend>(
        found: diesel::migration::Result<Vec<Box<dyn Migration<DB>>>>,
    ) -> Result<Vec<(String, String)>, DatabaseError> {
        let mut list: Vec<_> = found
            .map_err(failed)?
            .iter()
            .map(|migration| {
                let name = migration.name();
                (name.version().to_string(), name.to_string())
            })
            .collect();
        list.sort();
        Ok(list)
    }
    match connection {
        DbConnection::Sqlite(_) => list::<diesel::sqlite::Sqlite>(migrations.sqlite.migrations()),
        DbConnection::Postgres(_) => list::<diesel::pg::Pg>(migrations.postgres.migrations()),
        DbConnection::Mysql(_) => list::<diesel::mysql::Mysql>(migrations.mysql.migrations()),
    }
}

/// The numbers of the applied migrations. Reads only: diesel's own function would create its table first.
fn applied(connection: &mut DbConnection) -> diesel::QueryResult<Vec<String>> {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        found: i64,
    }
    #[derive(QueryableByName)]
    struct Version {
        #[diesel(sql_type = Text)]
        version: String,
    }
    let tables = match connection {
        DbConnection::Sqlite(_) => "sqlite_master WHERE type = 'table' AND name".to_owned(),
        DbConnection::Postgres(_) => {
            "information_schema.tables WHERE table_schema = ANY (current_schemas(false)) AND table_name"
                .to_owned()
        }
        DbConnection::Mysql(_) => {
            "information_schema.tables WHERE table_schema = DATABASE() AND table_name".to_owned()
        }
    };
    let question = format!("SELECT COUNT(*) AS found FROM {tables} = '{BOOKKEEPING}'");
    let count: Count = diesel::sql_query(question).get_result(connection)?;
    if count.found == 0 {
        return Ok(Vec::new());
    }
    let versions: Vec<Version> =
        diesel::sql_query(format!("SELECT version FROM {BOOKKEEPING} ORDER BY version")).load(connection)?;
    Ok(versions.into_iter().map(|row| row.version).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_knows_its_own_migrations() {
        assert!(Program::Server.owns("0001") && !Program::Server.owns("1001"));
        assert!(Program::Signer.owns("1001") && !Program::Signer.owns("0001"));
    }
}
