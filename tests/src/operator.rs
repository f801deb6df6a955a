//! What an operator does at the command line, beside the running daemons.

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::Path,
    process::Command,
};

use openssl::x509::X509Ref;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    authority::Authority,
    http::Client,
    process::{Finished, built_programs, wait_until},
    server::{PASSPHRASE, Prepared, TestServer, set},
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

    /// Runs `countersign-server LINE --config` of this server; the line is split at blanks.
    pub fn command_line(&self, line: &str) -> Finished {
        let (command, more) = line.split_once(' ').unwrap_or((line, ""));
        self.run_server_program(
            command,
            more.split_whitespace()
                .map(OsString::from)
                .chain(["--config".into(), self.path().join("server.json").into()]),
        )
    }

    /// The serial number of the certificate that the server presents, in upper-case hex.
    pub fn shown_serial(&self) -> String {
        let stream = self.client("alice").connect().unwrap();
        serial(&stream.ssl().peer_certificate().unwrap())
    }

    /// Runs `countersign-server COMMAND` with these arguments.
    pub fn run_server_program<A: AsRef<OsStr>>(
        &self,
        command: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Finished {
        let mut run = Command::new(built_programs().join("countersign-server"));
        Finished::run(run.arg(command).args(arguments), "")
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

    /// An authority with the key of its client CA.
    pub fn authority(&self) -> Authority {
        let directory = self.path().join("authority");
        Authority::new(self.pki().authority(), &directory, &self.pki().ca())
    }

    /// Tells the server to read its files again.
    pub fn hang_up(&self) {
        let server = Pid::from_raw(i32::try_from(self.server_id()).unwrap()).unwrap();
        kill_process(server, Signal::HUP).unwrap();
    }

    /// Sets a dotted key of the server's configuration file; `null` removes a whole section. It takes effect when the
    /// server reads it again.
    pub fn configure(&self, key: &str, value: Value) {
        let path = self.path().join("server.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        if value.is_null() {
            config.as_object_mut().unwrap().remove(key);
        } else {
            set(&mut config, key, value);
        }
        fs::write(path, config.to_string()).unwrap();
    }

    /// The value of one of its metrics, read by `client`; 0 if it was never recorded.
    pub fn figure(&self, client: &Client, name: &str) -> f64 {
        let figures = client.get("/metrics").ok().text();
        let line = figures
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// How many reloads took effect, and how many were refused.
    pub fn reloads(&self, client: &Client) -> (f64, f64) {
        let of = |outcome| {
            self.figure(
                client,
                &format!("countersign_reloads_total{{outcome=\"{outcome}\"}}"),
            )
        };
        (of("taken"), of("refused"))
    }

    /// Reloads the server, and waits until the reload has taken effect.
    pub fn reload(&self, client: &Client) {
        let (before, _) = self.reloads(client);
        self.hang_up();
        wait_until("the files are reloaded", || self.reloads(client).0 > before);
    }

    /// The passphrase of its signer.
    pub fn passphrase(&self) -> &'static str {
        PASSPHRASE.1
    }
}

impl Prepared {
    /// Runs `countersign-server check-config`.
    pub fn check_config(&self) -> Finished {
        let mut run = Command::new(built_programs().join("countersign-server"));
        run.arg("check-config")
            .arg("--config")
            .arg(self.path().join("server.json"));
        Finished::run(&mut run, "")
    }
}

/// The TOML examples of a page of the documentation, in their order.
pub fn documented_toml(page: &str) -> Vec<String> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs")).join(page);
    let text = fs::read_to_string(path).unwrap();
    let blocks = text.split("```toml\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}

/// The serial number of a certificate in upper-case hex.
pub fn serial(certificate: &X509Ref) -> String {
    let number = certificate.serial_number().to_bn().unwrap();
    number.to_hex_str().unwrap().to_string()
}
