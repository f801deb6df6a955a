//! The program itself: its command line, its environment, its exit status.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use signing::{KeyAlgorithm, SigningError};
use support::{Pki, timestamp};
use tuf::{Gun, RoleName};

struct Program {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
}

impl Program {
    fn start(pki: &Pki, configuration: &str, passphrase: Option<&str>) -> Self {
        let file = pki.path("signer.json");
        std::fs::write(&file, configuration).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign-signer"));
        command
            .arg("-config")
            .arg(file)
            .env_clear()
            .stderr(Stdio::piped())
            .stdout(Stdio::null());
        if let Some(passphrase) = passphrase {
            command.env("NOTARY_SIGNER_TIMESTAMP_1", passphrase);
        }
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, log }
    }

    /// Reads the log up to a line that contains `text`.
    fn wait_for(&mut self, text: &str) -> String {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(
                self.log.read_line(&mut line).unwrap(),
                0,
                "the log ended without {text}: {seen}"
            );
            if line.contains(text) {
                return line;
            }
            seen.push_str(&line);
        }
    }

    fn port(&mut self) -> u16 {
        let line = self.wait_for("\"listening\"");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        line["address"]
            .as_str()
            .unwrap()
            .rsplit_once(':')
            .unwrap()
            .1
            .parse()
            .unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CONFIGURATION: &str = r#"{
    "server": {
        "grpc_addr": "127.0.0.1:0",
        "tls_cert_file": "./signer.crt",
        "tls_key_file": "./signer.key",
        "client_ca_file": "./ca.crt"
    },
    "logging": {"level": "info"},
    "storage": {"backend": "sqlite3", "db_url": "program.db", "default_alias": "timestamp_1"}
}"#;

#[tokio::test]
async fn acknowledged_keys_and_versions_survive_sigkill() {
    let pki = Pki::new();
    let gun = Gun::parse("example.com/app").unwrap();
    let mut program = Program::start(&pki, CONFIGURATION, Some("testpassword"));
    let client = pki.client(program.port(), Some("notary-server"));
    let key = client
        .create_key(&gun, &RoleName::Timestamp, KeyAlgorithm::Ecdsa)
        .await
        .unwrap();
    client.sign(None, &key, &timestamp(7), None).await.unwrap();
    let waiting = client
        .create_key(&gun, &RoleName::Snapshot, KeyAlgorithm::Ed25519)
        .await
        .unwrap();
    program.signal(Signal::KILL);
    assert_eq!(program.exit_code(), None);

    let mut program = Program::start(&pki, CONFIGURATION, Some("testpassword"));
    let client = pki.client(program.port(), Some("notary-server"));
    assert_eq!(
        client.key_info(waiting.id()).await.unwrap().unwrap().public,
        waiting
    );
    assert!(matches!(
        client.sign(None, &key, &timestamp(6), None).await,
        Err(SigningError::Refused(_))
    ));
    client.sign(None, &key, &timestamp(7), None).await.unwrap();
}

// The client must be able to answer the signer's good-bye while this test waits for the log.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_and_sigint_end_it_with_success() {
    let pki = Pki::new();
    for signal in [Signal::TERM, Signal::INT] {
        let mut program = Program::start(&pki, CONFIGURATION, Some("testpassword"));
        let client = pki.client(program.port(), Some("notary-server"));
        client.health().await.unwrap();
        program.signal(signal);
        program.wait_for("\"stopped\"");
        assert_eq!(program.exit_code(), Some(0));
    }
}

#[tokio::test]
async fn a_missing_passphrase_is_reported_but_does_not_prevent_the_start() {
    let pki = Pki::new();
    let mut program = Program::start(&pki, CONFIGURATION, None);
    assert!(program.wait_for("NOTARY_SIGNER_TIMESTAMP_1").contains("ERROR"));
    let client = pki.client(program.port(), Some("notary-server"));
    assert!(matches!(client.health().await, Err(SigningError::Unavailable(_))));
    // What the trust server answers as 503: once the passphrase is set, the same call succeeds.
    let gun = Gun::parse("example.com/app").unwrap();
    let made = client
        .create_key(&gun, &RoleName::Timestamp, KeyAlgorithm::Ecdsa)
        .await;
    assert!(matches!(made, Err(SigningError::Unavailable(_))), "{made:?}");
}

