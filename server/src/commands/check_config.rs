//! `check-config`: what is wrong with a configuration and the files that it names.

use platform::{args::ConfigFile, config::ConfigError};

use crate::{
    clock::Clock,
    config::Config,
    generation::{Generation, GenerationError},
};

/// The configuration.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    #[command(flatten)]
    file: ConfigFile,
    /// Take no unknown key.
    #[arg(long)]
    strict: bool,
}

/// Why the server would not start.
#[derive(Debug, thiserror::Error)]
pub enum CheckConfigError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file that it names cannot be used.
    #[error(transparent)]
    Generation(#[from] GenerationError),
}

/// Prints what is worth knowing about a configuration.
///
/// # Errors
/// When the server would not start with it.
pub fn run(options: &Options) -> Result<(), CheckConfigError> {
    let (path, clock) = (&options.file.config, Clock::System);
    let config = Config::load(path, options.strict)?;
    let generation = Generation::load(&config, clock, 1)?;
    for warning in generation.warnings(clock.now()) {
        platform::say!("warning: {warning}");
    }
    platform::say!("{} is fine", path.display());
    Ok(())
}
