//! Bundles in files, for verifiers that reach no server. A file holds what `_trust/bundle` answers with
//! (`docs/trust-bundle.md`), or an array of that. Nothing is verified here: a file is trusted no more than a server.

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use platform::{files::without_mark, reason};
use tempfile::Builder;
use thiserror::Error;
use tuf::Gun;
use verifier::Documents;

use super::form::{Stored, Written};

/// The largest file that is read or written, in bytes: more than clients read of any one repository, in Base64.
const FILE_LIMIT: u64 = 256 << 20;
/// What a new file may be used for, before the process's mask: nothing in it is secret.
const MODE: u32 = 0o666;

/// The documents of repositories, unverified, each as it was at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bundles {
    repositories: BTreeMap<Gun, Documents>,
}

/// Why a file with bundles cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BundleError {
    /// It cannot be read or written.
    #[error("{}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why, in words.
        reason: String,
    },
    /// It holds something else than bundles, or more than them.
    #[error(
        "{}: this is not a bundle, nor an array of bundles ({reason}); take it anew with `countersign verify --bundle`, or \
         from the server's _trust/bundle",
        .path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It holds a repository that was read before.
    #[error(
        "{}: there is a bundle of {gun} already, and nothing says which of the two counts; leave one out",
        .path.display()
    )]
    Repeated {
        /// The file with the second bundle.
        path: PathBuf,
        /// The repository.
        gun: Gun,
    },
    /// There is something else at the place where bundles are to be written.
    #[error("{}: {reason}, and is not overwritten; remove it, or choose another name", .path.display())]
    Occupied {
        /// The place.
        path: PathBuf,
        /// What is there.
        reason: String,
    },
}

impl Bundles {
    /// Reads files. No repository may be there twice.
    ///
    /// # Errors
    /// When one cannot be read, is larger than 256 MiB, or is not exactly a bundle or an array of bundles.
    pub fn read(paths: &[PathBuf]) -> Result<Self, BundleError> {
        let mut all = Self::default();
        for path in paths {
            for (gun, documents) in read_file(path)? {
                if all.repositories.contains_key(&gun) {
                    let path = path.clone();
                    return Err(BundleError::Repeated { path, gun });
                }
                all.repositories.insert(gun, documents);
            }
        }
        Ok(all)
    }

    /// The documents of a repository, if they are among these.
    pub fn documents(&self, gun: &Gun) -> Option<&Documents> {
        self.repositories.get(gun)
    }

    /// Adds the documents of a repository, in place of those that were there.
    pub fn insert(&mut self, gun: Gun, documents: Documents) {
        self.repositories.insert(gun, documents);
    }

    /// Checks that a file can be written there, and that nothing but a file with bundles would be overwritten.
    ///
    /// # Errors
    /// When something else is there, or no directory for it.
    pub fn check_place(path: &Path) -> Result<(), BundleError> {
        let unusable = |reason: &str| BundleError::File {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        if path.as_os_str() == "-" {
            return Err(unusable(
                "bundles are not written to standard output, where the verdicts are; name a file",
            ));
        }
        if !directory_of(path).is_dir() {
            return Err(unusable("there is no such directory"));
        }
        let occupied = |reason: &str| BundleError::Occupied {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        match fs::symlink_metadata(path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(cause) => Err(file_error(path, &cause)),
            Ok(found) if !found.is_file() => Err(occupied("this is not a regular file")),
            Ok(_) => match read_file(path) {
                Ok(_) => Ok(()),
                Err(BundleError::Malformed { .. }) => Err(occupied("this file is there and holds no bundle")),
                Err(cause) => Err(cause),
            },
        }
    }

    /// Writes them into one file, at once or not at all: one repository as a bundle, others as an array of bundles.
    ///
    /// # Errors
    /// When something else than bundles is there, when they are larger than what is read, or when the file cannot be
    /// written; then what was there stays.
    pub fn write(&self, path: &Path) -> Result<(), BundleError> {
        Self::check_place(path)?;
        let written: Vec<Written<'_>> = self
            .repositories
            .iter()
            .map(|(gun, documents)| Written::of(gun.as_str(), documents))
            .collect();
        let text = match written.as_slice() {
            [one] => serde_json::to_vec(one),
            all => serde_json::to_vec(all),
        };
        let failed = |reason: String| BundleError::File {
            path: path.to_owned(),
            reason,
        };
        let mut text = text.map_err(|cause| failed(cause.to_string()))?;
        text.push(b'\n');
        if text.len() as u64 > FILE_LIMIT {
            return Err(failed(format!(
                "the documents take {} bytes, and files of at most {FILE_LIMIT} are read; write several files",
                text.len()
            )));
        }
        let directory = directory_of(path);
        let write = || {
            let mut file = Builder::new()
                .permissions(Permissions::from_mode(MODE))
                .tempfile_in(directory)?;
            file.write_all(&text)?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|cause| cause.error)?;
            File::open(directory)?.sync_all()
        };
        write().map_err(|cause| file_error(path, &cause))
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn file_error(path: &Path, cause: &io::Error) -> BundleError {
    BundleError::File {
        path: path.to_owned(),
        reason: reason::of_io(cause),
    }
}

fn read_file(path: &Path) -> Result<Vec<(Gun, Documents)>, BundleError> {
    let malformed = |reason: String| BundleError::Malformed {
        path: path.to_owned(),
        reason,
    };
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_LIMIT + 1).read_to_end(&mut text))
        .map_err(|cause| file_error(path, &cause))?;
    if text.len() as u64 > FILE_LIMIT {
        return Err(malformed(format!(
            "it has more than {FILE_LIMIT} bytes, which no bundle has"
        )));
    }
    let text = without_mark(text).map_err(|cause| malformed(cause.to_string()))?;
    let begins = text.iter().find(|byte| !byte.is_ascii_whitespace());
    let bundles: Vec<Stored> = match begins {
        None => return Err(malformed("it is empty".to_owned())),
        Some(b'[') => serde_json::from_slice(&text).map_err(|cause| malformed(cause.to_string()))?,
        Some(_) => vec![serde_json::from_slice(&text).map_err(|cause| malformed(cause.to_string()))?],
    };
    let mut found = Vec::with_capacity(bundles.len());
    for bundle in bundles {
        let gun = Gun::parse(&bundle.gun).map_err(|cause| malformed(cause.to_string()))?;
        if found.iter().any(|(known, _)| *known == gun) {
            let path = path.to_owned();
            return Err(BundleError::Repeated { path, gun });
        }
        found.push((gun, bundle.into_documents()));
    }
    Ok(found)
}
