//! Whether a database that answers lets a program do its work: the right to write, and tables that take its rows. Judged
//! by looking alone: by the engine's catalogue, and by statements that are planned and not run.
//!
//! Tables that other programs made (Notary's migrations, or a migrator between engines) may lack the default of a column
//! which those programs, or an older version, filled in; the first publish would find out.

use diesel::{
    QueryableByName, RunQueryDsl,
    sql_types::{BigInt, Bool, Text},
};

use super::{DatabaseError, DbConnection, Options, schema, schema::Migrations};

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
struct Sequence {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    column: String,
    #[diesel(sql_type = Bool)]
    usable: bool,
    #[diesel(sql_type = Bool)]
    readable: bool,
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
        if let DbConnection::Postgres(_) = connection {
            found.extend(sequences(connection, used.table).map_err(failed)?);
        }
    }
    found.extend(refused.told(connection).map_err(failed)?);
    Ok(found)
}

/// The columns of a table; none if there is no such table, or nobody may see it.
fn columns(connection: &mut DbConnection, table: &str) -> diesel::QueryResult<Vec<Column>> {
    let question = match connection {
        DbConnection::Postgres(_) => format!(
            "SELECT attname::text AS name, format_type(atttypid, atttypmod) AS kind,
                    attnotnull AND NOT atthasdef AND attidentity = '' AS demanded
             FROM pg_attribute WHERE attrelid = to_regclass('{table}') AND attnum > 0 AND NOT attisdropped
             ORDER BY attnum"
        ),
        // An ENUM without a default has its first value.
        DbConnection::Mysql(_) => format!(
            "SELECT column_name AS name, column_type AS kind,
                    is_nullable = 'NO' AND column_default IS NULL AND data_type <> 'enum'
                    AND extra NOT LIKE '%auto_increment%' AND extra NOT LIKE '%generated%' AS demanded
             FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '{table}'
             ORDER BY ordinal_position"
        ),
        // An INTEGER PRIMARY KEY numbers itself; any other kind of key stays empty.
        DbConnection::Sqlite(_) => format!(
            "SELECT name, type AS kind, dflt_value IS NULL AND (\"notnull\" OR pk > 0)
                    AND NOT (pk = 1 AND upper(type) = 'INTEGER'
                             AND (SELECT COUNT(*) FROM pragma_table_info('{table}') WHERE pk > 0) = 1) AS demanded
             FROM pragma_table_info('{table}')"
        ),
    };
    diesel::sql_query(question).load(connection)
}

/// Columns that a row must say and that the program does not.
fn unfilled(connection: &DbConnection, used: &TableUse, columns: &[Column]) -> Vec<Obstacle> {
    let table = used.table;
    let demanded = columns
        .iter()
        .filter(|column| column.demanded && !used.filled.contains(&column.name.as_str()));
    demanded
        .map(|column| {
            let Column { name, kind, .. } = column;
            let numbered = name == "id";
            let fix = match (connection, numbered) {
                (DbConnection::Postgres(_), true) => format!(
                    "CREATE SEQUENCE IF NOT EXISTS {table}_{name}_seq OWNED BY {table}.{name}; \
                     SELECT setval('{table}_{name}_seq', (SELECT COALESCE(MAX({name}), 0) + 1 FROM {table}), false); \
                     ALTER TABLE {table} ALTER COLUMN {name} SET DEFAULT nextval('{table}_{name}_seq')"
                ),
                (DbConnection::Postgres(_), false) => {
                    format!("give it a default, or ALTER TABLE {table} ALTER COLUMN {name} DROP NOT NULL")
                }
                (DbConnection::Mysql(_), true) => format!(
                    "SET FOREIGN_KEY_CHECKS = 0; ALTER TABLE {table} MODIFY {name} {kind} NOT NULL AUTO_INCREMENT"
                ),
                (DbConnection::Mysql(_), false) => {
                    format!("give it a default, or ALTER TABLE {table} MODIFY {name} {kind} NULL")
                }
                (DbConnection::Sqlite(_), true) => format!(
                    "make the table anew with {name} INTEGER PRIMARY KEY, and copy the rows"
                ),
                (DbConnection::Sqlite(_), false) => "make the table anew with a default for it, and copy the rows".to_owned(),
            };
            Obstacle::new(
                format!("{table} takes no new rows: its column {name} has no default, and the server leaves it to the database"),
                fix,
            )
        })
        .collect()
}

