//! What was verified of repositories, kept on disk: one file for each repository and server, written at once or not at
//! all, by one process at a time. A file that is damaged is never taken for a first contact.

mod contacts;
mod name;
mod stored;

use std::{
    env, fs,
    fs::{File, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use platform::reason;
use tempfile::NamedTempFile;
use thiserror::Error;
use tuf::Gun;
use verifier::Seen;

use crate::reading::Known;

pub use contacts::{Contacts, LastContact, StoredDenial};

/// How long another process may hold a repository's lock.
const LOCK_LIMIT: Duration = Duration::from_secs(10);
/// How often the lock is tried.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// What is kept of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The newest documents that were verified.
    pub known: Known,
    /// What the verifier wants to see again.
    pub seen: Seen,
}

/// Why state could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StateError {
    /// A file or directory cannot be used.
    #[error("{}: {reason}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file is not as it was written.
    #[error(
        "{}: this file with the verified state of {gun} is damaged ({reason}); restore it, or move it away if you are sure \
         that the repository may be met as if for the first time",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The repository.
        gun: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another process holds the lock.
    #[error("{}: another process has held this lock for {} seconds; end it, or wait", .path.display(), LOCK_LIMIT.as_secs())]
    Locked {
        /// The lock.
        path: PathBuf,
    },
}

/// The directory.
#[derive(Debug, Clone)]
pub struct StateDirectory {
    path: PathBuf,
}

/// A repository whose files no other process changes.
#[derive(Debug)]
pub struct Locked<'a> {
    directory: &'a StateDirectory,
    name: String,
    server: &'a str,
    gun: &'a Gun,
    /// Unlocked when it is closed.
    _lock: File,
}

impl StateDirectory {
    /// `$XDG_STATE_HOME/countersign` or `~/.local/state/countersign`; `None` without a home.
    pub fn default_path() -> Option<PathBuf> {
        let absolute = |name: &str| {
            env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let state =
            absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
        state.map(|state| state.join("countersign"))
    }

    /// Opens a directory, which is made if it does not exist.
    ///
    /// # Errors
    /// When it cannot be made, or others may write to it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StateError> {
        let path = path.into();
        let failed = |reason: String| StateError::File {
            path: path.clone(),
            reason,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|cause| failed(reason::of_io(&cause)))?;
        let found = fs::metadata(&path).map_err(|cause| failed(reason::of_io(&cause)))?;
        if found.permissions().mode() & 0o022 != 0 {
            let reason = "others may write to this directory, and could undo what was verified; chmod go-w";
            return Err(failed(reason.into()));
        }
        Ok(Self { path })
    }

    /// What is kept of a repository of a server; `None` if nothing was verified yet.
    ///
    /// # Errors
    /// When the file cannot be read, or is damaged.
    pub fn load(&self, server: &str, gun: &Gun) -> Result<Option<Kept>, StateError> {
        let path = self.file(&name::of(server, gun), "state");
        let Some(text) = read(&path)? else {
            return Ok(None);
        };
        let damaged = |reason: String| StateError::Damaged {
            path: path.clone(),
            gun: gun.to_string(),
            reason,
        };
        stored::decode(&text, server, gun).map(Some).map_err(damaged)
    }

    /// When the server was last asked about a repository, and what it said. Nothing is known if the file is damaged:
    /// then nothing is used without asking the server.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn contacts(&self, server: &str, gun: &Gun) -> Result<Contacts, StateError> {
        let path = self.file(&name::of(server, gun), "contact");
        Ok(read(&path)?
            .and_then(|text| Contacts::decode(&text))
            .unwrap_or_default())
    }

    /// Waits until no other process changes the repository's files. This blocks.
    ///
    /// # Errors
    /// When another process does not let go within 10 seconds, or the lock cannot be made.
    pub fn lock<'a>(&'a self, server: &'a str, gun: &'a Gun) -> Result<Locked<'a>, StateError> {
        let name = name::of(server, gun);
        let path = self.file(&name, "lock");
        let failed = |reason: String| StateError::File {
            path: path.clone(),
            reason,
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|cause| failed(reason::of_io(&cause)))?;
        let end = Instant::now() + LOCK_LIMIT;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(fs::TryLockError::WouldBlock) if Instant::now() < end => thread::sleep(LOCK_PAUSE),
                Err(fs::TryLockError::WouldBlock) => return Err(StateError::Locked { path }),
                Err(fs::TryLockError::Error(cause)) => return Err(failed(reason::of_io(&cause))),
            }
        }
        Ok(Locked {
            directory: self,
            name,
            server,
            gun,
            _lock: file,
        })
    }

    /// The directory of what is known of the TUF 1.0 repository of this name, which is made if it does not exist.
    ///
    /// # Errors
    /// When it cannot be made.
    #[cfg(feature = "native")]
    pub fn native(&self, server: &str, gun: &Gun) -> Result<PathBuf, StateError> {
        let path = self.file(&name::of(server, gun), "tuf");
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|cause| StateError::File {
            path: path.clone(),
            reason: reason::of_io(&cause),
        })?;
        Ok(path)
    }

    fn file(&self, name: &str, kind: &str) -> PathBuf {
        self.path.join(format!("{name}.{kind}"))
    }
}

impl Locked<'_> {
    /// As [`StateDirectory::load`].
    ///
    /// # Errors
    /// As there.
    pub fn load(&self) -> Result<Option<Kept>, StateError> {
        self.directory.load(self.server, self.gun)
    }

    /// As [`StateDirectory::contacts`].
    ///
    /// # Errors
    /// As there.
    pub fn contacts(&self) -> Result<Contacts, StateError> {
        self.directory.contacts(self.server, self.gun)
    }

    /// Keeps what was verified against what [`load`](Self::load) gave under this lock. It is on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written; the old state is there then.
    pub fn store(&self, kept: &Kept) -> Result<(), StateError> {
        let text = stored::encode(kept, self.server, self.gun);
        let path = self.directory.file(&self.name, "state");
        let text = text.map_err(|reason| StateError::File {
            path: path.clone(),
            reason,
        })?;
        self.write(&path, &text, true)
    }

    /// Keeps when the server was asked. If this is lost, the server is asked again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn store_contacts(&self, contacts: &Contacts) -> Result<(), StateError> {
        self.write(
            &self.directory.file(&self.name, "contact"),
            &contacts.encode(),
            false,
        )
    }

    fn write(&self, path: &Path, text: &[u8], durable: bool) -> Result<(), StateError> {
        let directory = &self.directory.path;
        let write = || {
            // Only the owner may read a temporary file.
            let mut file = NamedTempFile::new_in(directory)?;
            file.write_all(text)?;
            if durable {
                file.as_file().sync_all()?;
            }
            file.persist(path).map_err(|cause| cause.error)?;
            if durable {
                File::open(directory)?.sync_all()?;
            }
            Ok(())
        };
        write().map_err(|cause: std::io::Error| StateError::File {
            path: path.to_path_buf(),
            reason: reason::of_io(&cause),
        })
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(StateError::File {
            path: path.to_path_buf(),
            reason: reason::of_io(&cause),
        }),
    }
}
