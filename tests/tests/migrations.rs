//! The subcommand `migrate`, and starts that find a schema they cannot use.

use std::process::{Command, Output};

use serde_json::json;
use tests::{
    Databases, ENGINES, Engine, SERVED, TestServer, Whose, process::built_programs, server::Prepared,
};

fn program(name: &str, arguments: &[&str], prepared: &Prepared) -> Output {
    let config = prepared.path().join(format!("{name}.json"));
    Command::new(built_programs().join(format!("countersign-{name}")))
        .args(arguments)
        .arg("--config")
        .arg(config)
        .env("NOTARY_SIGNER_TIMESTAMP_1", "testpassword")
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn migrate(name: &str, action: &str, prepared: &Prepared) -> String {
    let output = program(name, &["migrate", action], prepared);
    assert!(output.status.success(), "{name} {action}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn status_tells_and_up_applies_once() {
    for engine in ENGINES {
        let prepared = TestServer::builder().database(engine).prepare();
        for (name, first, second) in [
            ("server", "0001_notary_base", "0002_change_actors"),
            ("signer", "1001_notary_base", "1002_signed_versions"),
        ] {
            let before = migrate(name, "status", &prepared);
            assert!(
                before.contains(&format!("missing {first}")),
                "{engine:?}: {before}"
            );
            let up = migrate(name, "up", &prepared);
            assert!(
                up.contains(&format!("applied {first}\napplied {second}\n")),
                "{engine:?}: {up}"
            );
            let again = migrate(name, "up", &prepared);
            assert!(
                !again.contains("applied") && again.contains("up to date"),
                "{again}"
            );
            let after = migrate(name, "status", &prepared);
            assert!(
                after.contains(&format!("applied {second}")) && !after.contains("missing"),
                "{after}"
            );
            assert!(!after.contains("password"), "{after}");
        }
    }
}

/// MySQL cannot undo half of a migration: the next run finds what the one before left.
#[test]
fn every_migration_may_be_repeated_on_mariadb() {
    let databases = Engine::Mysql.databases();
    databases.load(Whose::Server, "server-mysql-schema.sql");
    databases.load(Whose::Signer, "signer-mysql.sql");
    let prepared = TestServer::builder().databases(databases.clone()).prepare();
    for (name, whose) in [("server", Whose::Server), ("signer", Whose::Signer)] {
        let first = migrate(name, "up", &prepared);
        databases.run(whose, "DELETE FROM __diesel_schema_migrations;");
        assert_eq!(migrate(name, "up", &prepared), first);
        let folding = "SELECT table_name, column_name FROM information_schema.columns
            WHERE table_schema = DATABASE() AND column_name IN ('gun', 'role', 'key_id')
                AND table_name IN ('tuf_files', 'changefeed', 'private_keys')
                AND collation_name NOT LIKE '%bin';";
        assert_eq!(databases.run(whose, folding), "", "{name}");
    }
}

#[test]
fn a_start_that_may_not_migrate_says_what_to_run() {
    for engine in SERVED {
        let prepared = TestServer::builder()
            .database(engine)
            .set("storage.migrate", json!(false))
            .set_signer("storage.migrate", json!(false))
            .prepare();
        for name in ["server", "signer"] {
            let output = program(name, &[], &prepared);
            assert!(!output.status.success());
            let said = said(&output);
            assert!(
                said.contains(&format!("countersign-{name} migrate up --config FILE")),
                "{engine:?}: {said}"
            );
            migrate(name, "up", &prepared);
        }
        let server = prepared.start();
        server.client("alice").get("/v2/a/_trust/tuf/timestamp.key").ok();
    }
}

#[test]
fn a_schema_of_a_newer_version_is_refused() {
    for engine in SERVED {
        let databases = engine.databases();
        let prepared = TestServer::builder().databases(databases.clone()).prepare();
        for (name, whose, version) in [
            ("server", Whose::Server, "0099"),
            ("signer", Whose::Signer, "1099"),
        ] {
            migrate(name, "up", &prepared);
            databases.run(
                whose,
                &format!("INSERT INTO __diesel_schema_migrations (version) VALUES ('{version}');"),
            );
            for arguments in [&[][..], &["migrate", "status"], &["migrate", "up"]] {
                let output = program(name, arguments, &prepared);
                assert!(!output.status.success(), "{engine:?}: {arguments:?}");
                let said = said(&output);
                assert!(said.contains(version) && said.contains("newer version"), "{said}");
            }
        }
    }
}

/// An account that may only read and write rows, as Notary's documents advise.
fn restrict(databases: &Databases) {
    for whose in [Whose::Server, Whose::Signer] {
        databases.run(
            whose,
            match databases.engine() {
                Engine::Postgres => {
                    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO rows_only;
                     GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO rows_only;"
                }
                _ => {
                    "CREATE USER IF NOT EXISTS rows_only@'%' IDENTIFIED BY 'secret';
                     SET @statement = CONCAT('GRANT SELECT, INSERT, UPDATE, DELETE ON ', DATABASE(), '.* TO rows_only@\\'%\\'');
                     PREPARE grants FROM @statement; EXECUTE grants;"
                }
            },
        );
    }
}

#[test]
fn an_account_without_rights_on_the_schema_can_use_a_complete_one_only() {
    for engine in SERVED {
        let databases = engine.databases();
        if engine == Engine::Postgres {
            databases.administer("CREATE ROLE rows_only LOGIN PASSWORD 'secret';");
        }
        let complete = TestServer::builder().databases(databases.clone()).prepare();
        restrict(&databases);
        let url = |whose| json!(databases.url_as(whose, "rows_only", "secret"));
        let restricted = TestServer::builder()
            .databases(databases.clone())
            .set("storage.db_url", url(Whose::Server))
            .set_signer("storage.db_url", url(Whose::Signer))
            .prepare();
        for name in ["server", "signer"] {
            let output = program(name, &[], &restricted);
            assert!(!output.status.success());
            let said = said(&output);
            assert!(
                said.contains("migrate up") && said.contains("denied"),
                "{engine:?}: {said}"
            );
            assert!(!said.contains("secret"), "{said}");
            migrate(name, "up", &complete);
        }
        restrict(&databases);
        let server = restricted.start();
        let alice = server.notary("alice");
        alice.run(["init", "example.com/app", "-p"]).ok();
        alice.run(["delete", "example.com/app", "--remote"]).ok();
    }
}
