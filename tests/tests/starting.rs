//! Starts with right and wrong configurations, and the messages about wrong ones.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    process::Command,
};

use serde_json::{Value, json};
use tests::{
    Stop, TestServer,
    process::{Daemon, built_programs, free_port},
    publisher::Publisher,
    startup::{SERVER, SIGNER, changed, one_line, run, run_with},
};

#[test]
fn every_wrong_value_of_the_server_is_named_with_what_is_allowed() {
    let prepared = TestServer::builder().prepare();
    let cases: [(&str, Value, &[&str]); 19] = [
        (
            "storage.backend",
            json!("oracle"),
            &["\"oracle\"", "allowed: ", "sqlite3"],
        ),
        ("storage.backend", Value::Null, &["sqlite3"]),
        (
            "trust_service.type",
            json!("hsm"),
            &["\"hsm\"", "allowed: local, remote"],
        ),
        ("trust_service.type", Value::Null, &["remote or local"]),
        ("trust_service.hostname", Value::Null, &["host name"]),
        ("trust_service.port", json!(70_000), &["70000", "from 1 to 65535"]),
        (
            "trust_service.key_algorithm",
            json!("rsa"),
            &["\"rsa\"", "allowed: ecdsa, ed25519"],
        ),
        ("trust_service.tls_client_key", Value::Null, &["both"]),
        ("server.http_addr", json!("4443"), &["\"4443\"", "host:port"]),
        ("server.http_addr", Value::Null, &["host:port"]),
        ("server.tls_key_file", Value::Null, &["both"]),
        (
            "server.shutdown_timeout",
            json!("soon"),
            &["\"soon\"", "from 0 to 3600"],
        ),
        (
            "logging.level",
            json!("loud"),
            &["\"loud\"", "allowed: panic, fatal, error, warn"],
        ),
        (
            "caching.max_age.current_metadata",
            json!(-1),
            &["-1", "from 0 to 31536000"],
        ),
        (
            "caching.max_age.consistent_metadata",
            json!("x"),
            &["\"x\"", "from 0 to 31536000"],
        ),
        (
            "repositories.gun_prefixes",
            json!(["a/", "docker.io"]),
            &["\"docker.io\"", "ends in one slash"],
        ),
        (
            "tls.client_auth",
            json!("maybe"),
            &["\"maybe\"", "allowed: off, request, require"],
        ),
        ("tls.advertise_cas", json!(true), &["true"]),
        ("limits.publish_bytes", json!(0), &["0", "from 1 to"]),
    ];
    for (key, value, parts) in cases {
        let file = changed(prepared.path(), SERVER, &[(key, value)]);
        for arguments in [&["-config", &file][..], &["check-config", "--config", &file]] {
            let (code, output) = run(SERVER, prepared.path(), arguments);
            assert_eq!(code, Some(1), "{key}: {output}");
            one_line(&output, &[&[key][..], parts].concat());
        }
    }
}

#[test]
fn every_wrong_value_of_the_signer_is_named_with_what_is_allowed() {
    let prepared = TestServer::builder().prepare();
    let cases: [(&str, Value, &[&str]); 10] = [
        (
            "storage.backend",
            json!("oracle"),
            &["\"oracle\"", "allowed: ", "sqlite3"],
        ),
        ("storage.backend", Value::Null, &["sqlite3"]),
        ("storage.db_url", Value::Null, &[]),
        ("storage.default_alias", Value::Null, &["passphrase"]),
        (
            "storage.default_alias",
            json!("a".repeat(51)),
            &["aaa", "1 to 50"],
        ),
        ("server.grpc_addr", json!("7899"), &["\"7899\"", "host:port"]),
        ("server.tls_cert_file", Value::Null, &["PEM"]),
        ("server.tls_key_file", Value::Null, &["PEM"]),
        (
            "signing.policy",
            json!("all"),
            &["\"all\"", "allowed: metadata, any"],
        ),
        (
            "logging.level",
            json!("loud"),
            &["\"loud\"", "allowed: panic, fatal, error, warn"],
        ),
    ];
    for (key, value, parts) in cases {
        // The last one wins.
        let changes = [("logging.level", json!("error")), (key, value)];
        let file = changed(prepared.path(), SIGNER, &changes);
        let (code, output) = run(SIGNER, prepared.path(), &["-config", &file]);
        assert_eq!(code, Some(1), "{key}: {output}");
        one_line(&output, &[&[key][..], parts].concat());
    }
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let prepared = TestServer::builder().prepare();
    let pki = prepared.pki();
    let stranger = pki.user("stranger").key;
    let stranger = stranger.to_str().unwrap();
    fs::write(prepared.path().join("garbage.pem"), "garbage").unwrap();
    for (program, keys) in [
        (
            SERVER,
            &[
                "server.tls_cert_file",
                "server.tls_key_file",
                "server.client_ca_file",
            ][..],
        ),
        (
            SIGNER,
            &[
                "server.tls_cert_file",
                "server.tls_key_file",
                "server.client_ca_file",
            ],
        ),
        (
            SERVER,
            &[
                "trust_service.tls_ca_file",
                "trust_service.tls_client_cert",
                "trust_service.tls_client_key",
            ],
        ),
    ] {
        for key in keys {
            for wrong in ["nowhere.pem", "garbage.pem", "pki"] {
                let changes = [(*key, json!(wrong)), ("logging.level", json!("error"))];
                let file = changed(prepared.path(), program, &changes);
                let (code, output) = run(program, prepared.path(), &["-config", &file]);
                assert_eq!(code, Some(1), "{key} = {wrong}: {output}");
                one_line(&output, &[wrong]);
            }
        }
    }
    // A key that belongs to another certificate.
    for (program, key) in [
        (SERVER, "server.tls_key_file"),
        (SIGNER, "server.tls_key_file"),
        (SERVER, "trust_service.tls_client_key"),
    ] {
        let changes = [(key, json!(stranger)), ("logging.level", json!("error"))];
        let file = changed(prepared.path(), program, &changes);
        let (code, output) = run(program, prepared.path(), &["-config", &file]);
        assert_eq!(code, Some(1), "{program} {key}: {output}");
        one_line(&output, &["stranger-key.pem"]);
    }
    for (program, key) in [(SERVER, "storage.db_url"), (SIGNER, "storage.db_url")] {
        let changes = [
            ("storage.backend", json!("sqlite3")),
            (key, json!("/nowhere/at/all.db")),
            ("logging.level", json!("error")),
        ];
        let file = changed(prepared.path(), program, &changes);
        let (code, output) = run(program, prepared.path(), &["-config", &file]);
        assert_eq!(code, Some(1), "{program}: {output}");
        one_line(&output, &["/nowhere/at/all.db"]);
    }
}

