//! How many statements a database server was sent.

use tests::Engine;

use crate::{
    fault::{Fault, Result},
    subject::{DatabaseServers, Subject},
};

/// Counts the statements of one subject.
pub enum Counter {
    /// What `pg_stat_statements` counted in these databases: every execution, BEGIN and COMMIT included.
    Postgres([String; 2]),
    /// `Questions` of MariaDB, which counts all its databases: executions of prepared statements too.
    Mysql,
}

impl Counter {
    /// That of a subject; SQLite does not count.
    pub fn of(subject: &Subject) -> Option<Self> {
        match subject.engine()? {
            Engine::Sqlite => None,
            Engine::Postgres => subject.databases().map(Self::Postgres),
            Engine::Mysql => Some(Self::Mysql),
        }
    }

    /// The statements so far.
    ///
    /// # Errors
    /// When the server does not tell.
    pub fn read(&self, servers: &DatabaseServers) -> Result<u64> {
        let (engine, sql) = match self {
            Self::Postgres([server, signer]) => (
                Engine::Postgres,
                format!(
                    "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements AS s JOIN pg_database AS d \
                     ON d.oid = s.dbid WHERE d.datname IN ('{server}', '{signer}');"
                ),
            ),
            Self::Mysql => (
                Engine::Mysql,
                "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'QUESTIONS';"
                    .to_owned(),
            ),
        };
        let server = servers.running(engine);
        let server = server.ok_or_else(|| Fault::new("the database server is not running"))?;
        Ok(server.ask(&sql).trim().parse()?)
    }
}
