//! `import`: reads repositories from a file that `export` wrote.

use std::{fs::File, io::BufReader, path::PathBuf};

use platform::progress::Progress;

use super::{Destination, MoveError, configuration, file::Reader};
use crate::clock::Clock;
use crate::store::ImportError;

/// The options of `import`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The configuration file of the server that receives the repositories.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The file that was exported.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Imports the file, each repository completely or not at all, and prints the outcome for each.
///
/// # Errors
/// When a repository was refused, or the file or the database cannot be used. Repositories before that are stored.
pub fn run(options: &Options) -> Result<(), MoveError> {
    let file = File::open(&options.file).map_err(|cause| MoveError::File {
        path: options.file.clone(),
        cause,
    })?;
    let wrong = |reason: String| MoveError::Format {
        path: options.file.clone(),
        reason,
    };
    let mut reader = Reader::begin(BufReader::new(file)).map_err(wrong)?;
    let mut destination = Destination::open(configuration(&options.config)?)?;
    let mut progress = Progress::new("repositories imported", None);
    while let Some(gun) = reader.repository().map_err(wrong)? {
        let documents = std::iter::from_fn(|| reader.document());
        let documents = documents.map(|item| item.map_err(ImportError::Unreadable));
        let outcome = destination.import(&gun, documents, Clock::System.now());
        destination.tell(&gun, outcome)?;
        progress.step();
    }
    destination.end()
}
