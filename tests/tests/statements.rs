//! How many statements a publish costs, counted where they arrive. Each is a trip to the database, and a commit waits for
//! its disk.

use tests::{
    DatabaseServer, TestServer,
    database::{Databases, Engine, Whose},
    publisher::Publisher,
};

const GUN: &str = "reg/app";

/// The most statements that the trust server may use for a publish, who the client is and what it may do included.
const SERVER_STATEMENTS: usize = 9;

/// How often a publish is counted. Tasks beside it use statements too, so the least counts.
const ROUNDS: i64 = 5;

/// What one program asked its database.
#[derive(Debug, Clone)]
struct Asked(Vec<String>);

impl Asked {
    /// The statements of a database in PostgreSQL's log, of which each line begins with the database's name. Several
    /// that were sent as one are counted one by one.
    fn read(log: &str, databases: &Databases, whose: Whose) -> Self {
        let prefix = format!("{}|", databases.name(whose));
        let lines = log.lines().filter_map(|line| line.strip_prefix(&prefix));
        let statements = lines.filter_map(|line| {
            let (_, rest) = line
                .split_once("LOG:  statement: ")
                .or_else(|| line.split_once("LOG:  execute "))?;
            Some(
                rest.split(';')
                    .map(str::trim)
                    .filter(|part| !part.is_empty())
                    .map(str::to_owned),
            )
        });
        Self(statements.flatten().collect())
    }

    fn commits(&self) -> usize {
        let ends = |statement: &&String| statement.as_str() == "COMMIT";
        self.0.iter().filter(ends).count()
    }
}

#[test]
fn a_publish_costs_few_statements_and_one_commit_each_in_the_server_and_in_the_signer() {
    let database = DatabaseServer::start(Engine::Postgres);
    let databases = database.databases();
    databases.administer(
        "ALTER SYSTEM SET log_statement = 'all';\nALTER SYSTEM SET log_line_prefix = '%d|';\nSELECT pg_reload_conf();\n",
    );
    let server = TestServer::builder().databases(databases.clone()).start();
    let alice = server.client("alice");
    let publisher = Publisher::new(&alice, GUN, GUN);
    publisher.publish_first(&alice, GUN);
    let count = |version: i64| {
        let targets = publisher.targets_file(version);
        let before = database.log().len();
        alice.publish(GUN, &[("targets", &targets)]).ok();
        let log = database.log().split_off(before);
        [Whose::Server, Whose::Signer].map(|whose| Asked::read(&log, &databases, whose))
    };
    let counted: Vec<_> = (2..2 + ROUNDS).map(count).collect();
    let least = |of: usize| {
        counted
            .iter()
            .map(|asked| &asked[of])
            .min_by_key(|asked| asked.0.len())
    };
    let (by_server, by_signer) = (least(0).unwrap(), least(1).unwrap());
    assert!(
        !by_server.0.is_empty() && by_server.0.len() <= SERVER_STATEMENTS,
        "{} statements: {by_server:#?}",
        by_server.0.len()
    );
    assert_eq!(by_server.commits(), 1, "{by_server:#?}");
    // The versions of the snapshot and of the timestamp, in one statement that is a transaction of its own.
    assert_eq!(by_signer.0.len(), 1, "{by_signer:#?}");
}