#[test]
fn a_configuration_that_cannot_be_read_is_named() {
    let prepared = TestServer::builder().prepare();
    let directory = prepared.path();
    fs::write(directory.join("half.json"), "{\"server\": {").unwrap();
    fs::write(directory.join("list.json"), "[]").unwrap();
    fs::write(directory.join("server.ini"), "").unwrap();
    for program in [SERVER, SIGNER] {
        for (file, part) in [
            ("nowhere.json", "No such file"),
            ("half.json", "line 1"),
            ("list.json", "object"),
            ("server.ini", "json, toml, yaml"),
        ] {
            let (code, output) = run(program, directory, &["-config", file]);
            assert_eq!(code, Some(1), "{program} {file}: {output}");
            one_line(&output, &[file, part]);
        }
        let (code, output) = run(program, directory, &["-nonsense"]);
        assert_eq!(code, Some(2), "{output}");
        let (code, output) = run(program, directory, &["-version"]);
        assert_eq!(code, Some(0), "{output}");
        one_line(&output, &[program, env!("CARGO_PKG_VERSION")]);
        let (code, output) = run(program, directory, &["-h"]);
        assert_eq!(code, Some(0), "{output}");
        assert!(output.contains("--config"), "{output}");
        let (code, output) = run(program, directory, &[]);
        assert!(
            matches!(code, Some(1 | 2)) && output.contains("--config"),
            "{code:?} {output}"
        );
    }
}

#[test]
fn an_address_that_is_taken_is_named() {
    let prepared = TestServer::builder().prepare();
    for (program, port, key) in [
        (SERVER, prepared.port(), "server.http_addr"),
        (SIGNER, prepared.signer_port(), "server.grpc_addr"),
    ] {
        let _other = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let file = changed(prepared.path(), program, &[("logging.level", json!("error"))]);
        let (code, output) = run(program, prepared.path(), &["--config", &file]);
        assert_eq!(code, Some(1), "{program}: {output}");
        one_line(&output, &[&format!("127.0.0.1:{port}"), key, "in use"]);
    }
}

#[test]
fn a_notary_file_with_every_key_starts_the_server_unmodified() {
    let prefixes = json!(["docker.io/", "a/b/"]);
    let server = TestServer::builder()
        .set("Repositories.Gun_Prefixes", prefixes)
        .set("logging.level", json!("INFO"))
        .set("caching.max_age.current_metadata", json!(60))
        .set("caching.max_age.consistent_metadata", json!("3600"))
        .set(
            "reporting.bugsnag.api_key",
            json!("c9d60ae4c7e70c4b6c4ebd3e8056d2b8"),
        )
        .set("reporting.bugsnag.release_stage", json!("production"))
        .set("reporting.bugsnag.endpoint", json!("https://bugs.example.com"))
        .start();
    let alice = server.notary("alice");
    alice.run(["init", "docker.io/library/app", "-p"]).ok();
    alice.add_and_publish("docker.io/library/app", "v1", "one");
    alice.run(["init", "elsewhere/app", "-p"]).fails();
    assert_eq!(server.notary("bob").targets("docker.io/library/app"), ["v1"]);
    assert!(!server.log().contains("nobody reads"), "{}", server.log());
}

