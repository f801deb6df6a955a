//! `check-config`: reports what is wrong with a configuration, the files that it names, and the database.

use platform::args::ConfigFile;

use crate::{
    clock::Clock,
    findings::{self, Level},
};

/// The options of `check-config`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[command(flatten)]
    file: ConfigFile,
    /// Refuse unknown keys.
    #[arg(long)]
    strict: bool,
}

/// What is broken, one line for each.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct CheckConfigError(Vec<String>);

/// Prints the findings about a configuration.
///
/// # Errors
/// When something is broken.
pub fn run(options: &Options) -> Result<(), CheckConfigError> {
    let path = &options.file.config;
    let mut broken = Vec::new();
    for found in findings::at_start(path, options.strict, Clock::System.now()) {
        match found.level {
            Level::Fine => {}
            Level::Note => platform::say!("warning: {}", found.sentence()),
            Level::Broken => broken.push(found.sentence()),
        }
    }
    if !broken.is_empty() {
        return Err(CheckConfigError(broken));
    }
    platform::say!("{} is fine", path.display());
    Ok(())
}
