//! Tokens of SoftHSM, each in a directory of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::process::{Finished, installed_program};

/// The PIN of every token.
pub const PIN: &str = "1234-pin";
const SO_PIN: &str = "5678-officer";
const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// A module that behaves as SoftHSM does not.
const ODD_MODULE: &str = include_str!("odd_module.c");

/// A directory with tokens.
pub struct Token {
    directory: PathBuf,
    label: String,
    module: PathBuf,
}

impl Token {
    /// A token with this label, in a new directory.
    pub fn new(directory: &Path, label: &str) -> Self {
        let directory = directory.join(format!("tokens-{label}"));
        fs::create_dir_all(directory.join("objects")).unwrap();
        let objects = directory.join("objects");
        let settings = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n",
            objects.display()
        );
        fs::write(directory.join("softhsm2.conf"), settings).unwrap();
        let token = Self {
            directory,
            label: label.to_owned(),
            module: MODULE.into(),
        };
        token.add(label);
        token
    }

    /// One more token beside it.
    pub fn add(&self, label: &str) {
        let mut command = self.command("softhsm2-util", "softhsm2");
        command.args([
            "--init-token",
            "--free",
            "--label",
            label,
            "--pin",
            PIN,
            "--so-pin",
            SO_PIN,
        ]);
        Finished::run(&mut command, "").ok();
    }

    /// The same by way of a module that is odd in these ways: see `odd_module.c`.
    pub fn odd(mut self) -> Self {
        let source = self.directory.join("odd_module.c");
        fs::write(&source, ODD_MODULE).unwrap();
        self.module = self.directory.join("odd_module.so");
        let mut compile = Command::new("cc");
        compile
            .args(["-shared", "-fPIC", "-o"])
            .arg(&self.module)
            .arg(source)
            .arg("-ldl");
        Finished::run(&mut compile, "").ok();
        self
    }

    /// The file of the module.
    pub fn module(&self) -> &Path {
        &self.module
    }

    /// The configuration that finds the token.
    pub fn settings(&self) -> PathBuf {
        self.directory.join("softhsm2.conf")
    }

    /// How often an odd module was logged in to.
    pub fn logins(&self) -> usize {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        log.lines().count()
    }

    fn log(&self) -> PathBuf {
        self.directory.join("logins")
    }

    /// Lets a command find the token, with its PIN.
    pub fn give(&self, command: &mut Command) {
        command
            .env("SOFTHSM2_CONF", self.settings())
            .env("ODD_MODULE", MODULE)
            .env("ODD_LOG", self.log())
            .env("COUNTERSIGN_PKCS11_MODULE", &self.module)
            .env("COUNTERSIGN_PKCS11_PIN", PIN);
    }

    fn command(&self, name: &str, package: &str) -> Command {
        let mut command = Command::new(installed_program(name, package));
        command.env("SOFTHSM2_CONF", self.settings());
        command
    }

    /// Runs OpenSC's tool on the token, logged in.
    pub fn tool(&self, arguments: &[&str]) -> Finished {
        let mut command = self.command("pkcs11-tool", "opensc");
        command.args([
            "--module",
            MODULE,
            "--login",
            "--pin",
            PIN,
            "--token-label",
            &self.label,
        ]);
        Finished::run(command.args(arguments), "").ok()
    }

    /// Runs SoftHSM's tool on the token.
    pub fn import(&self, file: &Path, label: &str, id: &str) {
        let mut command = self.command("softhsm2-util", "softhsm2");
        command.arg("--import").arg(file);
        command.args(["--token", &self.label, "--label", label, "--id", id, "--pin", PIN]);
        Finished::run(&mut command, "").ok();
    }
}