#[test]
fn toml_and_yaml_say_the_same_as_json() {
    let prepared = TestServer::builder().prepare();
    let files = [
        (
            "server.toml",
            "[server]\nhttp_addr = \"127.0.0.1:4443\"\n\n[trust_service]\ntype = \"local\"\n\n\
             [storage]\nbackend = \"memory\"\n",
        ),
        (
            "server.yaml",
            "server:\n  http_addr: 127.0.0.1:4443\ntrust_service: {type: local}\nstorage:\n  backend: memory\n",
        ),
    ];
    for (name, text) in files {
        fs::write(prepared.path().join(name), text).unwrap();
        let (code, output) = run(SERVER, prepared.path(), &["check-config", "--config", name]);
        assert_eq!(code, Some(0), "{output}");
        one_line(&output, &[name, "is fine"]);
        let wrong = text.replace("memory", "oracle");
        fs::write(prepared.path().join(name), wrong).unwrap();
        let (code, output) = run(SERVER, prepared.path(), &["check-config", "--config", name]);
        assert_eq!(code, Some(1), "{output}");
        one_line(&output, &["storage.backend", "\"oracle\""]);
    }
}

#[test]
fn the_environment_wins_over_the_file() {
    let prepared = TestServer::builder().signs_locally().prepare();
    let directory = prepared.path();
    let (code, output) = run_with(
        SERVER,
        directory,
        &["-config", "server.json"],
        &[("NOTARY_SERVER_LOGGING_LEVEL", "loud")],
    );
    assert_eq!(code, Some(1));
    one_line(&output, &["logging.level", "\"loud\""]);
    let (code, output) = run_with(
        SIGNER,
        directory,
        &["-config", "signer.json"],
        &[
            ("NOTARY_SIGNER_STORAGE_BACKEND", "oracle"),
            ("NOTARY_SIGNER_LOGGING_LEVEL", "error"),
        ],
    );
    assert_eq!(code, Some(1));
    one_line(&output, &["storage.backend", "\"oracle\""]);

    let port = free_port();
    let mut command = Command::new(built_programs().join(SERVER));
    command
        .args(["--config", "server.json"])
        .current_dir(directory)
        .env("NOTARY_SERVER_SERVER_HTTP_ADDR", format!("127.0.0.1:{port}"))
        // A section that the file does not have, and a list.
        .env("NOTARY_SERVER_REPOSITORIES_GUN_PREFIXES", "a/ b/c/")
        // Empty is unset.
        .env("NOTARY_SERVER_STORAGE_BACKEND", "");
    let mut daemon = Daemon::spawn(&mut command, &directory.join("environment.log"));
    daemon.wait_for("the server listens where the environment says", || {
        std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
    });
    let client = tests::Client::new(port, &prepared.pki().user("alice"), true);
    let refused = client.publish("elsewhere", &[]).refuses(400, "INVALID_GUN");
    assert_eq!(refused["detail"], "Require GUNs with prefix: [a/ b/c/]");
    assert_eq!(daemon.stop(Stop::Politely), Some(0));
}

#[test]
fn with_the_memory_backend_everything_works_until_the_end() {
    let mut server = TestServer::builder()
        .set("storage", json!({"backend": "memory"}))
        .start();
    let client = server.client("alice");
    Publisher::new(&client, "reg/app", "reg/app").publish_first(&client, "reg/app");
    assert_eq!(server.notary("bob").targets("reg/app"), ["v1"]);
    assert!(!server.database().exists());
    server.restart_server(Stop::Politely);
    let root = "/v2/reg/app/_trust/tuf/root.json";
    client.get(root).refuses(404, "METADATA_NOT_FOUND");
}

#[test]
fn files_with_a_byte_order_mark_are_read_and_utf16_is_named() {
    let prepared = TestServer::builder().prepare();
    let text = fs::read(prepared.path().join("server.json")).unwrap();
    let mark = |content: &[u8]| [b"\xef\xbb\xbf", content].concat();
    for name in [
        "server.json",
        "pki/ca.pem",
        "pki/server.pem",
        "pki/server-key.pem",
    ] {
        let path = prepared.path().join(name);
        let content = fs::read(&path).unwrap();
        fs::write(&path, mark(&content)).unwrap();
    }
    let (code, output) = run(
        SERVER,
        prepared.path(),
        &["check-config", "--config", "server.json"],
    );
    assert_eq!(code, Some(0), "{output}");
    let wide: Vec<u8> = String::from_utf8(text)
        .unwrap()
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    fs::write(
        prepared.path().join("server.json"),
        [b"\xff\xfe", wide.as_slice()].concat(),
    )
    .unwrap();
    let (code, output) = run(
        SERVER,
        prepared.path(),
        &["check-config", "--config", "server.json"],
    );
    assert_eq!(code, Some(1), "{output}");
    one_line(&output, &["server.json", "UTF-16; save it as UTF-8"]);
}
