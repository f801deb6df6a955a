//! What a test server has written into its database, read past it.

use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_types::Text};

use crate::{
    database::{Engine, Whose},
    server::TestServer,
};

/// Stands between the columns of a row; no value in a test holds it.
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

    /// Everything stored: GUN, role and version, in that order.
    pub fn stored(&self) -> Vec<(String, String, i32)> {
        let rows = self.rows(&["gun", "role", "version"], "tuf_files").into_iter();
        let mut stored: Vec<_> = rows
            .map(|row| (row[0].clone(), row[1].clone(), row[2].parse().unwrap()))
            .collect();
        stored.sort();
        stored
    }

    fn rows(&self, columns: &[&str], from: &str) -> Vec<Vec<String>> {
        let lines = match self.engine() {
            Engine::Sqlite => {
                #[derive(QueryableByName)]
                struct Line {
                    #[diesel(sql_type = Text)]
                    line: String,
                }
                let joined = columns.join(&format!(" || '{BETWEEN}' || "));
                let mut connection = SqliteConnection::establish(self.database().to_str().unwrap()).unwrap();
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
