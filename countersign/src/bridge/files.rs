//! Files that other programs read: written as a whole or not at all, and readable for everybody, as far as the process's mask
//! allows.

use std::{
    fs::{self, File, Permissions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use tempfile::Builder;

use super::BridgeError;

/// What a new file may be used for, before the process's mask.
const MODE: u32 = 0o666;

/// Makes a directory and those above it.
pub(super) fn make_directory(path: &Path) -> Result<(), BridgeError> {
    fs::create_dir_all(path).map_err(|cause| failed(path, &cause))
}

/// Reads a file of at most `limit` bytes; `None` if there is none.
pub(super) fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, BridgeError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(failed(path, &cause)),
    };
    let mut content = Vec::new();
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut content);
    read.map_err(|cause| failed(path, &cause))?;
    if content.len() as u64 > limit {
        return Err(BridgeError::File {
            path: path.to_owned(),
            reason: format!("it has more than {limit} bytes"),
        });
    }
    Ok(Some(content))
}

/// Writes a file in place of what is there.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), BridgeError> {
    place(path, content, true).map(drop)
}

/// Writes a file unless there is one. Says whether it was written.
pub(super) fn write_new(path: &Path, content: &[u8]) -> Result<bool, BridgeError> {
    place(path, content, false)
}

fn place(path: &Path, content: &[u8], over: bool) -> Result<bool, BridgeError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let write = || {
        let mut file = Builder::new()
            .permissions(Permissions::from_mode(MODE))
            .tempfile_in(directory)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        let placed = match over {
            true => file.persist(path),
            false => file.persist_noclobber(path),
        };
        match placed {
            Ok(_) => {}
            Err(cause) if !over && cause.error.kind() == ErrorKind::AlreadyExists => return Ok(false),
            Err(cause) => return Err(cause.error),
        }
        File::open(directory)?.sync_all()?;
        Ok(true)
    };
    write().map_err(|cause: std::io::Error| failed(path, &cause))
}

pub(super) fn failed(path: &Path, cause: &std::io::Error) -> BridgeError {
    BridgeError::File {
        path: path.to_owned(),
        reason: platform::reason::of_io(cause),
    }
}