/// Sequences that number the rows of a table: the right to them, and whether they are behind the rows.
fn sequences(connection: &mut DbConnection, table: &str) -> diesel::QueryResult<Vec<Obstacle>> {
    let question = format!(
        "SELECT DISTINCT s.oid::regclass::text AS name, a.attname::text AS column,
                has_sequence_privilege(s.oid, 'USAGE, UPDATE') AS usable,
                has_sequence_privilege(s.oid, 'SELECT') AS readable
         FROM pg_attrdef d
         JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
         JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid
              AND p.refclassid = 'pg_class'::regclass
         JOIN pg_class s ON s.oid = p.refobjid AND s.relkind = 'S'
         WHERE d.adrelid = to_regclass('{table}')"
    );
    let sequences: Vec<Sequence> = diesel::sql_query(question).load(connection)?;
    let mut found = Vec::new();
    for sequence in sequences {
        let Sequence {
            name,
            column,
            usable,
            readable,
        } = sequence;
        if !usable {
            let user = user(connection)?;
            found.push(Obstacle::new(
                format!("{table} takes no new rows: the user {user} may not use the sequence {name} of its column {column}"),
                format!("GRANT USAGE ON SEQUENCE {name} TO {user}"),
            ));
            continue;
        }
        if !readable {
            continue;
        }
        // In this order a row that is made meanwhile counts for neither or for the sequence.
        let question = format!(
            "SELECT COUNT(*) AS found FROM {name}
             WHERE (SELECT COALESCE(MAX({column}), 0) FROM {table}) >= last_value + CASE WHEN is_called THEN 1 ELSE 0 END"
        );
        let behind: Found = diesel::sql_query(question).get_result(connection)?;
        if behind.found > 0 {
            found.push(Obstacle::new(
                format!("{table} takes no new rows: the sequence {name} gives numbers that rows already have in {column}"),
                format!("SELECT setval('{name}', (SELECT MAX({column}) FROM {table}))"),
            ));
        }
    }
    Ok(found)
}

