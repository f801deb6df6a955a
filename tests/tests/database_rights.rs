//! Databases that answer and refuse what the server writes: rights that are missing, tables that other programs made. The
//! server says so at its start and in its health, and goes on reading; every command that judges says it too, with what to
//! do, and what it says helps.

use std::process::Command;

use serde_json::json;
use tests::{
    Databases, Engine, Finished, Stop, TestServer, Whose,
    database::SERVED,
    process::{Daemon, built_programs, wait_until},
    publisher::Publisher,
    server::Prepared,
};

const GUN: &str = "registry.example.com/team/app";
const COMMANDS: [&[&str]; 3] = [
    &["check-config"],
    &["check"],
    &["doctor", "--home", "/nowhere", "--etc", "/nowhere"],
];

fn command(directory: &std::path::Path, arguments: &[&str]) -> Finished {
    let mut run = Command::new(built_programs().join("countersign-server"));
    run.current_dir(directory).args(arguments);
    Finished::run(run.args(["--config", "server.json"]), "")
}

/// Checks that every command finds something broken, and says `causes`.
#[track_caller]
fn told(directory: &std::path::Path, causes: &[&str]) {
    for arguments in COMMANDS {
        let finished = command(directory, arguments);
        assert_eq!(finished.code, 1, "{finished}");
        for cause in causes {
            assert!(finished.output().contains(cause), "no {cause:?} in {finished}");
        }
    }
}

/// Checks that the database is no fault for any command.
#[track_caller]
fn not_told(directory: &std::path::Path) {
    for arguments in COMMANDS {
        let finished = command(directory, arguments);
        assert!(!finished.output().contains("storage: "), "{finished}");
    }
}

/// An account of the database server that may do nothing yet: its address, and its name in statements.
fn account(databases: &Databases) -> (String, String) {
    let name = format!("reader_of_{}", databases.name(Whose::Server));
    let (create, called) = match databases.engine() {
        Engine::Postgres => (format!("CREATE ROLE {name} LOGIN PASSWORD 'x';"), name.clone()),
        _ => (
            format!("CREATE USER {name}@'%' IDENTIFIED BY 'x';"),
            format!("'{name}'@'%'"),
        ),
    };
    databases.administer(&create);
    (databases.url_as(Whose::Server, &name, "x"), called)
}

fn grant(databases: &Databases, rights: &str, to: &str) {
    match databases.engine() {
        Engine::Postgres => {
            databases.run(
                Whose::Server,
                &format!(
                    "GRANT {rights} ON ALL TABLES IN SCHEMA public TO {to};
                     GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {to};"
                ),
            );
        }
        _ => databases.administer(&format!(
            "GRANT {rights} ON {}.* TO {to};",
            databases.name(Whose::Server)
        )),
    }
}

fn healthy(server: &TestServer) -> Result<(), String> {
    let answer = server.client("alice").get("/health");
    if answer.status == 200 {
        return Ok(());
    }
    Err(answer.text())
}

#[test]
fn an_account_without_the_right_to_write_is_told_until_it_has_it() {
    for engine in SERVED {
        let mut server = TestServer::builder().database(engine).signs_locally().start();
        let client = server.client("alice");
        Publisher::new(&client, GUN, GUN).publish_first(&client, GUN);
        server.stop_server(Stop::Politely);
        let (url, called) = account(server.databases());
        server.configure("storage.db_url", json!(url));
        let directory = server.path().to_path_buf();
        grant(server.databases(), "SELECT", &called);
        let causes = [
            "has no INSERT privilege on tuf_files, changefeed",
            "has no UPDATE privilege on tuf_files",
            "has no DELETE privilege on server_keys",
            "GRANT INSERT ON",
        ];
        told(&directory, &causes);
        server.start_server();
        wait_until("the server says so", || {
            server.log().contains("has no INSERT privilege on tuf_files")
        });
        wait_until("its health says so", || {
            healthy(&server).is_err_and(|why| why.contains("has no INSERT privilege on tuf_files"))
        });
        // What is there can be read.
        let root = format!("/v2/{GUN}/_trust/tuf/root.json");
        server.client("alice").get(&root).ok();
        grant(server.databases(), "INSERT, UPDATE", &called);
        told(&directory, &["has no DELETE privilege on server_keys"]);
        assert!(
            !command(&directory, COMMANDS[0])
                .output()
                .contains("no INSERT privilege")
        );
        grant(server.databases(), "DELETE", &called);
        not_told(&directory);
        if engine == Engine::Mysql {
            // Connections keep the rights to a database that they began with.
            server.restart_server(Stop::Politely);
        }
        wait_until("its health is good again", || healthy(&server).is_ok());
    }
}

