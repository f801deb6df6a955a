//! `countersign tuf publish`.

use std::path::{Path, PathBuf};

use clap::Args;
use tuf_native::{Metadata, Role, ready};

use super::session::{Session, WorkOptions};
use super::sign::drafts;
use crate::commands::{Failure, Outcome};

/// What is published.
#[derive(Debug, Args)]
pub struct Options {
    /// The repository.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// Signed files, called ROLE.json or VERSION.ROLE.json; what waits at the server and is complete if absent.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    options: WorkOptions,
}

pub(super) async fn run(options: &Options) -> Result<Outcome, Failure> {
    let work = options.options.open(&options.repository)?;
    let session = &work.session;
    if !options.files.is_empty() {
        let files = options
            .files
            .iter()
            .map(|path| read(path))
            .collect::<Result<Vec<_>, _>>()?;
        for file in &files {
            file.check_repository(&session.name)?;
        }
        session.publish(&files).await?;
        return Ok(Outcome::Done);
    }
    let trusted = session.stored().await?;
    let files = ready(&trusted, &drafts(&work).await?);
    if files.is_empty() {
        return Err(Failure(format!(
            "nothing of {0} that waits can be published yet: see `countersign tuf status {0}`",
            session.name
        )));
    }
    together(session, &files).await?;
    Ok(Outcome::Done)
}

/// Publishes what waited and is complete.
pub(super) async fn together(session: &Session, files: &[Metadata]) -> Result<(), Failure> {
    let published = session.publish(files).await;
    published
        .map_err(|Failure(cause)| Failure(format!("what waits is signed, and was not published: {cause}")))
}

fn read(path: &Path) -> Result<Metadata, Failure> {
    let wrong = |reason: String| Failure(format!("{}: {reason}", path.display()));
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let versioned = name.split_once('.').filter(|(version, rest)| {
        *rest != "json" && !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit())
    });
    let file = versioned.map_or(name, |(_, rest)| rest);
    let role = Role::from_file_name(file).map_err(|cause| wrong(cause.to_string()))?;
    let bytes = platform::files::read(path).map_err(|cause| wrong(cause.to_string()))?;
    Metadata::parse(&role, bytes.into()).map_err(|cause| wrong(cause.to_string()))
}
