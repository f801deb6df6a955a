//! The `countersign` command and its gate, as a person or a cluster uses them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    http::Client,
    namespace::Place,
    pki::ClientFiles,
    process::{Daemon, Finished, built_programs, fake_time_library, free_port},
    server::TestServer,
};

/// Somebody's `countersign`, with a policy, a state directory, and a certificate for the trust server.
pub struct Countersign {
    directory: PathBuf,
    place: Place,
    url: String,
    files: ClientFiles,
    days_ahead: u32,
    /// Those of this build, unless others are named.
    programs: Option<PathBuf>,
}

/// A running gate; it ends with its owner.
pub struct Gate {
    /// The process.
    pub daemon: Daemon,
    place: Place,
    port: u16,
    health: u16,
    directory: PathBuf,
}

impl Countersign {
    /// That of a user of the server, in a directory of its own, where the server runs.
    pub fn of(server: &TestServer, user: &str) -> Self {
        let directory = server.path().join(format!("countersign-{user}"));
        fs::create_dir_all(&directory).unwrap();
        Self {
            directory,
            place: server.place().clone(),
            url: server.url(),
            files: server.pki().user(user),
            days_ahead: 0,
            programs: None,
        }
    }

    /// The same program as it was built elsewhere.
    #[must_use]
    pub fn programs(mut self, directory: &Path) -> Self {
        self.programs = Some(directory.to_path_buf());
        self
    }

    /// The same on a machine whose clock is ahead.
    #[must_use]
    pub fn days_ahead(mut self, days: u32) -> Self {
        self.days_ahead = days;
        self
    }

    /// Where it keeps its files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes a policy with these anchors, signers and rules, each as YAML; the server is that of the test.
    pub fn policy(&self, rest: &str) -> PathBuf {
        let path = self.directory.join("policy.yaml");
        let server = format!(
            "version: 1\nservers:\n  - {{ match: \"**\", url: {:?}, ca: {:?}, cert: {:?}, key: {:?} }}\n{rest}\n",
            self.url, self.files.ca, self.files.certificate, self.files.key
        );
        fs::write(&path, server).unwrap();
        path
    }

    /// The command, without anything of the person who runs the test.
    pub fn command(&self, arguments: &[&str]) -> Command {
        // Entering a namespace leaves a command in its root directory.
        let mut command = self.place.command(Path::new("/usr/bin/env"));
        let programs = self.programs.as_deref().unwrap_or_else(|| built_programs());
        command
            .arg("--chdir")
            .arg(&self.directory)
            .arg(programs.join("countersign"))
            .env_clear()
            .env("HOME", &self.directory)
            .env("PATH", "/usr/bin:/bin")
            .args(arguments);
        if self.days_ahead > 0 {
            command
                .env("LD_PRELOAD", fake_time_library())
                .env("FAKETIME", format!("+{}d", self.days_ahead));
        }
        command
    }

    /// Runs it.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        Finished::run(&mut self.command(arguments), "")
    }

    /// Runs it with the options of the server and the certificate.
    pub fn run_at_server(&self, arguments: &[&str]) -> Finished {
        Finished::run(&mut self.command_at_server(arguments), "")
    }

    /// The command with the options of the server and the certificate, not yet run.
    pub fn command_at_server(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command
            .arg("--server")
            .arg(&self.url)
            .arg("--ca")
            .arg(&self.files.ca)
            .arg("--cert")
            .arg(&self.files.certificate)
            .arg("--key")
            .arg(&self.files.key);
        command
    }

    /// Judges an image by the policy.
    pub fn verify(&self, image: &str) -> Finished {
        self.run(&["verify", "--policy", "policy.yaml", image])
    }

    /// Checks that an image is allowed, with this digest.
    #[track_caller]
    pub fn allows(&self, image: &str, digest: &str) {
        let finished = self.verify(image).ok();
        let printed = finished.stdout.trim();
        assert!(printed.ends_with(&format!("@sha256:{digest}")), "{finished}");
    }

    /// Checks that an image is denied, for this reason.
    #[track_caller]
    pub fn denies(&self, image: &str, reason: &str) -> Finished {
        let finished = self.verify(image).fails();
        let begins = format!("denied: {image}: {reason}: ");
        assert!(
            finished.stdout.starts_with(&begins),
            "expected {begins:?}: {finished}"
        );
        finished
    }

    /// Starts a gate with the policy. `files` is its own certificate.
    pub fn gate(&self, files: &ClientFiles, arguments: &[&str]) -> Gate {
        let port = free_port();
        let mut command = self.serving();
        command
            .arg("--listen")
            .arg(format!("127.0.0.1:{port}"))
            .arg("--tls-cert")
            .arg(&files.certificate)
            .arg("--tls-key")
            .arg(&files.key)
            .args(arguments);
        self.started(command, port)
    }

    /// Starts a gate with the policy that is the plugin of an engine, and answers nobody else.
    pub fn engine_gate(&self, plugin: &Path, engine: &Path, arguments: &[&str]) -> Gate {
        let mut command = self.serving();
        command
            .arg("--docker-plugin")
            .arg(plugin)
            .arg("--engine")
            .arg(engine)
            .args(arguments);
        self.started(command, 0)
    }

    fn serving(&self) -> Command {
        self.command(&[
            "gate",
            "serve",
            "--policy",
            "policy.yaml",
            "--audit",
            "audit.jsonl",
        ])
    }

    fn started(&self, mut command: Command, port: u16) -> Gate {
        let health = free_port();
        command.arg("--health").arg(format!("127.0.0.1:{health}"));
        let daemon = Daemon::spawn(&mut command, &self.directory.join("gate.log"));
        let mut gate = Gate {
            daemon,
            place: self.place.clone(),
            port,
            health,
            directory: self.directory.clone(),
        };
        let mut asked = gate.plain_command("/health");
        gate.daemon
            .wait_for("the gate answers", || Finished::run(&mut asked, "").code == 0);
        gate
    }
}

impl Gate {
    /// The port for questions over TLS; 0 if it answers none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A client of the gate with a certificate.
    pub fn client(&self, files: &ClientFiles) -> Client {
        Client::new(self.port, files, true)
    }

    /// Asks for `/health`, `/ready` or `/metrics` over plain HTTP.
    pub fn plain(&self, path: &str) -> String {
        Finished::run(&mut self.plain_command(path), "").ok().stdout
    }

    fn plain_command(&self, path: &str) -> Command {
        let mut command = self.place.command(Path::new("/usr/bin/curl"));
        command.args(["-sSf", "--max-time", "10"]);
        command.arg(format!("http://127.0.0.1:{}{path}", self.health));
        command
    }

    /// The audit lines so far.
    pub fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.directory.join("audit.jsonl")).unwrap_or_default();
        // The last line may not be complete yet.
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        complete
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}
