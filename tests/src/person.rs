//! People who sign with `countersign` and `notary` by turns.

use std::path::PathBuf;

use openssl::sha::sha256;
use serde_json::Value;

use crate::{Notary, TestServer, countersign::Countersign, process::Finished};

/// The repository that they sign.
pub const GUN: &str = "reg.example:5000/team/app";
/// What every key is encrypted with, here and by notary.
pub const PASSPHRASE: &str = "passphrase";

/// Somebody with a certificate who signs with `countersign` and `notary` and one trust directory.
pub struct Person {
    /// Their `countersign`.
    pub client: Countersign,
    /// Their `notary`.
    pub notary: Notary,
}

impl Person {
    /// A user of the server.
    pub fn of(server: &TestServer, user: &str) -> Self {
        Self {
            client: Countersign::of(server, user),
            notary: server.notary(user),
        }
    }

    /// Runs `countersign` at the server, with the passphrase of the keys.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        self.run_with(arguments, PASSPHRASE)
    }

    /// The same with another passphrase.
    pub fn run_with(&self, arguments: &[&str], passphrase: &str) -> Finished {
        let mut command = self.client.command_at_server(arguments);
        command
            .arg("--trust-dir")
            .arg(self.notary.trust())
            .env("COUNTERSIGN_PASSPHRASE", passphrase);
        Finished::run(&mut command, "")
    }

    /// Works on keys alone, without a server.
    pub fn key(&self, arguments: &[&str]) -> Finished {
        let mut command = self.client.command(&["key"]);
        command
            .args(arguments)
            .arg("--trust-dir")
            .arg(self.notary.trust())
            .env("COUNTERSIGN_PASSPHRASE", PASSPHRASE);
        Finished::run(&mut command, "")
    }

    /// Signs content under a tag.
    #[track_caller]
    pub fn sign(&self, tag: &str, content: &str, arguments: &[&str]) {
        let digest = format!("sha256:{}", digest(content));
        let size = content.len().to_string();
        let image = format!("{GUN}:{tag}");
        let mut all = vec!["sign", &image, "--digest", &digest, "--size", &size];
        all.extend(arguments);
        let signed = self.run(&all).ok();
        assert_eq!(signed.stdout.trim(), format!("{image}@{digest}"), "{signed}");
    }

    /// What `inspect --json` prints.
    #[track_caller]
    pub fn inspect(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["inspect", GUN, "--json"];
        all.extend(arguments);
        serde_json::from_str(&self.run(&all).ok().stdout).unwrap()
    }

    /// Checks what `notary` finds for a tag.
    #[track_caller]
    pub fn notary_finds(&self, tag: &str, content: &str) {
        let found = self.notary.run(["lookup", GUN, tag]).ok();
        let expected = format!("{tag} sha256:{} {}", digest(content), content.len());
        assert_eq!(found.stdout.trim(), expected, "{found}");
    }

    /// A key of its own; returns the file with the public half.
    pub fn generate(&self, name: &str) -> PathBuf {
        self.key(&["generate", name]).ok();
        self.client.directory().join(format!("{name}.pub"))
    }
}

/// The SHA-256 of some content.
pub fn digest(content: &str) -> String {
    hex::encode(sha256(content.as_bytes()))
}
