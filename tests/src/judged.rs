//! Judging a configuration by every way that there is: the start, `check-config`, `check` and `doctor`.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::{
    Engine, Finished, Stop, TestServer,
    craft::{Wanted, der, oid},
    process::{Daemon, built_programs},
    server::{Prepared, set},
};

/// Changes of a configuration, and what is said because of them.
pub type Case<'a> = (Vec<(&'a str, Value)>, Vec<&'a str>);

/// The ways to judge a configuration that end by themselves.
pub const COMMANDS: [&[&str]; 3] = [
    &["check-config"],
    &["check"],
    &["doctor", "--home", "/nowhere", "--etc", "/nowhere"],
];

/// A configuration that a server would start with, without a signer, on SQLite.
pub fn prepared() -> Prepared {
    TestServer::builder()
        .database(Engine::Sqlite)
        .set("logging.level", json!("warn"))
        .set(
            "policy",
            json!([{"effect": "allow", "principals": ["*"], "actions": ["*"]}]),
        )
        .prepare()
}

/// Changes the server's configuration file.
pub fn change(prepared: &Prepared, changes: &[(&str, Value)]) {
    let path = prepared.path().join("server.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (key, value) in changes {
        set(&mut config, key, value.clone());
    }
    fs::write(path, config.to_string()).unwrap();
}

/// The program without root's right to read and write everything, so that the rights of files count.
fn program() -> Command {
    let program = built_programs().join("countersign-server");
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set=-all", "--inh-caps=-all"])
        .arg(program);
    command
}

pub fn run(prepared: &Prepared, command: &[&str]) -> Finished {
    let mut run = program();
    run.current_dir(prepared.path()).args(command);
    run.args(["--config", "server.json"]);
    Finished::run(&mut run, "")
}

pub fn tells(output: &str, causes: &[&str]) -> bool {
    let plain = output.replace("\\\"", "\"");
    causes.iter().all(|cause| plain.contains(cause))
}

/// Checks that neither the start nor any command takes the configuration, and that all of them say why.
#[track_caller]
pub fn refused_everywhere(prepared: &Prepared, causes: &[&str]) {
    let mut start = program();
    start
        .current_dir(prepared.path())
        .args(["--config", "server.json"]);
    let log = prepared.path().join("refused.log");
    let _ = fs::remove_file(&log);
    let mut daemon = Daemon::spawn(&mut start, &log);
    assert_eq!(daemon.wait(), Some(1), "{causes:?}: {}", daemon.log());
    assert!(tells(&daemon.log(), causes), "{causes:?}: {}", daemon.log());
    for command in COMMANDS {
        let finished = run(prepared, command);
        assert_eq!(finished.code, 1, "{causes:?}: {finished}");
        assert!(tells(&finished.output(), causes), "{causes:?}: {finished}");
        assert!(!finished.output().contains("is fine"), "{causes:?}: {finished}");
    }
}

/// Checks that the server starts with a warning, which every command gives too; `check-config` ends with `code`.
#[track_caller]
pub fn warned_everywhere(prepared: &Prepared, code: i32, causes: &[&str]) {
    let mut start = program();
    start
        .current_dir(prepared.path())
        .args(["--config", "server.json"]);
    let log = prepared.path().join("warned.log");
    let _ = fs::remove_file(&log);
    let mut daemon = Daemon::spawn(&mut start, &log);
    let address = (std::net::Ipv4Addr::LOCALHOST, prepared.port());
    daemon.wait_for("the server listens", || {
        std::net::TcpStream::connect(address).is_ok()
    });
    assert_eq!(daemon.stop(Stop::Politely), Some(0));
    // A thread of its own writes the log, to its end before the server does.
    let warned = daemon.log();
    assert!(
        tells(&warned, causes) && warned.contains("\"WARN\""),
        "{causes:?}: {warned}"
    );
    for command in COMMANDS {
        let finished = run(prepared, command);
        assert!(tells(&finished.output(), causes), "{causes:?}: {finished}");
        if command == COMMANDS[0] {
            assert_eq!(finished.code, code, "{causes:?}: {finished}");
        }
    }
}

/// Checks that nothing is found.
#[track_caller]
pub fn fine(prepared: &Prepared) {
    run(prepared, COMMANDS[0])
        .ok()
        .does_not_say("warning")
        .says("is fine");
}

pub fn for_localhost() -> Wanted {
    Wanted::client("localhost")
        .with(oid::PURPOSES, false, der::SERVER)
        .with(oid::ALTERNATIVE, false, &der::dns("localhost"))
}
