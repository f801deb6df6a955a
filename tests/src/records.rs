//! What a test server has written into its SQLite database, read past it.

use diesel::{
    Connection, QueryableByName, RunQueryDsl, SqliteConnection,
    sql_types::{Integer, Text},
    sqlite::Sqlite,
};

use crate::server::TestServer;

impl TestServer {
    /// The recorded changes, in order: category, principal, certificate subject.
    pub fn actors(&self) -> Vec<(String, String, String)> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            category: String,
            #[diesel(sql_type = Text)]
            principal: String,
            #[diesel(sql_type = Text)]
            subject: String,
        }
        let query = "SELECT category, principal, coalesce(certificate_subject, '') AS subject \
                     FROM changefeed JOIN change_actors ON change_id = id ORDER BY id";
        let rows: Vec<Row> = self.rows(query);
        rows.into_iter()
            .map(|row| (row.category, row.principal, row.subject))
            .collect()
    }

    /// Everything stored: GUN, role and version, in that order.
    pub fn stored(&self) -> Vec<(String, String, i32)> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            gun: String,
            #[diesel(sql_type = Text)]
            role: String,
            #[diesel(sql_type = Integer)]
            version: i32,
        }
        let query = "SELECT gun, role, version FROM tuf_files ORDER BY gun, role, version";
        let rows: Vec<Row> = self.rows(query);
        rows.into_iter()
            .map(|row| (row.gun, row.role, row.version))
            .collect()
    }

    fn rows<Row: QueryableByName<Sqlite> + 'static>(&self, query: &str) -> Vec<Row> {
        let mut connection = SqliteConnection::establish(self.database().to_str().unwrap()).unwrap();
        diesel::sql_query(query).load(&mut connection).unwrap()
    }
}
