//! The unmodified notary CLI.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    namespace::Place,
    pki::ClientFiles,
    process::{Finished, installed_program},
};

/// The CLI of one person: a certificate and a trust directory.
#[derive(Clone)]
pub struct Notary {
    url: String,
    files: Option<ClientFiles>,
    ca: PathBuf,
    trust: PathBuf,
    place: Place,
}

impl Notary {
    /// The CLI with a certificate, for the server at `url`, keeping keys and metadata in `trust`.
    pub fn new(url: &str, files: &ClientFiles, trust: &Path) -> Self {
        fs::create_dir_all(trust).unwrap();
        Self {
            url: url.into(),
            files: Some(files.clone()),
            ca: files.ca.clone(),
            trust: trust.into(),
            place: Place::Here,
        }
    }

    /// The same person, seen by the server without a certificate.
    #[must_use]
    pub fn without_certificate(mut self) -> Self {
        self.files = None;
        self
    }

    /// The same, run in another place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// The same, with another URL.
    #[must_use]
    pub fn with_url(mut self, url: &str) -> Self {
        self.url = url.to_owned();
        self
    }

    /// The same person's other machine: another trust directory, with nothing in it.
    #[must_use]
    pub fn elsewhere(&self, name: &str) -> Self {
        let trust = self.trust.with_file_name(name);
        fs::create_dir_all(&trust).unwrap();
        Self {
            trust,
            ..self.clone()
        }
    }

    /// The trust directory.
    pub fn trust(&self) -> &Path {
        &self.trust
    }

    /// Runs a command.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Finished {
        self.run_with_input(arguments, "")
    }

    /// Runs a command and answers its questions.
    pub fn run_with_input<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        input: &str,
    ) -> Finished {
        Finished::run(&mut self.command(arguments), input)
    }

    /// The command, not yet run.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = self.place.command(&installed_program("notary", "notary"));
        command
            .env_clear()
            .env("HOME", &self.trust)
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .current_dir(&self.trust);
        for role in ["ROOT", "TARGETS", "SNAPSHOT", "DELEGATION"] {
            command.env(format!("NOTARY_{role}_PASSPHRASE"), "passphrase");
        }
        command
            .arg("-s")
            .arg(&self.url)
            .arg("--tlscacert")
            .arg(&self.ca)
            .arg("-d")
            .arg(&self.trust);
        if let Some(files) = &self.files {
            command
                .arg("--tlscert")
                .arg(&files.certificate)
                .arg("--tlskey")
                .arg(&files.key);
        }
        command.args(arguments);
        command
    }

    /// The ID of the root key.
    pub fn root_key(&self) -> String {
        let listed = self.run(["key", "list"]).ok().stdout;
        let line = listed.lines().find(|line| line.starts_with("root")).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    }

    /// A file in the trust directory, as something to sign.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.trust.join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Adds a target with this content and publishes.
    #[track_caller]
    pub fn add_and_publish(&self, gun: &str, target: &str, content: &str) {
        let file = self.file("content", content);
        self.run(["add", gun, target, &file.display().to_string()]).ok();
        self.run(["publish", gun])
            .ok()
            .says("Successfully published changes");
    }

    /// Adds a target to a delegation and publishes.
    #[track_caller]
    pub fn add_and_publish_to(&self, gun: &str, target: &str, role: &str) {
        let file = self.file("content", target);
        self.run(["add", gun, target, &file.display().to_string(), "-r", role, "-p"])
            .ok();
    }

    /// The names of the targets that the CLI lists.
    #[track_caller]
    pub fn targets(&self, gun: &str) -> Vec<String> {
        let listed = self.run(["list", gun]).ok();
        let rows = listed
            .stdout
            .lines()
            .skip_while(|line| !line.starts_with("---"))
            .skip(1);
        rows.filter_map(|row| row.split_whitespace().next().map(str::to_owned))
            .collect()
    }
}
