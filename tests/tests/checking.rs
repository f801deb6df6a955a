//! `check` of server and signer reports what would fail and what to do, and changes nothing.

use std::fs;

use tests::{
    Engine, Finished, Stop, TestServer, Whose,
    startup::{SIGNER, run},
};

const GUN: &str = "registry.example.com/team/app";
const NOTHING: [&str; 0] = [];

/// A server with one repository whose root was rotated once and whose snapshot key the server holds.
fn server() -> TestServer {
    let server = TestServer::start();
    let alice = server.notary("alice");
    alice.run(["init", GUN, "-p"]).ok();
    alice.add_and_publish(GUN, "v1", "one");
    alice.run(["key", "rotate", GUN, "snapshot", "-r"]).ok();
    server
}

fn check(server: &TestServer) -> Finished {
    server.operate("check", NOTHING)
}

#[test]
fn a_server_in_order_passes_and_nothing_is_changed() {
    let mut server = server();
    check(&server)
        .ok()
        .says("fine: the configuration and the files that it names")
        .says("is healthy")
        .says("fine: the database answers; 1 repository in it")
        .says("fine: the signer has the timestamp keys of the 1 repository it was asked for")
        .says("the snapshot keys of 1 of them")
        .says("1 repository checked, nothing is broken");
    server.operate("check", [GUN]).ok().says("1 repository checked");
    server
        .operate("check", ["no/such"])
        .fails()
        .says("no/such: nothing is stored of this repository");
    server.stop_server(Stop::Politely);
    let before = server.contents(Whose::Server);
    check(&server).ok();
    assert_eq!(server.contents(Whose::Server), before);
}

#[test]
fn everything_broken_in_a_repository_is_reported() {
    let mut server = server();
    server.stop_server(Stop::Politely);
    let replaced = |text: &str| format!("replace({text}, '\"version\":', '\"version\":1')");
    let altered = match server.engine() {
        Engine::Sqlite => replaced("CAST(data AS TEXT)"),
        Engine::Postgres => format!("convert_to({}, 'UTF8')", replaced("convert_from(data, 'UTF8')")),
        Engine::Mysql => replaced("data"),
    };
    server.execute(
        Whose::Server,
        &format!(
            "UPDATE tuf_files SET data = {altered} WHERE role = 'root' AND version = 1;
             DELETE FROM tuf_files WHERE role = 'targets';"
        ),
    );
    check(&server)
        .fails()
        .says(&format!(
            "broken: {GUN}: root version 1: it says that it is version 11"
        ))
        .says(&format!(
            "broken: {GUN}: root version 1: it is not signed by enough of its own root keys"
        ))
        .says(&format!(
            "broken: {GUN}: targets: the snapshot names a document that is not stored"
        ))
        .says("from a backup")
        .says("3 broken");
}

#[test]
fn rows_without_checksum_are_reported() {
    let mut server = server();
    server.stop_server(Stop::Politely);
    server.execute(
        Whose::Server,
        "UPDATE tuf_files SET sha256 = NULL WHERE role = 'root'",
    );
    check(&server).fails().says("2 rows of tuf_files have no sha256");
}

#[test]
fn documents_that_expire_soon_are_reported_and_break_nothing() {
    let server = server();
    check(&server).ok().does_not_say("expiring");
    // The CLI gives targets three years. The timestamp, which the server renews, is not worth a line.
    server
        .operate("check", ["--days", "1200"])
        .ok()
        .says(&format!("expiring: {GUN}: targets version 3: it expires at"))
        .does_not_say("timestamp version");
}

#[test]
fn a_signer_that_is_away_or_has_other_keys_is_reported() {
    let mut server = server();
    server.stop_signer(Stop::Politely);
    check(&server)
        .fails()
        .says("broken: the signer at localhost:")
        .says("without it nobody can publish")
        .says("Its keys were not checked");
    server.execute(Whose::Signer, "DELETE FROM private_keys");
    server.start_signer();
    check(&server)
        .fails()
        .says(&format!(
            "broken: {GUN}: the signer does not have its timestamp key"
        ))
        .says(&format!("notary key rotate {GUN} timestamp -r"))
        .says("the snapshot keys of 0 of them");
}

#[test]
fn the_signer_is_asked_for_a_sample_unless_told_otherwise() {
    let mut server = server();
    server.stop_server(Stop::Politely);
    // Their roots are for another name, but their keys are known.
    for number in 0..40 {
        let columns = "created_at, updated_at, role, version, data, sha256";
        server.execute(
            Whose::Server,
            &format!(
                "INSERT INTO tuf_files (gun, {columns}) SELECT 'copy/{number}', {columns} FROM tuf_files \
                 WHERE gun = '{GUN}'"
            ),
        );
    }
    check(&server)
        .fails()
        .says("timestamp keys of the 14 repositories it was asked for")
        .says("--all asks for every repository");
    server
        .operate("check", ["--all"])
        .fails()
        .says("timestamp keys of the 41 repositories it was asked for")
        .does_not_say("--all");
}

