//! `countersign completions` and `countersign man`.

use std::{fs, path::PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;

use super::{Failure, Outcome};

/// For which shell.
#[derive(Debug, Args)]
pub struct CompletionsOptions {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Where manual pages go.
#[derive(Debug, Args)]
pub struct ManOptions {
    /// The directory, which is made if it is not there.
    #[arg(value_name = "DIRECTORY")]
    directory: PathBuf,
}

/// Prints what a shell reads to complete words of the command line.
///
/// # Errors
/// Never; the signature is that of every command.
pub fn completions(options: &CompletionsOptions, mut command: Command) -> Result<Outcome, Failure> {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(options.shell, &mut command, name, &mut script);
    platform::say!("{}", String::from_utf8_lossy(&script).trim_end());
    Ok(Outcome::Done)
}

/// Writes a manual page for each command.
///
/// # Errors
/// When the directory cannot be written to.
pub fn man(options: &ManOptions, command: Command) -> Result<Outcome, Failure> {
    let directory = &options.directory;
    let failed = |cause: std::io::Error| {
        Failure(format!(
            "{}: {}",
            directory.display(),
            platform::reason::of_io(&cause)
        ))
    };
    fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(command, directory).map_err(failed)?;
    Ok(Outcome::Done)
}