#[test]
fn a_right_that_a_server_can_do_without_is_not_asked_for() {
    for engine in SERVED {
        let mut server = TestServer::builder().database(engine).signs_locally().start();
        server.stop_server(Stop::Politely);
        let databases = server.databases();
        let (url, called) = account(databases);
        server.configure("storage.db_url", json!(url));
        let name = databases.name(Whose::Server);
        let place = if engine == Engine::Postgres {
            String::new()
        } else {
            format!("{name}.")
        };
        // As a cautious operator grants: records of changes are only ever added, and repositories never deleted.
        let mut grants = String::new();
        for (rights, tables) in [
            ("SELECT", "__diesel_schema_migrations"),
            ("SELECT, INSERT", "changefeed change_actors audit_log"),
            ("SELECT, INSERT, UPDATE", "tuf_files refresh_leases"),
            ("SELECT, UPDATE", "security_epoch"),
            ("SELECT, INSERT, DELETE", "server_keys denials"),
            (
                "SELECT, INSERT, UPDATE, DELETE",
                "accounts account_keys pending_keys",
            ),
        ] {
            for table in tables.split(' ') {
                grants.push_str(&format!("GRANT {rights} ON {place}{table} TO {called};"));
            }
        }
        if engine == Engine::Postgres {
            grants.push_str(&format!(
                "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {called};"
            ));
            databases.run(Whose::Server, &grants);
        } else {
            databases.administer(&grants);
        }
        not_told(server.path());
        server.start_server();
        let client = server.client("alice");
        Publisher::new(&client, GUN, GUN).publish_first(&client, GUN);
        healthy(&server).unwrap();
    }
}

/// Starts a server that is to end by itself.
fn refused_start(prepared: &Prepared) -> String {
    let mut start = Command::new(built_programs().join("countersign-server"));
    start
        .current_dir(prepared.path())
        .args(["--config", "server.json"]);
    let mut daemon = Daemon::spawn(&mut start, &prepared.path().join("refused.log"));
    assert_eq!(daemon.wait(), Some(1), "{}", daemon.log());
    daemon.log()
}

#[test]
fn an_account_that_may_not_make_the_tables_refuses_the_start() {
    for engine in SERVED {
        for migrate in [true, false] {
            let databases = engine.databases();
            let (url, called) = account(&databases);
            if engine == Engine::Mysql {
                grant(&databases, "SELECT, INSERT, UPDATE, DELETE", &called);
            }
            let prepared = TestServer::builder()
                .databases(databases)
                .signs_locally()
                .set("storage.db_url", json!(url))
                .set("storage.migrate", json!(migrate))
                .prepare();
            let lacks = "lacks the migrations 0001_notary_base";
            told(prepared.path(), &[lacks]);
            assert!(refused_start(&prepared).contains(lacks));
        }
    }
}

#[test]
fn a_database_of_a_newer_version_is_told_by_every_command() {
    for engine in tests::database::ENGINES {
        let mut server = TestServer::builder().database(engine).signs_locally().start();
        server.stop_server(Stop::Politely);
        server.execute(
            Whose::Server,
            "INSERT INTO __diesel_schema_migrations (version) VALUES ('0999')",
        );
        told(
            server.path(),
            &["migrations that this version does not know (0999)"],
        );
    }
}

/// Runs the statements that a command gives to repair the tables.
fn repair(server: &TestServer, table: &str) {
    let output = command(server.path(), COMMANDS[0]).output();
    let line = output
        .lines()
        .find(|line| line.contains(&format!("storage: INSERT into {table} will fail")))
        .unwrap_or_else(|| panic!("{output}"));
    let statements = [
        "CREATE SEQUENCE",
        "SELECT setval",
        "SET FOREIGN_KEY_CHECKS",
        "ALTER TABLE",
    ];
    let begin = statements
        .iter()
        .filter_map(|statement| line.find(statement))
        .min()
        .unwrap();
    server.execute(Whose::Server, &format!("{};", &line[begin..]));
}

