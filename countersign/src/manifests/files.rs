//! Files of manifests: a file, all of a directory, or standard input.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use super::{documents::images, rewrite::rewrite};

/// The largest file, in bytes.
const FILE_LIMIT: u64 = 16 << 20;
/// How deep directories are looked into.
const MAX_DEPTH: usize = 64;

/// What was read.
#[derive(Debug)]
pub struct ManifestFiles(Vec<ManifestFile>);

#[derive(Debug)]
struct ManifestFile {
    /// `None` for standard input.
    path: Option<PathBuf>,
    text: String,
    images: Vec<String>,
}

impl ManifestFiles {
    /// Reads files, the YAML files of directories, and standard input (`-`).
    ///
    /// # Errors
    /// When one cannot be read or judged; the sentence names it.
    pub fn read(paths: &[PathBuf]) -> Result<Self, String> {
        let mut files = Vec::new();
        for path in paths {
            if path.as_os_str() == "-" {
                let mut text = String::new();
                let read = io::stdin().lock().take(FILE_LIMIT).read_to_string(&mut text);
                read.map_err(|cause| format!("standard input: {}", platform::reason::of_io(&cause)))?;
                files.push(ManifestFile::new(None, text)?);
            } else {
                let mut found = Vec::new();
                find(path, 0, &mut found)?;
                if found.is_empty() {
                    return Err(format!("{} has no .yaml, .yml or .json file", path.display()));
                }
                for path in found {
                    let named = |reason: String| format!("{}: {reason}", path.display());
                    let in_words = |cause: io::Error| named(platform::reason::of_io(&cause));
                    if fs::metadata(&path).map_err(in_words)?.len() > FILE_LIMIT {
                        return Err(named(format!("it has more than {FILE_LIMIT} bytes")));
                    }
                    let text = platform::files::read_to_string(&path).map_err(in_words)?;
                    files.push(ManifestFile::new(Some(path), text)?);
                }
            }
        }
        Ok(Self(files))
    }

    /// The images that they name.
    pub fn images(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .flat_map(|file| file.images.iter().map(String::as_str))
    }

    /// Writes digests into the files that have none yet. All are rewritten before the first is written.
    ///
    /// # Errors
    /// When one cannot be rewritten or written; the sentence names it.
    pub fn write(&self, pinned: &BTreeMap<String, String>) -> Result<(), String> {
        let rewritten: Vec<(&ManifestFile, String)> = self
            .0
            .iter()
            .map(|file| {
                let text = rewrite(&file.text, pinned);
                Ok((file, text.map_err(|reason| format!("{}: {reason}", file.name()))?))
            })
            .collect::<Result<_, String>>()?;
        for (file, text) in rewritten {
            let written = match &file.path {
                None => io::stdout().lock().write_all(text.as_bytes()),
                Some(_) if text == file.text => Ok(()),
                Some(path) => replace(path, &text),
            };
            written.map_err(|cause| format!("{}: {}", file.name(), platform::reason::of_io(&cause)))?;
        }
        Ok(())
    }
}

impl ManifestFile {
    fn new(path: Option<PathBuf>, text: String) -> Result<Self, String> {
        let mut file = Self {
            path,
            text,
            images: Vec::new(),
        };
        file.images = images(&file.text).map_err(|reason| format!("{}: {reason}", file.name()))?;
        Ok(file)
    }

    fn name(&self) -> String {
        match &self.path {
            Some(path) => path.display().to_string(),
            None => "standard input".to_owned(),
        }
    }
}

/// The files to read, in the order of their names. Links inside directories are not followed.
fn find(path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let in_words = |cause: io::Error| format!("{}: {}", path.display(), platform::reason::of_io(&cause));
    if !fs::metadata(path).map_err(in_words)?.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    if depth > MAX_DEPTH {
        return Err(format!("{}: directories are nested too deep", path.display()));
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(in_words)? {
        entries.push(entry.map_err(in_words)?);
    }
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type().map_err(in_words)?;
        let is_manifest = path
            .extension()
            .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known));
        if kind.is_dir() || (kind.is_file() && is_manifest) {
            find(&path, depth + 1, found)?;
        }
    }
    Ok(())
}

/// Replaces a file at once, with the rights that it had.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".countersign");
    let beside = path.with_file_name(name);
    let written = fs::write(&beside, text)
        .and_then(|()| fs::set_permissions(&beside, fs::metadata(path)?.permissions()))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}
