//! The messages when a file of TLS or the signer cannot be used: they give the reason in words and the file or host.
//! Lines of the libraries, which name C sources, never appear.

use std::{
    fs,
    io::Write,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt,
    process::Command,
};

use serde_json::{Value, json};
use tests::{
    Finished, TestPki, TestServer,
    messages::{CERTIFICATES, KEYS, daemon_says, in_words, says, wrong_files},
    process::{built_programs, free_port},
    server::PASSPHRASE,
    startup::{SERVER, SIGNER, changed, run},
};

#[test]
fn files_of_tls_that_cannot_be_used_are_named_with_the_reason() {
    let prepared = TestServer::builder().prepare();
    wrong_files(&prepared);
    type Table = [(&'static str, &'static str)];
    let places: [(&str, &str, &Table); 8] = [
        (SERVER, "server.tls_cert_file", &CERTIFICATES),
        (SERVER, "server.tls_key_file", &KEYS),
        (SERVER, "server.client_ca_file", &CERTIFICATES),
        (SERVER, "trust_service.tls_ca_file", &CERTIFICATES),
        (SERVER, "trust_service.tls_client_cert", &CERTIFICATES),
        (SERVER, "trust_service.tls_client_key", &KEYS),
        (SIGNER, "server.tls_cert_file", &CERTIFICATES),
        (SIGNER, "server.tls_key_file", &KEYS),
    ];
    for (program, key, table) in places {
        for (file, reason) in table {
            let config = changed(prepared.path(), program, &[(key, json!(file))]);
            let (code, output) = run(program, prepared.path(), &["--config", &config]);
            assert_eq!(code, Some(1), "{program} {key}={file}: {output}");
            says(&output, &[file, reason]);
        }
    }
    // The commands that judge a configuration say the same.
    for (program, command) in [(SERVER, "check-config"), (SERVER, "check"), (SIGNER, "check")] {
        for (file, reason) in KEYS {
            let config = changed(prepared.path(), program, &[("server.tls_key_file", json!(file))]);
            let (code, output) = run(program, prepared.path(), &[command, "--config", &config]);
            assert_eq!(code, Some(1), "{program} {command} {file}: {output}");
            says(&output, &[file, reason]);
        }
    }
    for program in [SERVER, SIGNER] {
        let weak = [
            ("server.tls_cert_file", json!("weak.pem")),
            ("server.tls_key_file", json!("weak-key.pem")),
        ];
        let config = changed(prepared.path(), program, &weak);
        let (code, output) = run(program, prepared.path(), &["--config", &config]);
        assert_eq!(code, Some(1), "{program}: {output}");
        says(&output, &["weak.pem", "its key is too small: use ECDSA P-256"]);
    }
}

#[test]
fn a_file_that_the_program_may_not_read_is_named() {
    let prepared = TestServer::builder().prepare();
    for (program, file, key) in [
        (SERVER, "server.json", "pki/server-key.pem"),
        (SIGNER, "signer.json", "pki/signer-key.pem"),
    ] {
        let path = prepared.path().join(key);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        for closed in [key, file] {
            fs::set_permissions(prepared.path().join(closed), fs::Permissions::from_mode(0o000)).unwrap();
            // Root may read everything, unless it gave that up.
            let mut command = if rustix::process::geteuid().is_root() {
                let mut command = Command::new("setpriv");
                command.args(["--bounding-set=-all", "--inh-caps=-all"]);
                command.arg(built_programs().join(program));
                command
            } else {
                Command::new(built_programs().join(program))
            };
            command.args(["--config", file]).current_dir(prepared.path());
            let refused = Finished::run(command.env(PASSPHRASE.0, PASSPHRASE.1), "").fails();
            says(&refused.output(), &[closed, "permission denied"]);
        }
    }
}

