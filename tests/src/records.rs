//! Reads and changes the databases of a test server without the server.

use std::{fs, path::PathBuf};

use diesel::{
    Connection, QueryableByName, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_types::Text,
};

use crate::{
    database::{Engine, Whose},
    server::TestServer,
};

/// The separator of the columns of a row; no value in a test contains it.
const BETWEEN: char = '|';

impl TestServer {
    /// The recorded changes, in order: category, principal, certificate subject.
    pub fn actors(&self) -> Vec<(String, String, String)> {
        let columns = ["category", "principal", "coalesce(certificate_subject, '')"];
        let from = "changefeed JOIN change_actors ON change_id = id ORDER BY id";
        let rows = self.rows(&columns, from).into_iter();
        rows.map(|row| (row[0].clone(), row[1].clone(), row[2].clone()))
            .collect()
    }

    /// All stored documents: GUN, role and version, in that order.
    pub fn stored(&self) -> Vec<(String, String, i32)> {
        let rows = self.rows(&["gun", "role", "version"], "tuf_files").into_iter();
        let mut stored: Vec<_> = rows
            .map(|row| (row[0].clone(), row[1].clone(), row[2].parse().unwrap()))
            .collect();
        stored.sort();
        stored
    }

    /// Every stored document with its storing time, in an order that does not depend on it.
    pub fn documents(&self) -> Vec<String> {
        let data = match self.engine() {
            Engine::Postgres => "encode(data, 'hex')",
            _ => "hex(data)",
        };
        let columns = ["gun", "role", "version", "created_at", "sha256", data];
        let rows = self.rows(&columns, "tuf_files").into_iter();
        let mut rows: Vec<_> = rows.map(|row| row.join(" ")).collect();
        rows.sort();
        rows
    }

    /// Runs statements without the daemons.
    pub fn execute(&self, whose: Whose, sql: &str) {
        match self.engine() {
            Engine::Sqlite => {
                let file = self.file(whose);
                let mut connection = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
                connection
                    .batch_execute(&format!("PRAGMA busy_timeout = 10000; {sql}"))
                    .unwrap();
            }
            Engine::Postgres | Engine::Mysql => {
                self.databases().run(whose, sql);
            }
        }
    }

    /// Everything in a database: the bytes of the file and of those beside it, or all rows.
    pub fn contents(&self, whose: Whose) -> Vec<(String, Vec<u8>)> {
        if self.engine() != Engine::Sqlite {
            return vec![(String::new(), self.databases().dump(whose, None).into_bytes())];
        }
        let file = self.file(whose);
        let name = file.file_name().unwrap().to_str().unwrap();
        let entries = fs::read_dir(self.path()).unwrap();
        let mut files: Vec<_> = entries
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_name().to_str().unwrap().starts_with(name))
            .map(|entry| {
                (
                    entry.file_name().into_string().unwrap(),
                    fs::read(entry.path()).unwrap(),
                )
            })
            .filter(|(name, bytes)| !name.ends_with("-shm") && !bytes.is_empty())
            .collect();
        files.sort();
        files
    }

    /// Copies the keys of another signer, which must be in the same kind of database. Neither signer may be running.
    pub fn copy_keys_of(&self, other: &TestServer) {
        if self.engine() == Engine::Sqlite {
            fs::copy(other.file(Whose::Signer), self.file(Whose::Signer)).unwrap();
            for name in ["keys.db-wal", "keys.db-shm"] {
                let _ = fs::remove_file(self.path().join(name));
            }
            return;
        }
        let keys = other.databases().dump(Whose::Signer, Some("private_keys"));
        self.execute(Whose::Signer, &format!("DELETE FROM private_keys;\n{keys}"));
    }

    /// Removes a database.
    pub fn remove_database(&self, whose: Whose) {
        match self.engine() {
            Engine::Sqlite => fs::remove_file(self.file(whose)).unwrap(),
            Engine::Postgres | Engine::Mysql => {
                let databases = self.databases();
                databases.administer(&format!("DROP DATABASE {};", databases.name(whose)));
            }
        }
    }

    fn file(&self, whose: Whose) -> PathBuf {
        self.path().join(match whose {
            Whose::Server => "metadata.db",
            Whose::Signer => "keys.db",
        })
    }

    /// The values of these columns, or of expressions that are never NULL, of every row of a table of the server's.
    pub fn rows(&self, columns: &[&str], from: &str) -> Vec<Vec<String>> {
        let lines = match self.engine() {
            Engine::Sqlite => {
                #[derive(QueryableByName)]
                struct Line {
                    #[diesel(sql_type = Text)]
                    line: String,
                }
                let joined = columns.join(&format!(" || '{BETWEEN}' || "));
                let mut connection =
                    SqliteConnection::establish(self.file(Whose::Server).to_str().unwrap()).unwrap();
                let query = format!("SELECT {joined} AS line FROM {from}");
                let lines: Vec<Line> = diesel::sql_query(query).load(&mut connection).unwrap();
                lines.into_iter().map(|line| line.line).collect()
            }
            Engine::Postgres | Engine::Mysql => {
                let joined = columns.join(&format!(", '{BETWEEN}', "));
                let query = format!("SELECT concat({joined}) FROM {from};");
                let printed = self.databases().run(Whose::Server, &query);
                printed.lines().map(str::to_owned).collect::<Vec<String>>()
            }
        };
        lines
            .iter()
            .map(|line| line.split(BETWEEN).map(str::to_owned).collect())
            .collect()
    }
}
