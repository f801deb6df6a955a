//! Files that a running program reads again when they change. They are polled, which also works on network file systems
//! and where symbolic links are swapped.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// How often files are polled. A change counts once nothing has changed between two polls, so that a certificate and
/// its key, written one after the other, are read together.
pub const LOOK: Duration = Duration::from_secs(1);

/// What tells one state of a file from another: its resolved path, its time of change and its length.
pub type Mark = Option<(u64, i64, i64, u64)>;

/// Files, and their state when they were read.
pub struct Watched {
    files: Vec<PathBuf>,
    seen: Vec<Mark>,
    /// Their state at the last poll, if it differs from that when they were read.
    changed: Option<Vec<Mark>>,
}

impl Watched {
    /// Watches these files as they are now, and a configuration file that was in the state `as_read` when it was read.
    pub fn new(path: &Path, as_read: Mark, mut files: Vec<PathBuf>) -> Self {
        let mut seen = marks(&files);
        files.push(path.to_path_buf());
        seen.push(as_read);
        Self {
            files,
            seen,
            changed: None,
        }
    }

    /// Whether the files have changed since they were read, and have stopped changing.
    pub fn has_settled(&mut self) -> bool {
        let now = marks(&self.files);
        if now == self.seen {
            self.changed = None;
            return false;
        }
        let settled = self.changed.as_ref() == Some(&now);
        if settled {
            self.seen = now;
            self.changed = None;
        } else {
            self.changed = Some(now);
        }
        settled
    }
}

/// The state of a file now; `None` if it does not exist.
pub fn mark(path: &Path) -> Mark {
    let found = fs::metadata(path).ok()?;
    Some((found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
}

/// For a directory, the states of its entries count too.
fn marks(files: &[PathBuf]) -> Vec<Mark> {
    let mut marks = Vec::with_capacity(files.len());
    for path in files {
        marks.push(mark(path));
        if let Ok(entries) = fs::read_dir(path) {
            let mut inside: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
            inside.sort();
            marks.extend(inside.iter().map(|path| mark(path)));
        }
    }
    marks
}