/// Tables whose rows may not be added, changed or deleted.
#[derive(Default)]
struct Refused([Vec<&'static str>; 4]);

const RIGHTS: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];

impl Refused {
    fn ask(
        &mut self,
        connection: &mut DbConnection,
        used: &TableUse,
        columns: &[Column],
    ) -> diesel::QueryResult<()> {
        let needed = [true, true, used.updates, used.deletes];
        for ((right, needed), tables) in RIGHTS.iter().zip(needed).zip(&mut self.0) {
            if needed && !may(connection, right, used, columns)? {
                tables.push(used.table);
            }
        }
        Ok(())
    }

    /// One obstacle for each right.
    fn told(self, connection: &mut DbConnection) -> diesel::QueryResult<Vec<Obstacle>> {
        let mut found = Vec::new();
        for (right, tables) in RIGHTS.iter().zip(self.0) {
            if tables.is_empty() {
                continue;
            }
            let (user, tables_named) = (user(connection)?, tables.join(", "));
            let grants: Vec<String> = match connection {
                DbConnection::Mysql(_) => tables
                    .iter()
                    .map(|table| format!("GRANT {right} ON {table} TO {user}"))
                    .collect(),
                _ => vec![format!("GRANT {right} ON {tables_named} TO {user}")],
            };
            found.push(Obstacle::new(
                format!("the database's user {user} may not {right} in {tables_named}"),
                grants.join("; "),
            ));
        }
        Ok(found)
    }
}

/// Whether the connection's user has a right to a table.
fn may(
    connection: &mut DbConnection,
    right: &str,
    used: &TableUse,
    columns: &[Column],
) -> diesel::QueryResult<bool> {
    let table = used.table;
    match connection {
        DbConnection::Sqlite(_) => Ok(true),
        DbConnection::Postgres(_) => {
            // DELETE is a right to whole tables.
            let question = match right {
                "DELETE" => format!("has_table_privilege(to_regclass('{table}'), '{right}')"),
                _ => format!("has_any_column_privilege(to_regclass('{table}'), '{right}')"),
            };
            let found: Found = diesel::sql_query(format!(
                "SELECT CASE WHEN {question} THEN 1 ELSE 0 END::bigint AS found"
            ))
            .get_result(connection)?;
            Ok(found.found > 0)
        }
        DbConnection::Mysql(mysql) => {
            // Planned, not run; the rights are asked for all the same.
            let named: Vec<&str> = columns
                .iter()
                .map(|column| column.name.as_str())
                .filter(|name| used.filled.contains(name))
                .collect();
            let (named, first) = (named.join(", "), named.first().copied().unwrap_or("1"));
            let statement = match right {
                "INSERT" => format!("INSERT INTO {table} ({named}) SELECT {named} FROM {table} WHERE 1 = 0"),
                "UPDATE" => format!("UPDATE {table} SET {first} = {first} WHERE 1 = 0"),
                "DELETE" => format!("DELETE FROM {table} WHERE 1 = 0"),
                _ => format!("SELECT {named} FROM {table} WHERE 1 = 0"),
            };
            match diesel::sql_query(format!("EXPLAIN {statement}")).execute(mysql) {
                // The connection asks for messages in English.
                Err(cause) if cause.to_string().contains("denied") => Ok(false),
                _ => Ok(true),
            }
        }
    }
}

/// The user that the database takes this connection for.
fn user(connection: &mut DbConnection) -> diesel::QueryResult<String> {
    let question = match connection {
        DbConnection::Sqlite(_) => "SELECT 'of the file' AS name",
        DbConnection::Postgres(_) => "SELECT quote_ident(current_user) AS name",
        DbConnection::Mysql(_) => "SELECT CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''') AS name",
    };
    let user: Named = diesel::sql_query(question).get_result(connection)?;
    Ok(user.name)
}

/// A database server, or a user, that only reads.
fn read_only(connection: &mut DbConnection) -> diesel::QueryResult<Option<Obstacle>> {
    let DbConnection::Postgres(_) = connection else {
        return Ok(None);
    };
    // Not the session's setting: those who only look make that themselves.
    let standby: Found =
        diesel::sql_query("SELECT pg_is_in_recovery()::int::bigint AS found").get_result(connection)?;
    if standby.found > 0 {
        return Ok(Some(Obstacle::new(
            "the database is a standby, which nobody can write to".to_owned(),
            "name the primary in storage.db_url".to_owned(),
        )));
    }
    let usual: Found = diesel::sql_query(
        "SELECT COUNT(*) AS found FROM pg_settings
         WHERE name = 'default_transaction_read_only' AND reset_val = 'on'",
    )
    .get_result(connection)?;
    if usual.found > 0 {
        let user = user(connection)?;
        return Ok(Some(Obstacle::new(
            format!(
                "default_transaction_read_only is on for the user {user}, so the database refuses every write"
            ),
            "switch it off for this user (ALTER ROLE), the database or the server".to_owned(),
        )));
    }
    Ok(None)
}

/// Why migrations that are missing will not be applied at a start.
fn no_migration(
    connection: &mut DbConnection,
    migrations: &Migrations,
    pending: &[String],
    options: Options,
) -> diesel::QueryResult<Option<Obstacle>> {
    let outdated = |reason: &str, fix: String| {
        Some(Obstacle {
            what: schema::outdated(migrations.program, pending, reason.to_owned()).to_string(),
            fix,
            refuses_start: true,
        })
    };
    if matches!(connection, DbConnection::Sqlite(_)) {
        return Ok(None);
    }
    if !options.migrate {
        return Ok(outdated("", "or set storage.migrate to true".to_owned()));
    }
    let may_create = match connection {
        DbConnection::Postgres(_) => {
            "SELECT COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false)::int::bigint AS found"
        }
        // Roles may bring rights that are not listed here.
        _ => {
            "SELECT (SELECT COUNT(*) FROM information_schema.user_privileges
                     WHERE privilege_type = 'CREATE'
                       AND grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), ''''))
                  + (SELECT COUNT(*) FROM information_schema.schema_privileges
                     WHERE privilege_type = 'CREATE' AND DATABASE() LIKE table_schema
                       AND grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), ''''))
                  + (COALESCE(CURRENT_ROLE(), 'NONE') <> 'NONE') AS found"
        }
    };
    let may_create: Found = diesel::sql_query(may_create).get_result(connection)?;
    if may_create.found > 0 {
        return Ok(None);
    }
    let user = user(connection)?;
    Ok(outdated(
        &format!("; the user {user} may not create tables"),
        "or let this user create them".to_owned(),
    ))
}
