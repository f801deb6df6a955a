//! `countersign tuf add` and `countersign tuf remove`.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use clap::Args;
use openssl::sha::Sha256;
use tuf_native::authoring::{Target, TargetsContent};
use tuf_native::{Checksum, Trusted};

use super::session::{Session, WorkOptions, in_days, role};
use crate::commands::{Failure, Outcome};

/// How much of a file is read at a time, in bytes.
const PIECE: usize = 1 << 16;

/// Which files become targets.
#[derive(Debug, Args)]
pub struct AddOptions {
    /// The repository.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// The files. Each is called as its file is.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What the names of the targets begin with, such as `docs/`.
    #[arg(long, value_name = "PREFIX", default_value = "", conflicts_with = "name")]
    prefix: String,
    /// The name of the target, where there is one file.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// What the application is told about them: a JSON object.
    #[arg(long, value_name = "JSON")]
    custom: Option<String>,
    /// The role that signs them.
    #[arg(long, value_name = "ROLE", default_value = "targets")]
    role: String,
    /// Only sign them: their content is kept elsewhere.
    #[arg(long)]
    no_upload: bool,
    /// In how many days the role ends.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    days: u32,
    #[command(flatten)]
    options: WorkOptions,
}

/// Which targets are removed.
#[derive(Debug, Args)]
pub struct RemoveOptions {
    /// The repository.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// The targets.
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<String>,
    /// The role that signs them.
    #[arg(long, value_name = "ROLE", default_value = "targets")]
    role: String,
    /// In how many days the role ends.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    days: u32,
    #[command(flatten)]
    options: WorkOptions,
}

pub(super) async fn add(options: &AddOptions) -> Result<Outcome, Failure> {
    let work = options.options.open(&options.repository)?;
    let custom = custom(options.custom.as_deref())?;
    if options.name.is_some() && options.files.len() > 1 {
        return Err(Failure(
            "--name names one target, and there are several files: use --prefix".into(),
        ));
    }
    let trusted = work.session.begun().await?;
    let mut content = following(&work.session, &trusted, &options.role, options.days)?;
    let mut added = Vec::new();
    for file in &options.files {
        let name = match &options.name {
            Some(name) => name.clone(),
            None => format!("{}{}", options.prefix, file_name(file)?),
        };
        let target = Target {
            custom: custom.clone(),
            ..measured(file)?
        };
        added.push((file, name.clone(), target.sha256));
        content.targets.insert(name, target);
    }
    // Before anything is stored: a name may be refused.
    let draft = content.draft()?;
    if !options.no_upload {
        for (file, name, sha256) in added {
            let content = std::fs::read(file).map_err(|cause| failed(file, &cause))?;
            if Checksum::of(&content) != sha256 {
                return Err(Failure(format!("{}: it was changed meanwhile", file.display())));
            }
            upload(&work.session, &name, content.into()).await?;
        }
    }
    work.submit(&trusted, vec![draft]).await?;
    Ok(Outcome::Done)
}

pub(super) async fn remove(options: &RemoveOptions) -> Result<Outcome, Failure> {
    let work = options.options.open(&options.repository)?;
    let trusted = work.session.begun().await?;
    let mut content = following(&work.session, &trusted, &options.role, options.days)?;
    for target in &options.targets {
        if content.targets.remove(target).is_none() {
            return Err(Failure(format!("{} does not list {target:?}", options.role)));
        }
    }
    work.submit(&trusted, vec![content.draft()?]).await?;
    Ok(Outcome::Done)
}

/// The content of a role as it follows the stored one.
pub(super) fn following(
    session: &Session,
    trusted: &Trusted,
    name: &str,
    days: u32,
) -> Result<TargetsContent, Failure> {
    let role = role(name)?;
    let stored = trusted.file(&role).ok_or_else(|| {
        Failure(format!(
            "{} has no role {role} that lists targets: delegate to it with `countersign tuf delegate`",
            session.name
        ))
    })?;
    Ok(TargetsContent::following(stored, in_days(days))?)
}

/// Stores the content of a target at the server.
pub(super) async fn upload(session: &Session, name: &str, content: Bytes) -> Result<(), Failure> {
    let hash = Checksum::of(&content).as_hex();
    let sent = session
        .server
        .native_put_target(&session.name, name, &hash, content);
    if !sent.await? {
        platform::complain!(
            "note: the server keeps no content of targets: keep {name} where it leads clients to"
        );
    }
    Ok(())
}

fn measured(file: &Path) -> Result<Target, Failure> {
    let mut read = File::open(file).map_err(|cause| failed(file, &cause))?;
    let (mut hash, mut length, mut piece) = (Sha256::new(), 0, vec![0; PIECE]);
    loop {
        let count = read.read(&mut piece).map_err(|cause| failed(file, &cause))?;
        let Some(read) = piece.get(..count).filter(|read| !read.is_empty()) else {
            break;
        };
        hash.update(read);
        length += read.len() as u64;
    }
    Ok(Target {
        length,
        sha256: Checksum::from_bytes(hash.finish()),
        sha512: None,
        custom: serde_json::Map::new(),
    })
}

fn file_name(file: &Path) -> Result<&str, Failure> {
    let name = file.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| Failure(format!("{}: it has no name in UTF-8: use --name", file.display())))
}

fn custom(text: Option<&str>) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    match text {
        None => Ok(serde_json::Map::new()),
        Some(text) => serde_json::from_str(text)
            .map_err(|cause| Failure(format!("--custom is no JSON object: {cause}"))),
    }
}

fn failed(file: &Path, cause: &std::io::Error) -> Failure {
    Failure(format!("{}: {}", file.display(), platform::reason::of_io(cause)))
}