#[test]
fn a_missing_database_is_not_created() {
    let mut server = server();
    server.stop_server(Stop::Politely);
    server.remove_database(Whose::Server);
    let reason = match server.engine() {
        Engine::Sqlite => "there is no database at",
        Engine::Postgres => "does not exist",
        Engine::Mysql => "Unknown database",
    };
    for _ in 0..2 {
        check(&server).fails().says(reason);
    }
}

#[test]
fn a_database_without_the_tables_is_named_with_what_makes_them() {
    let mut server = server();
    server.stop_server(Stop::Politely);
    server.stop_signer(Stop::Politely);
    server.execute(
        Whose::Server,
        "DROP TABLE change_actors; DROP TABLE tuf_files; DROP TABLE __diesel_schema_migrations;",
    );
    check(&server)
        .fails()
        .says("the database lacks the migrations 0001_notary_base")
        .says("countersign-server migrate up");
    server.execute(
        Whose::Signer,
        "DROP TABLE private_keys; DROP TABLE __diesel_schema_migrations;",
    );
    let (code, output) = run(SIGNER, server.path(), &["check", "--config", "signer.json"]);
    assert_eq!(code, Some(1), "{output}");
    assert!(
        output.contains("lacks the migrations 1001_notary_base"),
        "{output}"
    );
    assert!(output.contains("countersign-signer migrate up"), "{output}");
}

#[test]
fn a_database_of_an_older_program_is_read_as_it_is() {
    let mut server = server();
    server.stop_server(Stop::Politely);
    server.execute(
        Whose::Server,
        "DROP TABLE change_actors; DROP TABLE __diesel_schema_migrations;",
    );
    let before = server.contents(Whose::Server);
    check(&server)
        .ok()
        .says("1 repository checked, nothing is broken");
    assert_eq!(server.contents(Whose::Server), before);
}

#[test]
fn files_that_the_server_could_not_start_with_are_reported() {
    let server = server();
    fs::write(server.path().join("pki/ca.pem"), "no certificate").unwrap();
    check(&server)
        .fails()
        .says("broken: the server would not start")
        .says("pki/ca.pem");
}

#[test]
fn keys_that_the_passphrase_opens_pass() {
    let server = server();
    for more in [&[][..], &["--all"]] {
        server
            .check_signer(Some(server.passphrase()), more)
            .ok()
            .says("fine: the passphrase in NOTARY_SIGNER_TIMESTAMP_1 opens 2 of 2 keys with the alias timestamp_1")
            .says("2 keys checked, nothing is broken");
    }
}

#[test]
fn a_missing_or_wrong_passphrase_is_reported_with_its_variable() {
    let mut server = server();
    let variable = "NOTARY_SIGNER_TIMESTAMP_1";
    server
        .check_signer(None, NOTHING)
        .fails()
        .says(&format!("set the environment variable {variable}"))
        .says("the keys sealed with it (2) cannot be used");
    server
        .check_signer(Some("another"), NOTHING)
        .fails()
        .says(&format!(
            "broken: the passphrase in {variable} opens none of the keys"
        ));
    server.stop_signer(Stop::Politely);
    let before = server.contents(Whose::Signer);
    server.check_signer(Some("another"), ["--all"]).fails();
    assert_eq!(server.contents(Whose::Signer), before);
    server.execute(
        Whose::Signer,
        "UPDATE private_keys SET passphrase_alias = 'older.one' WHERE role = 'snapshot'",
    );
    server
        .check_signer(Some(server.passphrase()), NOTHING)
        .fails()
        .says("set the environment variable NOTARY_SIGNER_OLDER_ONE; the keys sealed with it (1) cannot be used")
        .says(&format!("fine: the passphrase in {variable} opens 1 of 1 keys"));
}

#[test]
fn damaged_keys_are_reported_one_by_one() {
    let mut server = server();
    server.stop_signer(Stop::Politely);
    server.execute(
        Whose::Signer,
        "UPDATE private_keys SET public = (SELECT public FROM private_keys WHERE role = 'snapshot') \
         WHERE role = 'timestamp'",
    );
    server
        .check_signer(Some(server.passphrase()), NOTHING)
        .fails()
        .says(&format!("(timestamp of {GUN})"))
        .says("its public key belongs to another private key")
        .says("opens 1 of 2 keys");
}
