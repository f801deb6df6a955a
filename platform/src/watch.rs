//! Files that a running program takes up when they change. They are looked at, not subscribed to, which also works on
//! network file systems and where symbolic links are swapped.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// How often files are looked at. A change is taken up when nothing changed between two looks, so that a
/// certificate and its key, written one after the other, are read together.
pub const LOOK: Duration = Duration::from_secs(1);

/// What tells one state of a file from another: where it is, when it changed, how long it is.
pub type Mark = Option<(u64, i64, i64, u64)>;

/// Files, and how they were when they were read.
pub struct Watched {
    files: Vec<PathBuf>,
    seen: Vec<Mark>,
    /// How they were at the last look, if that was not as when they were read.
    changed: Option<Vec<Mark>>,
}

impl Watched {
    /// These files as they are now, and a configuration file that was itself read when it was `as_read`.
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

    /// Whether the files are others than when they were read, and rest.
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

/// How a file is now; nothing if it is not there.
pub fn mark(path: &Path) -> Mark {
    let found = fs::metadata(path).ok()?;
    Some((found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
}

/// For a directory, the marks of what is in it count too.
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
