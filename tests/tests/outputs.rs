//! Output that cannot be written, to a closed pipe or a full device: commands finish and exit with a failure, and
//! daemons go on serving.

use std::{
    fs::File,
    io,
    process::{Command, ExitStatus, Stdio},
};

use serde_json::json;
use tests::{
    Stop, TestServer,
    process::{Daemon, built_programs, wait_until},
};

const GUN: &str = "reg/app";

/// A device that is always full.
fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// A pipe whose reading end is closed.
fn closed() -> Stdio {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn run(server: &TestServer, arguments: &[&str], stdout: Stdio, stderr: Stdio) -> (ExitStatus, String) {
    let program = if arguments[0] == "signer" {
        "countersign-signer"
    } else {
        "countersign-server"
    };
    let arguments = arguments.iter().filter(|argument| **argument != "signer");
    let output = Command::new(built_programs().join(program))
        .current_dir(server.path())
        .env(tests::server::PASSPHRASE.0, tests::server::PASSPHRASE.1)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    (output.status, String::from_utf8(output.stderr).unwrap())
}

/// Commands that succeed and print something.
const COMMANDS: [&[&str]; 10] = [
    &["check-config", "--config", "server.json"],
    &["check", "--config", "server.json"],
    &["signer", "check", "--config", "signer.json"],
    &["migrate", "status", "--config", "server.json"],
    &["signer", "migrate", "status", "--config", "signer.json"],
    &["expiry", "--config", "server.json", "--within", "1d"],
    &["deny", "list", "--config", "server.json"],
    &["account", "list", "--config", "server.json"],
    &["audit", "verify", "--config", "server.json"],
    &["--help"],
];

#[test]
fn no_command_panics_where_its_output_cannot_be_written() {
    let server = TestServer::builder().set("audit.table", json!(true)).start();
    server.notary("alice").run(["init", GUN, "-p"]).ok();
    for arguments in COMMANDS {
        let (status, said) = run(&server, arguments, Stdio::null(), Stdio::piped());
        assert!(status.success(), "{arguments:?}: {said}");
        let (status, said) = run(&server, arguments, closed(), Stdio::piped());
        assert!(
            status.success(),
            "{arguments:?} into a closed pipe: {status}: {said}"
        );
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
        if arguments[0] == "--help" {
            continue;
        }
        let (status, said) = run(&server, arguments, full(), Stdio::piped());
        assert_eq!(status.code(), Some(1), "{arguments:?} on a full device: {said}");
        assert!(
            said.contains("cannot write to standard output"),
            "{arguments:?}: {said}"
        );
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    }
    for stderr in [full(), closed()] {
        let (status, _) = run(&server, &["check", "--config", "missing.json"], full(), stderr);
        assert_eq!(status.code(), Some(1));
    }
}

#[test]
fn a_command_that_changes_something_goes_on_to_its_end() {
    let server = TestServer::start();
    let add = [
        "deny",
        "add",
        "--config",
        "server.json",
        "--principal",
        "user:eve",
        "--reason",
        "lost",
    ];
    let (_, said) = run(&server, &add, full(), Stdio::piped());
    assert!(said.contains("cannot write to standard output"), "{said}");
    let list = Command::new(built_programs().join("countersign-server"))
        .current_dir(server.path())
        .args(["deny", "list", "--config", "server.json"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&list.stdout).contains("lost"), "{list:?}");
}

#[test]
fn daemons_serve_although_their_log_cannot_be_written() {
    for format in ["json", "logfmt"] {
        for log in [full, closed] {
            let mut server = TestServer::builder().set("logging.level", json!("debug")).start();
            server.stop_server(Stop::Politely);
            let mut command = Command::new(built_programs().join("countersign-server"));
            command
                .current_dir(server.path())
                .args(["--config", "server.json", "--logf", format]);
            let mut daemon = Daemon::spawn_into(&mut command, [log(), log()]);
            wait_until("the server listens", || {
                std::net::TcpStream::connect(("127.0.0.1", server.port())).is_ok()
            });
            let alice = server.notary("alice");
            alice.run(["init", GUN, "-p"]).ok();
            alice.run(["list", GUN]).ok();
            alice.run(["list", "reg/none"]).fails();
            assert_eq!(daemon.stop(Stop::Politely), Some(0), "{format}");
        }
    }
}

#[test]
fn no_request_waits_for_a_log_that_nobody_reads() {
    let mut server = TestServer::builder().set("logging.level", json!("debug")).start();
    server.stop_server(Stop::Politely);
    // What the kernel holds of a pipe is soon full, and then every write of a log line would wait.
    let (unread, log) = io::pipe().unwrap();
    let mut command = Command::new(built_programs().join("countersign-server"));
    command
        .current_dir(server.path())
        .args(["--config", "server.json"]);
    let mut daemon = Daemon::spawn_into(&mut command, [Stdio::null(), log.into()]);
    wait_until("the server listens", || {
        std::net::TcpStream::connect(("127.0.0.1", server.port())).is_ok()
    });
    let mut connection = server.client("alice").open();
    for _ in 0..2000 {
        connection.get("/v2/").ok();
    }
    let figures = connection.get("/metrics").ok().text();
    assert!(
        figures.contains("countersign_log_lines_lost_total 0"),
        "{figures}"
    );
    assert_eq!(daemon.stop(Stop::Politely), Some(0));
    drop(unread);
}
