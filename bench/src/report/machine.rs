//! What the measurements were made on.

use std::{fmt::Write as _, fs, process::Command, thread};

use chrono::Utc;
use tests::Engine;

use crate::{fault::Result, subject::DatabaseServers};

/// The machine, the versions of everything and the command.
pub fn described(servers: &DatabaseServers, command: &str) -> Result<String> {
    let mut text = String::from("| | |\n|---|---|\n");
    let mut row = |name: &str, value: &str| writeln!(text, "| {name} | {} |", value.trim());
    row("date", &Utc::now().format("%Y-%m-%d").to_string())?;
    row("command", &format!("`{command}`"))?;
    row("processor", &line_of("/proc/cpuinfo", "model name"))?;
    row("cores", &thread::available_parallelism()?.to_string())?;
    row("memory", &line_of("/proc/meminfo", "MemTotal"))?;
    row("kernel", &fs::read_to_string("/proc/sys/kernel/osrelease")?)?;
    row(
        "OpenSSL of ours and of the bare acceptor",
        openssl::version::version(),
    )?;
    row("Notary", &packaged("notary"))?;
    for (name, engine, question) in [
        ("PostgreSQL", Engine::Postgres, "SHOW server_version;"),
        ("MariaDB", Engine::Mysql, "SELECT version();"),
    ] {
        if let Some(server) = servers.running(engine) {
            row(name, &server.ask(question))?;
        }
    }
    text.push('\n');
    Ok(text)
}

/// What stands behind the colon in the first line of a file that begins with `name`.
fn line_of(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let found = text.lines().find(|line| line.starts_with(name));
    let value = found.and_then(|line| line.split_once(':'));
    value.map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

/// The version of a package.
fn packaged(name: &str) -> String {
    let query = Command::new("dpkg-query")
        .args(["--show", "--showformat=${Version}", name])
        .output();
    match query {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        _ => "unknown".to_owned(),
    }
}
