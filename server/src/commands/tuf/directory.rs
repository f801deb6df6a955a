//! A repository as plain files: `metadata/`, `targets/`, `initial_root.json`, with which trust begins, and `targetpath`, which
//! names a target that is there. Suites that test clients, such as tuf-conformance, take such a directory.

use std::{fs, io, path::Path};

use super::Exported;

/// Writes the files below a directory that is made for them.
pub(super) fn write(directory: &Path, files: &[Exported]) -> io::Result<()> {
    fs::create_dir(directory)?;
    for below in ["metadata", "targets"] {
        fs::create_dir(directory.join(below))?;
    }
    for file in files {
        // None has `..`: such names of roles are percent-encoded, and such paths of targets are never taken in.
        let path = directory.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, &file.bytes)?;
        if let Some(other) = file.of_tough.as_ref().map(|other| directory.join(other)) {
            if let Some(parent) = other.parent() {
                fs::create_dir_all(parent)?;
            }
            // Not every file system has links.
            fs::hard_link(&path, &other).or_else(|_| fs::write(&other, &file.bytes))?;
        }
        if file.path == "metadata/1.root.json" {
            fs::write(directory.join("initial_root.json"), &file.bytes)?;
        }
    }
    if let Some(path) = files.iter().find_map(|file| target(&file.path)) {
        fs::write(directory.join("targetpath"), path)?;
    }
    Ok(())
}

/// The path of a target whose file has this name: without the hash before its last part.
fn target(file: &str) -> Option<String> {
    let file = file.strip_prefix("targets/")?;
    let (directory, name) = file.rsplit_once('/').unwrap_or(("", file));
    let (_, name) = name.split_once('.')?;
    Some(match directory {
        "" => name.to_owned(),
        directory => format!("{directory}/{name}"),
    })
}
