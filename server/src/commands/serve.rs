//! Without a command: running the server.

use std::path::Path;

use platform::logging::{Format, Level};

use crate::app::{self, StartError};

/// Serves until the process is told to stop. `level` overrides the file's.
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
