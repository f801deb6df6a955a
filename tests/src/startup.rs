//! Runs our programs until they end by themselves, with configurations that differ in a few keys.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::Value;

use crate::{
    process::{Daemon, built_programs},
    server::{PASSPHRASE, set},
};

/// The trust server's program.
pub const SERVER: &str = "countersign-server";
/// The signing service's program.
pub const SIGNER: &str = "countersign-signer";

/// Runs a program of ours until it ends by itself; returns its exit code and its whole output.
pub fn run(program: &str, directory: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    run_with(program, directory, arguments, &[])
}

/// [`run`] with these variables in its environment.
pub fn run_with(
    program: &str,
    directory: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> (Option<i32>, String) {
    static RUN: AtomicUsize = AtomicUsize::new(0);
    let log = directory.join(format!("run-{}.log", RUN.fetch_add(1, Ordering::Relaxed)));
    let mut command = Command::new(built_programs().join(program));
    command
        .current_dir(directory)
        .args(arguments)
        .env(PASSPHRASE.0, PASSPHRASE.1)
        .envs(environment.iter().copied());
    let mut daemon = Daemon::spawn(&mut command, &log);
    let code = daemon.wait();
    (code, daemon.log())
}

/// The name of the program's configuration file in a prepared directory.
pub fn file_of(program: &str) -> &'static str {
    if program == SERVER {
        "server.json"
    } else {
        "signer.json"
    }
}

/// The configuration of a program in this directory with some keys changed, in a file of its own.
pub fn changed(directory: &Path, program: &str, changes: &[(&str, Value)]) -> String {
    static FILE: AtomicUsize = AtomicUsize::new(0);
    let text = fs::read(directory.join(file_of(program))).unwrap();
    let mut config: Value = serde_json::from_slice(&text).unwrap();
    for (key, value) in changes {
        set(&mut config, key, value.clone());
    }
    let name = format!("changed-{}.json", FILE.fetch_add(1, Ordering::Relaxed));
    fs::write(directory.join(&name), config.to_string()).unwrap();
    name
}

/// Checks that the output is one line with all of `parts` in it.
#[track_caller]
pub fn one_line(output: &str, parts: &[&str]) {
    assert_eq!(output.trim_end().lines().count(), 1, "{output}");
    // Quotes are escaped in JSON log lines.
    let plain = output.replace("\\\"", "\"");
    for part in parts {
        assert!(plain.contains(part), "no {part:?} in {output}");
    }
}
