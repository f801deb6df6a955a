//! The programs of a test server.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use crate::{
    namespace::Place,
    process::{Daemon, built_programs, fake_time_library, installed_program},
};

/// The signer's passphrase in every test: that of the captured databases.
pub const PASSPHRASE: (&str, &str) = ("NOTARY_SIGNER_TIMESTAMP_1", "testpassword");

/// Whose programs run. They take the same configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Programs {
    /// The ones under test.
    Ours,
    /// Notary's, from Debian.
    Notarys,
    /// Ours, as they were built into this directory earlier.
    BuiltInto(&'static Path),
}

impl Programs {
    fn program(self, name: &str) -> PathBuf {
        match self {
            Self::Ours => built_programs().join(format!("countersign-{name}")),
            Self::Notarys => installed_program(&format!("notary-{name}"), "notary"),
            Self::BuiltInto(directory) => directory.join(format!("countersign-{name}")),
        }
    }
}

pub(super) fn start_server(
    programs: Programs,
    place: &Place,
    directory: &Path,
    port: u16,
    days_ago: u32,
    descriptors: Option<u32>,
) -> Daemon {
    let program = programs.program("server");
    let mut command = match descriptors {
        None => place.command(&program),
        // The wrapper replaces itself by the program.
        Some(count) => {
            let mut command = place.command(Path::new("prlimit"));
            command.arg(format!("--nofile={count}")).arg(program);
            command
        }
    };
    command.arg("-config").arg(directory.join("server.json"));
    if days_ago > 0 {
        // Without the program `faketime`, which would be the process that gets the signals.
        command
            .env("LD_PRELOAD", fake_time_library())
            .env("FAKETIME", format!("-{days_ago}d"))
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
    let mut daemon = Daemon::spawn(&mut command, &directory.join("server.log"));
    daemon.wait_for("the server listens", || place.reachable(place.address(), port));
    daemon
}

pub(super) fn start_signer(programs: Programs, place: &Place, directory: &Path, port: u16) -> Daemon {
    let mut command = place.command(&programs.program("signer"));
    command
        .arg("-config")
        .arg(directory.join("signer.json"))
        .env(PASSPHRASE.0, PASSPHRASE.1);
    let mut daemon = Daemon::spawn(&mut command, &directory.join("signer.log"));
    daemon.wait_for("the signer listens", || {
        place.reachable(Ipv4Addr::LOCALHOST.into(), port)
    });
    daemon
}
