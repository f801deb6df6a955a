//! Runs the server, when no command is given.

use std::path::Path;

use platform::logging::{Format, Level};

use crate::app::{self, StartError};

/// Serves until the process is told to stop. `level` overrides the log level of the file.
///
/// # Errors
/// When the server cannot start.
pub fn run(path: &Path, strict: bool, level: Option<Level>, format: Format) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(app::run(path, strict, level, format))
}
