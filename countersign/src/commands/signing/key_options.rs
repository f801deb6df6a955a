//! The options by which commands find private keys: a directory, a token, and what opens them.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use client::keys::{KeyDirectory, Keys, Passphrases, Pin, Place, SecretCommand, TokenKeys, TokenSettings};

use crate::commands::Failure;

/// The variables that say what the options of the same names say.
const PASSPHRASE_COMMAND: &str = "COUNTERSIGN_PASSPHRASE_COMMAND";
const MODULE: &str = "COUNTERSIGN_PKCS11_MODULE";
const TOKEN: &str = "COUNTERSIGN_PKCS11_TOKEN";
const PIN_FILE: &str = "COUNTERSIGN_PKCS11_PIN_FILE";
/// The variable with the program that prints the PIN.
const PIN_COMMAND: &str = "COUNTERSIGN_PKCS11_PIN_COMMAND";
/// The variable that says how many seconds these programs may take.
const PATIENCE: &str = "COUNTERSIGN_PASSPHRASE_TIMEOUT";

/// Where private keys are.
#[derive(Debug, Clone, Args)]
pub struct KeyOptions {
    /// The directory with the private keys, as docker and notary keep it; ~/.docker/trust if absent.
    #[arg(long, value_name = "DIRECTORY")]
    trust_dir: Option<PathBuf>,
    /// A file whose first line is the passphrase of every key that is needed. Without it passphrases are those of
    /// COUNTERSIGN_PASSPHRASE and of the variables of docker and notary, and else asked for on a terminal.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// A program with its arguments that prints the passphrase of a key, whose COUNTERSIGN_KEY_ID and COUNTERSIGN_KEY_ROLE are
    /// in its environment; else that of COUNTERSIGN_PASSPHRASE_COMMAND. No shell runs it.
    #[arg(long, value_name = "COMMAND")]
    passphrase_command: Option<String>,
    /// The PKCS#11 module of a token with private keys; else that of COUNTERSIGN_PKCS11_MODULE.
    #[arg(long, value_name = "FILE")]
    pkcs11_module: Option<PathBuf>,
    /// The label or serial number of the token, if the module has several; else that of COUNTERSIGN_PKCS11_TOKEN.
    #[arg(long, value_name = "LABEL")]
    pkcs11_token: Option<String>,
    /// A file whose first line is the token's PIN; else that of COUNTERSIGN_PKCS11_PIN_FILE, the PIN in COUNTERSIGN_PKCS11_PIN,
    /// what the program of COUNTERSIGN_PKCS11_PIN_COMMAND prints, or what is typed on a terminal.
    #[arg(long, value_name = "FILE")]
    pkcs11_pin_file: Option<PathBuf>,
}

/// Where new private keys are kept.
#[derive(Debug, Clone, Copy, Args)]
pub struct PlaceOptions {
    /// Keep the new private key in the token of --pkcs11-module, which does not give it away again.
    #[arg(long)]
    in_token: bool,
}

impl PlaceOptions {
    /// The place.
    pub(super) fn place(self) -> Place {
        if self.in_token {
            Place::Token
        } else {
            Place::Directory
        }
    }
}

impl KeyOptions {
    /// The keys of the directory and of the token. Nothing of either is opened yet.
    pub(in crate::commands) fn open(&self) -> Result<Keys, Failure> {
        let path = self.trust_dir.clone().or_else(KeyDirectory::default_path);
        let path = path.ok_or_else(|| {
            Failure(
                "there is no home directory with private keys: name one with --trust-dir DIRECTORY".into(),
            )
        })?;
        let line = match &self.passphrase_command {
            Some(line) => Some(("--passphrase-command", line.clone())),
            None => variable(PASSPHRASE_COMMAND)?.map(|line| (PASSPHRASE_COMMAND, line)),
        };
        let command = line.map(|(setting, line)| command(setting, &line)).transpose()?;
        let passphrases = Passphrases::new(self.passphrase_file.clone(), command);
        Ok(Keys::new(KeyDirectory::new(&path, passphrases), self.token()?))
    }

    /// The file with the passphrase of every key.
    pub(in crate::commands) fn passphrase_file(&self) -> Option<&Path> {
        self.passphrase_file.as_deref()
    }

    fn token(&self) -> Result<Option<TokenKeys>, Failure> {
        let module = self.pkcs11_module.clone().or_else(|| path(MODULE));
        let token = match &self.pkcs11_token {
            Some(token) => Some(token.clone()),
            None => variable(TOKEN)?,
        };
        let pin_file = self.pkcs11_pin_file.clone();
        let Some(module) = module else {
            // Whoever says which token expects that it is used.
            if token.is_some() || pin_file.is_some() {
                return Err(Failure(format!(
                    "a token, or the file of its PIN, is named, and no module for it: say --pkcs11-module FILE or {MODULE}"
                )));
            }
            return Ok(None);
        };
        let pin_command = variable(PIN_COMMAND)?;
        let pin_command = pin_command.map(|line| command(PIN_COMMAND, &line)).transpose()?;
        Ok(Some(TokenKeys::new(TokenSettings {
            module,
            token,
            pin: Pin::new(pin_file.or_else(|| path(PIN_FILE)), pin_command),
        })))
    }
}

/// A program that is asked, and for how long.
fn command(setting: &str, line: &str) -> Result<SecretCommand, Failure> {
    let command = SecretCommand::parse(setting, line)?;
    let Some(text) = variable(PATIENCE)? else {
        return Ok(command);
    };
    match text.parse() {
        Ok(seconds) if seconds > 0 => Ok(command.within(Duration::from_secs(seconds))),
        _ => Err(Failure(format!(
            "{PATIENCE} is {text:?}, and has to be a number of seconds"
        ))),
    }
}

fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn variable(name: &str) -> Result<Option<String>, Failure> {
    let value = env::var_os(name).filter(|value| !value.is_empty());
    let text = value.map(|value| value.into_string()).transpose();
    text.map_err(|_| Failure(format!("{name} is not UTF-8")))
}
