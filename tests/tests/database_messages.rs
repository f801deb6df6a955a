//! The messages when a database cannot be used: they give the reason in words and the file or host.

use std::{fs, path::Path};

use serde_json::json;
use tests::{
    DatabaseServer, Databases, Engine, TestServer, Whose,
    database::PASSWORD,
    messages::{CERTIFICATES, daemon_says, says, wrong_files},
    process::free_port,
    startup::{SERVER, SIGNER, changed, run},
};

/// The commands that are run with a database that cannot be used.
const DATABASE_COMMANDS: [(&str, &[&str]); 6] = [
    (SERVER, &["migrate", "status"]),
    (SERVER, &["migrate", "up"]),
    (SERVER, &["deny", "list"]),
    (SIGNER, &["migrate", "status"]),
    (SIGNER, &["migrate", "up"]),
    (SIGNER, &["check"]),
];

/// Runs the commands of both programs on a database that cannot be used, and checks that each says why.
#[track_caller]
fn database_fails(directory: &Path, backend: &str, url: &str, parts: &[&str]) {
    for (program, command) in DATABASE_COMMANDS {
        let config = storage(directory, program, backend, url);
        let (code, output) = run(program, directory, &[command, &["--config", &config]].concat());
        assert_eq!(code, Some(1), "{program} {command:?} {url}: {output}");
        says(&output, parts);
    }
}

fn storage(directory: &Path, program: &str, backend: &str, url: &str) -> String {
    let changes = [
        ("storage.backend", json!(backend)),
        ("storage.db_url", json!(url)),
    ];
    changed(directory, program, &changes)
}

#[test]
fn an_sqlite_file_that_cannot_be_used_is_named_with_the_reason() {
    let prepared = TestServer::builder().prepare();
    fs::create_dir(prepared.path().join("directory.db")).unwrap();
    fs::write(prepared.path().join("garbage.db"), "garbage ".repeat(1000)).unwrap();
    for (file, reason) in [
        ("directory.db", "it is a directory, not a file"),
        ("garbage.db", "it is not an SQLite database"),
        ("nowhere/at/all.db", "No such file"),
    ] {
        database_fails(prepared.path(), "sqlite3", file, &[file, reason]);
        for program in [SERVER, SIGNER] {
            let config = storage(prepared.path(), program, "sqlite3", file);
            let (code, output) = run(program, prepared.path(), &["--config", &config]);
            assert_eq!(code, Some(1), "{program} {file}: {output}");
            says(&output, &[file, reason]);
        }
    }
}

#[test]
fn a_database_server_that_is_not_there_is_named_with_the_reason() {
    let prepared = TestServer::builder().prepare();
    let port = free_port();
    let address = format!("127.0.0.1:{port}/d");
    for (backend, url, parts) in [
        (
            "postgres",
            format!("postgres://u:p@{address}"),
            [
                address.as_str(),
                "does not answer: the connection was refused; is it running there?",
            ],
        ),
        (
            "postgres",
            format!("postgres://u:p@nowhere.invalid:{port}/d"),
            [
                "nowhere.invalid",
                "there is no address for the host name \"nowhere.invalid\"",
            ],
        ),
        (
            "mysql",
            format!("u:p@tcp({address})").replace("/d)", ")/d"),
            [
                address.as_str(),
                "does not answer: no connection to its host and port; is it running there?",
            ],
        ),
        (
            "mysql",
            format!("u:p@tcp(nowhere.invalid:{port})/d"),
            [
                "nowhere.invalid",
                "there is no address for the host name 'nowhere.invalid'",
            ],
        ),
    ] {
        database_fails(prepared.path(), backend, &url, &parts);
        for program in [SERVER, SIGNER] {
            daemon_says(
                prepared.path(),
                program,
                &storage(prepared.path(), program, backend, &url),
                &parts,
            );
        }
    }
}

#[test]
fn a_database_server_that_refuses_a_login_is_named_with_the_reason() {
    let prepared = TestServer::builder().prepare();
    for (engine, password, database) in [
        (
            Engine::Postgres,
            "refuses the connection: password authentication failed for user \"tester\"",
            "refuses the connection: database \"nowhere\" does not exist",
        ),
        (
            Engine::Mysql,
            "refuses the connection: Access denied for user 'tester'@'localhost'",
            "refuses the connection: Unknown database 'nowhere'",
        ),
    ] {
        let databases = engine.databases();
        let wrong = databases.url_as(Whose::Server, "tester", "wrong");
        let name = databases.name(Whose::Server);
        let nowhere = databases.url(Whose::Server).replace(&name, "nowhere");
        for (url, reason) in [(&wrong, password), (&nowhere, database)] {
            let place = format!("127.0.0.1:{}/", databases.port());
            database_fails(prepared.path(), engine.name(), url, &[&place, reason]);
            for program in [SERVER, SIGNER] {
                let config = storage(prepared.path(), program, engine.name(), url);
                daemon_says(prepared.path(), program, &config, &[&place, reason]);
            }
        }
    }
}

/// The commands on a database with TLS, with these parameters.
#[track_caller]
fn tls_fails(directory: &Path, databases: &Databases, parameters: &str, parts: &[&str]) {
    let login = ("tester", PASSWORD);
    let url = databases.url_with(Whose::Server, login, "localhost", parameters);
    for (program, command) in DATABASE_COMMANDS {
        let config = storage(directory, program, databases.engine().name(), &url);
        let (code, output) = run(program, directory, &[command, &["--config", &config]].concat());
        assert_eq!(code, Some(1), "{program} {command:?} {parameters}: {output}");
        says(&output, parts);
    }
}

#[test]
fn what_is_wrong_with_tls_to_a_database_is_said_with_the_file() {
    let prepared = TestServer::builder().prepare();
    wrong_files(&prepared);
    let path = |name: &str| prepared.path().join(name).display().to_string();
    let (ca, other) = (path("pki/ca.pem"), path("weak.pem"));
    let (certificate, key) = (path("pki/other.pem"), path("pki/other-key.pem"));
    for engine in [Engine::Postgres, Engine::Mysql] {
        let called = prepared.pki().daemon_called("localhost");
        let server = DatabaseServer::start_with_tls(engine, &called);
        let databases = server.databases();
        let parameters = |ca: &str, certificate: &str, key: &str| match engine {
            Engine::Postgres => {
                format!("sslmode=verify-ca&sslrootcert={ca}&sslcert={certificate}&sslkey={key}")
            }
            _ => format!("tls=true&ssl-ca={ca}&ssl-cert={certificate}&ssl-key={key}"),
        };
        tls_fails(
            prepared.path(),
            &databases,
            &parameters(&other, &certificate, &key),
            &["certificate"],
        );
        for (file, reason) in CERTIFICATES {
            let file = path(file);
            tls_fails(
                prepared.path(),
                &databases,
                &parameters(&file, &certificate, &key),
                &[&file, reason],
            );
        }
        for (file, reason) in [
            ("encrypted-key.pem", "it is encrypted"),
            ("pki/server-key.pem", "does not belong to"),
        ] {
            let file = path(file);
            tls_fails(
                prepared.path(),
                &databases,
                &parameters(&ca, &certificate, &file),
                &[&file, reason],
            );
        }
    }
}
