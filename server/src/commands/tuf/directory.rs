//! A repository as plain files: `metadata/`, `targets/`, and `initial_root.json`, with which trust begins.

use std::{fs, io, path::Path};

use super::Exported;

/// Writes the files below a directory that is made for them.
pub(super) fn write(directory: &Path, files: &[Exported]) -> io::Result<()> {
    fs::create_dir(directory)?;
    for below in ["metadata", "targets"] {
        fs::create_dir(directory.join(below))?;
    }
    for file in files {
        // Neither has `..`: names of roles are percent-encoded, and paths of targets with it are never taken in.
        let path = directory.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, &file.bytes)?;
        if file.path == "metadata/1.root.json" {
            fs::write(directory.join("initial_root.json"), &file.bytes)?;
        }
    }
    Ok(())
}
