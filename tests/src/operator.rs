//! What an operator does at the command line, beside the running daemons.

use std::{ffi::OsStr, fs, path::Path, process::Command};

use crate::{
    process::{Finished, built_programs},
    server::{PASSPHRASE, TestServer},
};

impl TestServer {
    /// Runs `countersign-server COMMAND --config` of this server, with more arguments.
    pub fn operate<A: AsRef<OsStr>>(&self, command: &str, more: impl IntoIterator<Item = A>) -> Finished {
        let mut run = Command::new(built_programs().join("countersign-server"));
        run.arg(command)
            .arg("--config")
            .arg(self.path().join("server.json"))
            .args(more);
        Finished::run(&mut run, "")
    }

    /// Runs `countersign-signer check` with this passphrase, or without one.
    pub fn check_signer<A: AsRef<OsStr>>(
        &self,
        passphrase: Option<&str>,
        more: impl IntoIterator<Item = A>,
    ) -> Finished {
        let mut run = Command::new(built_programs().join("countersign-signer"));
        run.arg("check")
            .arg("--config")
            .arg(self.path().join("signer.json"))
            .args(more);
        if let Some(passphrase) = passphrase {
            run.env(PASSPHRASE.0, passphrase);
        }
        Finished::run(&mut run, "")
    }

    /// The passphrase of its signer.
    pub fn passphrase(&self) -> &'static str {
        PASSPHRASE.1
    }
}

/// The examples of a page of the documentation that are TOML, in their order.
pub fn documented_toml(page: &str) -> Vec<String> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs")).join(page);
    let text = fs::read_to_string(path).unwrap();
    let blocks = text.split("```toml\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}