#[tokio::test]
async fn keys_that_no_passphrase_opens_are_unavailable_and_not_lost() {
    let pki = Pki::new();
    let gun = Gun::parse("example.com/app").unwrap();
    let mut program = Program::start(&pki, CONFIGURATION, Some("testpassword"));
    let client = pki.client(program.port(), Some("notary-server"));
    let key = client
        .create_key(&gun, &RoleName::Timestamp, KeyAlgorithm::Ecdsa)
        .await
        .unwrap();
    drop(program);
    for passphrase in [None, Some("another one")] {
        let mut program = Program::start(&pki, CONFIGURATION, passphrase);
        let client = pki.client(program.port(), Some("notary-server"));
        let signed = client.sign(None, &key, &timestamp(1), None).await;
        assert!(
            matches!(signed, Err(SigningError::Unavailable(_))),
            "{passphrase:?}: {signed:?}"
        );
        assert!(client.health().await.is_err(), "{passphrase:?}");
    }
    let mut program = Program::start(&pki, CONFIGURATION, Some("testpassword"));
    let client = pki.client(program.port(), Some("notary-server"));
    client.sign(None, &key, &timestamp(1), None).await.unwrap();
}

#[test]
fn a_refused_configuration_is_one_line_and_exit_code_1() {
    let pki = Pki::new();
    let mut program = Program::start(&pki, &CONFIGURATION.replace("sqlite3", "oracle"), None);
    assert_eq!(program.exit_code(), Some(1));
    let lines: Vec<String> = program.log.by_ref().lines().map(Result::unwrap).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("storage.backend") && lines[0].contains("sqlite3, postgres, mysql, memory"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn an_unprotected_port_is_warned_about() {
    let pki = Pki::new();
    let open = CONFIGURATION.replace("\"client_ca_file\": \"./ca.crt\"", "\"client_ca_file\": \"\"");
    let mut program = Program::start(&pki, &open, Some("testpassword"));
    assert!(program.wait_for("ANYBODY").contains("WARN"));
}

#[tokio::test]
async fn the_audit_line_names_the_caller_and_not_the_content() {
    let pki = Pki::new();
    let mut program = Program::start(&pki, CONFIGURATION, Some("testpassword"));
    let client = pki.client(program.port(), Some("notary-server"));
    let gun = Gun::parse("example.com/app").unwrap();
    let key = client
        .create_key(&gun, &RoleName::Timestamp, KeyAlgorithm::Ecdsa)
        .await
        .unwrap();
    client.sign(None, &key, &timestamp(7), None).await.unwrap();
    let line = program.wait_for("Sign granted");
    for expected in [
        "\"peer.cn\":\"notary-server\"",
        key.id().as_str(),
        "example.com/app",
        "\"metadata.version\":7",
    ] {
        assert!(line.contains(expected), "{expected}: {line}");
    }
    assert!(!line.contains("2030-01-01"), "{line}");
}

#[test]
fn version_and_wrong_arguments_are_answered_in_the_notary_style() {
    let program = env!("CARGO_BIN_EXE_countersign-signer");
    let version = Command::new(program).arg("-version").output().unwrap();
    assert!(version.status.success());
    assert!(
        String::from_utf8(version.stdout)
            .unwrap()
            .contains(env!("CARGO_PKG_VERSION"))
    );
    assert!(!Command::new(program).output().unwrap().status.success());
}

/// Changes the configuration, or the files it names, and waits until the running signer has reloaded it.
fn reload(program: &mut Program, outcome: &str) -> String {
    program.signal(Signal::HUP);
    program.wait_for(outcome)
}

#[tokio::test]
async fn sighup_reloads_certificates_cas_and_allowed_clients() {
    let pki = Pki::new();
    let (gun, role) = (Gun::parse("example.com/app").unwrap(), RoleName::Timestamp);
    let mut program = Program::start(&pki, CONFIGURATION, Some("testpassword"));
    let port = program.port();
    let client = pki.client(port, Some("notary-server"));
    let make = async || client.create_key(&gun, &role, KeyAlgorithm::Ecdsa).await;
    let key = make().await.unwrap();

    // The connection stays, and its next call is judged by the new list.
    let file = pki.path("signer.json");
    let allowing = |names: &str| {
        let list = format!("\"client_ca_file\": \"./ca.crt\", \"allowed_clients\": [{names}]");
        CONFIGURATION.replace("\"client_ca_file\": \"./ca.crt\"", &list)
    };
    std::fs::write(&file, allowing("\"somebody-else\"")).unwrap();
    reload(&mut program, "\"reloaded");
    assert!(
        matches!(make().await, Err(SigningError::Refused(_))),
        "{:?}",
        make().await
    );
    std::fs::write(&file, allowing("\"notary-server\"")).unwrap();
    reload(&mut program, "\"reloaded");
    assert_eq!(make().await.unwrap(), key);

    // A mistake changes nothing, and is named.
    std::fs::write(&file, "{\"server\": {\"grpc_addr\": \"nonsense\"}}").unwrap();
    assert!(reload(&mut program, "the reload was refused").contains("server."));
    let without_ca = CONFIGURATION.replace("\"client_ca_file\": \"./ca.crt\"", "\"client_ca_file\": \"\"");
    std::fs::write(&file, without_ca).unwrap();
    assert!(reload(&mut program, "the reload was refused").contains("client_ca_file"));
    assert_eq!(make().await.unwrap(), key);

    // Another CA: who was let in by the old one is not any more, on the open connection either.
    let other = Pki::new();
    std::fs::write(&file, CONFIGURATION).unwrap();
    std::fs::copy(other.path("ca.crt"), pki.path("ca.crt")).unwrap();
    reload(&mut program, "\"reloaded");
    assert!(make().await.is_err());
    // The server's own certificate is reloaded too; clients that trust the new CA accept it.
    for name in ["signer.crt", "signer.key"] {
        std::fs::copy(other.path(name), pki.path(name)).unwrap();
    }
    reload(&mut program, "\"reloaded");
    let newcomer = other.client(port, Some("notary-server"));
    assert_eq!(
        newcomer
            .create_key(&gun, &role, KeyAlgorithm::Ecdsa)
            .await
            .unwrap(),
        key
    );
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));
}

#[tokio::test]
async fn changed_files_and_the_log_level_are_reloaded_without_a_signal() {
    let pki = Pki::new();
    let mut program = Program::start(&pki, CONFIGURATION, Some("testpassword"));
    program.port();
    // The key's file alone is not the certificate's.
    let other = Pki::new();
    std::fs::copy(other.path("signer.key"), pki.path("signer.key")).unwrap();
    assert!(
        program
            .wait_for("the reload was refused")
            .contains("a file changed")
    );
    std::fs::copy(other.path("signer.crt"), pki.path("signer.crt")).unwrap();
    assert!(program.wait_for("\"reloaded").contains("a file changed"));
    let quieter = CONFIGURATION.replace("\"level\": \"info\"", "\"level\": \"error\"");
    std::fs::write(pki.path("signer.json"), &quieter).unwrap();
    program.wait_for("\"reloaded");
    std::fs::write(pki.path("signer.json"), "{").unwrap();
    program.wait_for("the reload was refused");
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));
    let rest: Vec<String> = program.log.by_ref().lines().map(Result::unwrap).collect();
    assert!(!rest.iter().any(|line| line.contains("\"INFO\"")), "{rest:?}");
}