/// Checks that tables are told, and that a repository can be published once they are repaired as told.
fn told_and_repaired(mut server: TestServer, causes: &[&str], tables: &[&str]) {
    let directory = server.path().to_path_buf();
    told(&directory, causes);
    server.start_server();
    for cause in causes {
        wait_until("the server says so", || server.log().contains(cause));
    }
    wait_until("its health says so", || {
        healthy(&server).is_err_and(|why| why.contains("will fail: "))
    });
    tables.iter().for_each(|table| repair(&server, table));
    not_told(&directory);
    wait_until("its health is good again", || healthy(&server).is_ok());
    let client = server.client("alice");
    Publisher::new(&client, GUN, GUN).publish_first(&client, GUN);
}

#[test]
fn tables_that_harbor_made_out_of_mysql_are_told_with_what_repairs_them() {
    let databases = Engine::Postgres.databases();
    databases.load(Whose::Server, "harbor-from-mysql.sql");
    let builder = TestServer::builder().databases(databases).signs_locally();
    let prepared = builder.prepare();
    // Before the first start, too.
    let cause = "INSERT into changefeed will fail: the column id has no default";
    told(prepared.path(), &[cause]);
    let mut server = prepared.start();
    server.stop_server(Stop::Politely);
    told_and_repaired(server, &[cause], &["changefeed"]);
}

/// A server that has made its tables, and stopped.
fn stopped(engine: Engine) -> TestServer {
    let mut server = TestServer::builder().database(engine).signs_locally().start();
    let client = server.client("alice");
    Publisher::new(&client, "other/app", "other/app").publish_first(&client, "other/app");
    server.stop_server(Stop::Politely);
    server
}

#[test]
fn columns_that_nobody_fills_are_told_with_what_repairs_them() {
    let server = stopped(Engine::Postgres);
    server.execute(
        Whose::Server,
        "ALTER TABLE audit_log ALTER COLUMN id DROP DEFAULT;
         ALTER TABLE tuf_files ADD COLUMN tenant TEXT NOT NULL DEFAULT 'x';
         ALTER TABLE tuf_files ALTER COLUMN tenant DROP DEFAULT;",
    );
    let causes = [
        "INSERT into audit_log will fail: the column id",
        "INSERT into tuf_files will fail: the column tenant",
    ];
    told_and_repaired(server, &causes, &["audit_log", "tuf_files"]);
    let server = stopped(Engine::Mysql);
    server.execute(
        Whose::Server,
        "SET FOREIGN_KEY_CHECKS = 0; ALTER TABLE changefeed MODIFY id INT NOT NULL;
         ALTER TABLE tuf_files ADD COLUMN tenant TEXT NOT NULL;",
    );
    let causes = [
        "INSERT into changefeed will fail: the column id",
        "INSERT into tuf_files will fail: the column tenant",
    ];
    told_and_repaired(server, &causes, &["changefeed", "tuf_files"]);
    // Not a number of its own, as SQLite has it for INTEGER alone.
    let server = stopped(Engine::Sqlite);
    server.execute(
        Whose::Server,
        "ALTER TABLE audit_log RENAME TO before;
         CREATE TABLE audit_log (id INT PRIMARY KEY, chain TEXT NOT NULL, sequence INTEGER NOT NULL, record TEXT NOT NULL,
            hash TEXT NOT NULL, UNIQUE (chain, sequence));
         INSERT INTO audit_log SELECT * FROM before;
         DROP TABLE before;",
    );
    told(
        server.path(),
        &[
            "INSERT into audit_log will fail: the column id",
            "INTEGER PRIMARY KEY",
        ],
    );
}

#[test]
fn a_sequence_that_is_behind_its_rows_or_may_not_be_used_is_told() {
    let server = stopped(Engine::Postgres);
    server.execute(Whose::Server, "SELECT setval('tuf_files_id_seq', 1);");
    let cause = "INSERT into tuf_files will fail: the sequence tuf_files_id_seq is behind";
    told_and_repaired(server, &[cause], &["tuf_files"]);

    let server = stopped(Engine::Postgres);
    let (url, called) = account(server.databases());
    server.configure("storage.db_url", json!(url));
    grant(server.databases(), "SELECT, INSERT, UPDATE, DELETE", &called);
    not_told(server.path());
    server.databases().run(
        Whose::Server,
        &format!("REVOKE ALL ON SEQUENCE audit_log_id_seq FROM {called};"),
    );
    told(
        server.path(),
        &[
            "USAGE privilege on the sequence audit_log_id_seq",
            "GRANT USAGE ON SEQUENCE",
        ],
    );
}

