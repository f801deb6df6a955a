//! Privileges of the connection's database user.

use diesel::RunQueryDsl;

use super::{Column, Found, Named, Obstacle, TableUse};
use crate::database::{DbConnection, Options, schema, schema::Migrations};

/// For each of [`RIGHTS`], the tables on which the user does not have it.
#[derive(Default)]
pub(super) struct Refused([Vec<&'static str>; 4]);

const RIGHTS: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];

impl Refused {
    pub(super) fn ask(
        &mut self,
        connection: &mut DbConnection,
        used: &TableUse,
        columns: &[Column],
    ) -> diesel::QueryResult<()> {
        let needed = [true, used.inserts(), used.updates, used.deletes];
        for ((right, needed), tables) in RIGHTS.iter().zip(needed).zip(&mut self.0) {
            if needed && !may(connection, right, used, columns)? {
                tables.push(used.table);
            }
        }
        Ok(())
    }

    /// One obstacle for each missing privilege.
    pub(super) fn told(self, connection: &mut DbConnection) -> diesel::QueryResult<Vec<Obstacle>> {
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
                format!("the database user {user} has no {right} privilege on {tables_named}"),
                grants.join("; "),
            ));
        }
        Ok(found)
    }
}

/// Whether the user has a privilege on a table.
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
                .filter(|name| !used.inserts() || used.filled.contains(name))
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

/// The name of the user, quoted for use in statements.
pub(super) fn user(connection: &mut DbConnection) -> diesel::QueryResult<String> {
    let question = match connection {
        DbConnection::Sqlite(_) => "SELECT 'of the file' AS name",
        DbConnection::Postgres(_) => "SELECT quote_ident(current_user) AS name",
        DbConnection::Mysql(_) => "SELECT CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''') AS name",
    };
    let user: Named = diesel::sql_query(question).get_result(connection)?;
    Ok(user.name)
}

/// Finds out whether the database server, or the user's sessions, are read-only.
pub(super) fn read_only(connection: &mut DbConnection) -> diesel::QueryResult<Option<Obstacle>> {
    match connection {
        DbConnection::Sqlite(_) => Ok(None),
        DbConnection::Postgres(_) => read_only_postgres(connection),
        DbConnection::Mysql(_) => read_only_mysql(connection),
    }
}

/// Users with an administrative privilege can write even if `read_only` is on.
fn read_only_mysql(connection: &mut DbConnection) -> diesel::QueryResult<Option<Obstacle>> {
    let read_only: Found =
        diesel::sql_query("SELECT CAST(@@GLOBAL.read_only AS SIGNED) AS found").get_result(connection)?;
    if read_only.found == 0 {
        return Ok(None);
    }
    // Roles may bring rights that are not listed here.
    let may_write: Found = diesel::sql_query(
        "SELECT (SELECT COUNT(*) FROM information_schema.user_privileges
                 WHERE privilege_type IN ('SUPER', 'READ_ONLY ADMIN', 'READ ONLY ADMIN', 'CONNECTION_ADMIN')
                   AND grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), ''''))
              + (COALESCE(CURRENT_ROLE(), 'NONE') <> 'NONE') AS found",
    )
    .get_result(connection)?;
    Ok((may_write.found == 0).then(|| {
        Obstacle::new(
            "the database server is read-only (read_only)".to_owned(),
            "name the primary in storage.db_url, or switch read_only off".to_owned(),
        )
    }))
}

fn read_only_postgres(connection: &mut DbConnection) -> diesel::QueryResult<Option<Obstacle>> {
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
            format!("default_transaction_read_only is on for the database user {user}, so every write fails"),
            "switch it off for this user (ALTER ROLE), the database or the server".to_owned(),
        )));
    }
    Ok(None)
}

/// The reason why a start would not apply the missing migrations, if there is one.
pub(super) fn no_migration(
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
        &format!("; the database user {user} has no CREATE privilege"),
        "or let this user create them".to_owned(),
    ))
}