/// Keys of a configuration and their values.
type Changes = Vec<(&'static str, Value)>;

/// Signers that cannot be used: the changes of the server's configuration, and the reason in the message.
fn unusable_signers(pki: &TestPki) -> Vec<(&'static str, Changes, &'static str)> {
    let nobody = free_port();
    pki.stranger("server");
    vec![
        (
            "nobody listens",
            vec![("trust_service.port", json!(nobody.to_string()))],
            "Connection refused",
        ),
        (
            "no such host",
            vec![("trust_service.hostname", json!("nowhere.invalid"))],
            "nowhere.invalid",
        ),
        (
            "a signer of another CA",
            vec![("trust_service.tls_ca_file", json!("pki/stranger-ca.pem"))],
            "its certificate is not accepted: none of the CAs that are trusted here issued it",
        ),
        (
            "a signer that trusts another CA",
            vec![
                ("trust_service.tls_client_cert", json!("pki/stranger-server.pem")),
                (
                    "trust_service.tls_client_key",
                    json!("pki/stranger-server-key.pem"),
                ),
            ],
            "the other side does not trust the CA that issued our certificate",
        ),
        (
            "no client certificate",
            vec![
                ("trust_service.tls_client_cert", Value::Null),
                ("trust_service.tls_client_key", Value::Null),
            ],
            "the other side demands a client certificate and got none",
        ),
    ]
}

#[test]
fn a_signer_that_cannot_be_used_is_named_with_the_reason_on_both_sides() {
    let server = TestServer::builder().start();
    for (what, mut changes, reason) in unusable_signers(server.pki()) {
        changes.push(("server.http_addr", json!(format!("127.0.0.1:{}", free_port()))));
        let config = changed(server.path(), SERVER, &changes);
        for command in ["check", "doctor"] {
            let (code, output) = run(SERVER, server.path(), &[command, "--config", &config]);
            assert_eq!(code, Some(1), "{what}: {command}: {output}");
            says(&output, &["signer", reason]);
        }
        daemon_says(
            server.path(),
            SERVER,
            &config,
            &["the signer cannot be used now", ":", reason],
        );
    }
    let log = fs::read_to_string(server.path().join("signer.log")).unwrap();
    says(
        &log,
        &[
            "TLS handshake failed",
            "the other side does not trust the CA that issued our certificate",
        ],
    );
    says(
        &log,
        &["TLS handshake failed", "client certificate refused", "unknown_ca"],
    );
    says(
        &log,
        &[
            "TLS handshake failed",
            "the other side presented no certificate, and one is required",
        ],
    );
}

#[test]
fn a_signer_that_does_not_speak_tls_is_named_with_the_reason() {
    let prepared = TestServer::builder().prepare();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let config = changed(
        prepared.path(),
        SERVER,
        &[("trust_service.port", json!(port.to_string()))],
    );
    let (code, output) = run(SERVER, prepared.path(), &["check", "--config", &config]);
    assert_eq!(code, Some(1), "{output}");
    says(&output, &["signer", "the other side does not speak TLS"]);
}

#[test]
fn clients_that_break_a_handshake_are_logged_in_words() {
    let server = TestServer::builder().start();
    let stranger = TestPki::new(&server.path().join("elsewhere"));
    let address = format!("127.0.0.1:{}", server.port());
    for arguments in [
        &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"][..],
        &["-cipher", "AES128-SHA", "-tls1_2"],
        &["-CAfile", stranger.ca().to_str().unwrap(), "-verify_return_error"],
    ] {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &address]).args(arguments);
        Finished::run(&mut command, "");
    }
    tests::process::wait_until("the broken handshakes are logged", || {
        let log = server.log();
        log.contains("no version of TLS in common")
            && log.contains("no cipher in common")
            && log.contains("does not trust the CA that issued our certificate")
    });
    in_words(&server.log());
}

#[test]
fn files_for_another_server_are_named_with_the_reason() {
    let prepared = TestServer::builder().signs_locally().prepare();
    wrong_files(&prepared);
    let url = format!("https://localhost:{}", free_port());
    let mirror = ["mirror", "--config", "server.json", "--from", &url];
    let certificate = ["--tlscert", "pki/server.pem", "--tlskey"];
    let key = ["--tlskey", "pki/server-key.pem", "--tlscert"];
    let fails = |option: &[&str], file: &str, reason: &str| {
        let arguments = [&mirror[..], option, &[file, "reg/app"]].concat();
        let (code, output) = run(SERVER, prepared.path(), &arguments);
        assert_eq!(code, Some(1), "{option:?} {file}: {output}");
        says(&output, &[file, reason]);
    };
    for (file, reason) in CERTIFICATES {
        fails(&["--tlscacert"], file, reason);
        fails(&key, file, reason);
    }
    for (file, reason) in KEYS {
        fails(&certificate, file, reason);
    }
}

#[test]
fn a_token_bundle_that_cannot_be_used_is_named_with_the_reason() {
    let prepared = TestServer::builder().prepare();
    wrong_files(&prepared);
    for (file, reason) in CERTIFICATES {
        let options = json!({
            "realm": "https://auth.test/token", "service": "notary", "issuer": "auth.test", "rootcertbundle": file,
        });
        let token = json!({"type": "token", "options": options});
        let config = changed(prepared.path(), SERVER, &[("auth", token)]);
        let (code, output) = run(SERVER, prepared.path(), &["--config", &config]);
        assert_eq!(code, Some(1), "{file}: {output}");
        says(&output, &[file, reason]);
    }
}

#[test]
fn a_certificate_that_a_command_is_asked_about_is_named_with_the_reason() {
    let prepared = TestServer::builder().signs_locally().prepare();
    wrong_files(&prepared);
    for command in [&["whoami"][..], &["deny", "add"]] {
        for (file, reason) in CERTIFICATES {
            let arguments = [command, &["--config", "server.json", "--cert", file]].concat();
            let (code, output) = run(SERVER, prepared.path(), &arguments);
            assert_eq!(code, Some(1), "{command:?} {file}: {output}");
            says(&output, &[file, reason]);
        }
    }
}
