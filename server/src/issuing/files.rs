//! Files that are created once and then left alone.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::IssuingError;

/// The mode of files that every user may read.
pub(crate) const PUBLIC: u32 = 0o644;
/// The mode of files that only their owner may read.
pub(crate) const SECRET: u32 = 0o600;

/// The directory in which all files are created, as an absolute path.
pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    pub(crate) fn make(path: &Path) -> Result<Self, IssuingError> {
        let path = std::path::absolute(path).map_err(|cause| file_error(path, cause))?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&path)
            .map_err(|c| file_error(&path, c))?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path.join(name).exists()
    }

    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>, IssuingError> {
        let path = self.path.join(name);
        platform::files::read(&path).map_err(|cause| file_error(&path, cause))
    }

    /// Writes a file that every user may read, unless it exists.
    pub(crate) fn write_new(&self, name: &str, content: &[u8]) -> Result<(), IssuingError> {
        self.write(name, content, PUBLIC)
    }

    /// Writes a file that only its owner may read, unless it exists.
    pub(crate) fn write_secret(&self, name: &str, content: &[u8]) -> Result<(), IssuingError> {
        self.write(name, content, SECRET)
    }

    /// Replaces a file atomically: it is either complete or unchanged.
    pub(crate) fn replace(&self, name: &str, content: &[u8], mode: u32) -> Result<(), IssuingError> {
        let path = self.path.join(name);
        let parent = path.parent().unwrap_or(&self.path);
        fs::create_dir_all(parent).map_err(|cause| file_error(parent, cause))?;
        // Written under another name first, so that an interrupted run leaves no partial file.
        let unfinished =
            path.with_file_name(format!(".{}.new", path.file_name().unwrap_or_default().display()));
        // A leftover file would keep its own mode.
        let _ = fs::remove_file(&unfinished);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&unfinished)
            .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&unfinished, &path));
        written.map_err(|cause| file_error(&path, cause))
    }

    fn write(&self, name: &str, content: &[u8], mode: u32) -> Result<(), IssuingError> {
        let path = self.path.join(name);
        if path.exists() {
            platform::say!("kept  {}", path.display());
            return Ok(());
        }
        self.replace(name, content, mode)?;
        platform::say!("made  {}", path.display());
        Ok(())
    }
}

pub(crate) fn file_error(path: &Path, cause: std::io::Error) -> IssuingError {
    IssuingError::File {
        path: path.to_path_buf(),
        cause,
    }
}

/// Random hex digits, two for each of `bytes`.
pub(crate) fn random_hex(bytes: usize) -> Result<String, IssuingError> {
    let mut random = vec![0; bytes];
    openssl::rand::rand_bytes(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}