#[test]
fn the_signer_tells_the_same_of_its_tables() {
    for engine in SERVED {
        let mut server = TestServer::builder().database(engine).start();
        let client = server.client("alice");
        Publisher::new(&client, GUN, GUN).publish_first(&client, GUN);
        server.stop_signer(Stop::Politely);
        server.execute(
            Whose::Signer,
            match engine {
                Engine::Postgres => "ALTER TABLE private_keys ALTER COLUMN id DROP DEFAULT;",
                _ => "ALTER TABLE private_keys MODIFY id INT NOT NULL;",
            },
        );
        let cause = "INSERT into private_keys will fail: the column id has no default";
        let nothing: [&str; 0] = [];
        server
            .check_signer(Some(server.passphrase()), nothing)
            .fails()
            .says("broken: storage: ")
            .says(cause);
        server.start_signer();
        let log = server.path().join("signer.log");
        wait_until("the signer says so", || {
            std::fs::read_to_string(&log).unwrap().contains(cause)
        });
        wait_until("the signer is not healthy", || {
            healthy(&server).is_err_and(|why| why.contains("Trust operational"))
        });
    }
}

#[test]
fn a_foreign_key_without_the_rows_that_it_needs_is_told() {
    for engine in tests::database::ENGINES {
        let server = stopped(engine);
        server.execute(
            Whose::Server,
            "DELETE FROM changefeed; DELETE FROM change_category WHERE category = 'update';",
        );
        let told = "INSERT INTO change_category (category) VALUES ('update')";
        let causes =
            ["INSERT into changefeed will fail: its foreign key needs ('update') in change_category"];
        self::told(server.path(), &[causes[0], told]);
        server.execute(Whose::Server, told);
        not_told(server.path());
    }
}

#[test]
fn a_database_that_only_reads_is_told() {
    // A server of its own, since it is read-only for all.
    let database = tests::DatabaseServer::start(Engine::Mysql);
    let mut server = TestServer::builder()
        .databases(database.databases())
        .signs_locally()
        .start();
    server.stop_server(Stop::Politely);
    let (url, called) = account(server.databases());
    grant(server.databases(), "SELECT, INSERT, UPDATE, DELETE", &called);
    server.databases().administer("SET GLOBAL read_only = 1;");
    // Whoever administers the server writes all the same.
    not_told(server.path());
    server.configure("storage.db_url", json!(url));
    told(server.path(), &["the database server is read-only"]);
    server.databases().administer("SET GLOBAL read_only = 0;");
    not_told(server.path());

    let server = stopped(Engine::Postgres);
    let (url, called) = account(server.databases());
    server.configure("storage.db_url", json!(url));
    grant(server.databases(), "SELECT, INSERT, UPDATE, DELETE", &called);
    server.databases().administer(&format!(
        "ALTER ROLE {called} SET default_transaction_read_only = on;"
    ));
    told(server.path(), &["default_transaction_read_only is on"]);
}

#[test]
fn tables_that_the_programs_made_themselves_are_no_fault() {
    for engine in tests::database::ENGINES {
        let mut server = stopped(engine);
        let before = server.contents(Whose::Server);
        not_told(server.path());
        assert_eq!(server.contents(Whose::Server), before);
        server.start_server();
        wait_until("the database is ready", || healthy(&server).is_ok());
        assert!(!server.log().contains("will fail: ") && !server.log().contains("privilege on"));
    }
    for engine in SERVED {
        let databases = engine.databases();
        databases.load(Whose::Server, &format!("server-{}-schema.sql", engine.name()));
        let prepared = TestServer::builder()
            .databases(databases)
            .signs_locally()
            .prepare();
        not_told(prepared.path());
        let server = prepared.start();
        wait_until("the database is ready", || healthy(&server).is_ok());
        not_told(server.path());
    }
}
