//! Finds tables in which a program's INSERTs would fail.

use diesel::{
    QueryableByName, RunQueryDsl,
    sql_types::{Bool, Text},
};

use super::{Column, Found, Named, Obstacle, TableUse, rights::user};
use crate::database::DbConnection;

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

/// The columns of a table; empty if there is no such table, or the user cannot see it.
pub(super) fn columns(connection: &mut DbConnection, table: &str) -> diesel::QueryResult<Vec<Column>> {
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

/// Columns that an INSERT must set and that the program does not set.
pub(super) fn unfilled(connection: &DbConnection, used: &TableUse, columns: &[Column]) -> Vec<Obstacle> {
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
                format!("INSERT into {table} will fail: the column {name} has no default value, and the program does not set it"),
                fix,
            )
        })
        .collect()
}

/// Rows that a foreign key needs in another table and that are missing there. A migration inserts them.
pub(super) fn missing_values(
    connection: &mut DbConnection,
    used: &TableUse,
) -> diesel::QueryResult<Option<Obstacle>> {
    let (table, Some((other, column, values))) = (used.table, used.needs) else {
        return Ok(None);
    };
    let question = match connection {
        DbConnection::Postgres(_) => format!(
            "SELECT COUNT(*) AS found FROM pg_constraint
             WHERE contype = 'f' AND conrelid = to_regclass('{table}') AND confrelid = to_regclass('{other}')"
        ),
        DbConnection::Mysql(_) => format!(
            "SELECT COUNT(*) AS found FROM information_schema.key_column_usage
             WHERE table_schema = DATABASE() AND table_name = '{table}' AND referenced_table_name = '{other}'"
        ),
        DbConnection::Sqlite(_) => {
            format!(
                "SELECT COUNT(*) AS found FROM pragma_foreign_key_list('{table}') WHERE \"table\" = '{other}'"
            )
        }
    };
    let keys: Found = diesel::sql_query(question).get_result(connection)?;
    if keys.found == 0 {
        return Ok(None);
    }
    let present: Vec<Named> =
        diesel::sql_query(format!("SELECT {column} AS name FROM {other}")).load(connection)?;
    let missing: Vec<String> = values
        .iter()
        .filter(|value| !present.iter().any(|row| row.name == **value))
        .map(|value| format!("('{value}')"))
        .collect();
    if missing.is_empty() {
        return Ok(None);
    }
    let missing = missing.join(", ");
    Ok(Some(Obstacle::new(
        format!("INSERT into {table} will fail: its foreign key needs {missing} in {other}"),
        format!("INSERT INTO {other} ({column}) VALUES {missing}"),
    )))
}

/// Checks the sequences of a table's columns: the privilege to use them, and that they are not behind the existing rows.
pub(super) fn sequences(connection: &mut DbConnection, table: &str) -> diesel::QueryResult<Vec<Obstacle>> {
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
                format!("INSERT into {table} will fail: the database user {user} has no USAGE privilege on the sequence {name} of the column {column}"),
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
                format!("INSERT into {table} will fail: the sequence {name} is behind the largest {column} in the table"),
                format!("SELECT setval('{name}', (SELECT MAX({column}) FROM {table}))"),
            ));
        }
    }
    Ok(found)
}
