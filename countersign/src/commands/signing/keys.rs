//! `countersign key`: the private keys at hand.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand};
use client::keys::{KeyStore, Place};
use tuf::{Gun, PublicKey};

use super::{
    key_options::{KeyOptions, PlaceOptions},
    rotate::{self, RotateOptions},
    session,
};
use crate::commands::{Failure, Outcome};

/// The longest line of Base64 in PEM (RFC 7468 section 2).
const LINE: usize = 64;

/// What is done with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key for a signer, and write its public half to NAME.pub, which the owners of repositories get.
    Generate(GenerateOptions),
    /// List the private keys.
    List(ListOptions),
    /// Keep a private key from a file: PEM or DER, PKCS#8, EC or RSA, or the file of notary or docker.
    Import(ImportOptions),
    /// Replace a key of a repository by a new one.
    Rotate(Box<RotateOptions>),
}

/// Whose key is made.
#[derive(Debug, Args)]
pub struct GenerateOptions {
    /// The name of the signer, or `root` for a key with which repositories begin.
    #[arg(value_name = "NAME")]
    name: String,
    /// The directory for NAME.pub.
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    dir: PathBuf,
    #[command(flatten)]
    place: PlaceOptions,
    #[command(flatten)]
    keys: KeyOptions,
}

/// Where the keys are.
#[derive(Debug, Args)]
pub struct ListOptions {
    #[command(flatten)]
    keys: KeyOptions,
}

/// Which key is kept.
#[derive(Debug, Args)]
pub struct ImportOptions {
    /// The file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What it is for: root, targets, snapshot, or the name of a signer. As the file says if absent.
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// The repository that it is for, unless it is for several. As the file says if absent.
    #[arg(long, value_name = "REPOSITORY")]
    gun: Option<String>,
    #[command(flatten)]
    place: PlaceOptions,
    #[command(flatten)]
    keys: KeyOptions,
}

/// Does what was asked.
///
/// # Errors
/// When a key cannot be made, read or kept.
pub fn run(command: &KeyCommand) -> Result<Outcome, Failure> {
    match command {
        KeyCommand::Generate(options) => generate(options),
        KeyCommand::List(options) => list(options),
        KeyCommand::Import(options) => import(options),
        KeyCommand::Rotate(options) => rotate::run(options),
    }
}

fn generate(options: &GenerateOptions) -> Result<Outcome, Failure> {
    let name = options.name.as_str();
    if matches!(name, "targets" | "snapshot" | "timestamp") {
        return Err(Failure(format!(
            "a key for {name} belongs to one repository, and is made with `countersign init` and `countersign key rotate`"
        )));
    }
    let role = session::signer(name)?;
    let name = role.as_str().strip_prefix("targets/").unwrap_or(name);
    let path = options.dir.join(format!("{name}.pub"));
    let failed =
        |cause: std::io::Error| Failure(format!("{}: {}", path.display(), platform::reason::of_io(&cause)));
    let keys = options.keys.open()?.keeping_in(options.place.place())?;
    // A file that is there already is that of another key. It is made when there is something to write, so that whoever gives
    // up at the prompt leaves nothing behind.
    if path.symlink_metadata().is_ok() {
        return Err(failed(std::io::ErrorKind::AlreadyExists.into()));
    }
    let key = keys.generate(name, None)?;
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut file| file.write_all(public_pem(name, &key).as_bytes()));
    if let Err(cause) = written {
        return Err(match keys.remove(key.id()) {
            Ok(_) => failed(cause),
            Err(left) => Failure(format!("{}; {left}", failed(cause).0)),
        });
    }
    platform::say!("{}", key.id());
    let kept = match options.place.place() {
        Place::Token => "kept in the token",
        Place::Directory => "kept",
    };
    platform::complain!(
        "the key of {name} is {kept}, and its public half is in {}",
        path.display()
    );
    Ok(Outcome::Done)
}

/// A public key as `docker trust key generate` writes it: PEM with the header `role`.
fn public_pem(role: &str, key: &PublicKey) -> String {
    let encoded = STANDARD.encode(key.public());
    let mut text = format!("-----BEGIN PUBLIC KEY-----\nrole: {role}\n\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = next;
    }
    text.push_str("-----END PUBLIC KEY-----\n");
    text
}

fn list(options: &ListOptions) -> Result<Outcome, Failure> {
    let keys = options.keys.open()?;
    for key in keys.list()? {
        let gun = key.gun.as_deref().unwrap_or("-");
        platform::say!("{}  {}  {gun}  {}", key.id, key.role, key.place);
    }
    for key in keys.unusable()? {
        platform::complain!("note: {key}");
    }
    Ok(Outcome::Done)
}

fn import(options: &ImportOptions) -> Result<Outcome, Failure> {
    let keys = options.keys.open()?.keeping_in(options.place.place())?;
    let file = options.file.display();
    let role = options.role.clone().or_else(|| header(&options.file, "role"));
    let role = role.ok_or_else(|| {
        Failure(format!(
            "{file} does not say what its key is for: say it with --role root, targets, snapshot, or the name of a signer"
        ))
    })?;
    let role = role.strip_prefix("targets/").unwrap_or(&role);
    let is_base = matches!(role, "root" | "targets" | "snapshot");
    if role == "timestamp" {
        return Err(Failure("the key of the timestamp is the server's".into()));
    }
    if !is_base {
        session::signer(role)?;
    }
    let gun = match options.gun.clone().or_else(|| header(&options.file, "gun")) {
        Some(text) if is_base && role != "root" => Some(Gun::parse(&text)?),
        _ => None,
    };
    if gun.is_none() && matches!(role, "targets" | "snapshot") {
        return Err(Failure(format!(
            "a key for {role} belongs to one repository: say which with --gun REPOSITORY"
        )));
    }
    let key = keys.directory().read_file(&options.file, role)?;
    keys.add(&key, role, gun.as_ref())?;
    platform::say!("{}", key.id());
    if options.place.place() == Place::Token {
        platform::complain!(
            "the key is in the token now, and nobody can take it out again; {file} is still there"
        );
    }
    Ok(Outcome::Done)
}

/// A header of a private key's file, as notary and docker write it.
fn header(file: &Path, name: &str) -> Option<String> {
    let text = platform::files::read_to_string(file).ok()?;
    let lines = text
        .lines()
        .skip_while(|line| !line.starts_with("-----BEGIN "))
        .skip(1);
    let mut headers = lines.map_while(|line| line.split_once(':'));
    let found = headers.find(|(header, _)| header.trim() == name)?;
    Some(found.1.trim().to_owned()).filter(|value| !value.is_empty())
}
