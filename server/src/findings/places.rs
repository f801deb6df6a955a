//! Where the server writes: files and directories that have to be there and its user's to write. Nothing is made here.

use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use platform::database::Location;
use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::Finding;
use crate::config::Sink;

/// How many symbolic links are followed to a file that is not there yet.
const LINKS: usize = 40;

/// The places of audit records.
pub(super) fn of_sinks(sinks: &[Sink]) -> Vec<Finding> {
    let found = sinks.iter().filter_map(|sink| match sink {
        Sink::Stdout => None,
        Sink::File(path) => can_append(path).err().map(|cause| {
            Finding::refusal(format!(
                "audit.sinks: cannot write to {}: {cause}",
                path.display()
            ))
            .fixed_by("make its directory, and let the server's user write there")
        }),
        // The daemon may be started later, or anew.
        Sink::Syslog(path) => fs::metadata(path).err().map(|cause| {
            Finding::note(
                format!(
                    "audit.sinks: no syslog daemon listens on {}: {cause}; records are lost until one does",
                    path.display()
                ),
                "start it, or name its socket (syslog:SOCKET)",
            )
        }),
    });
    found.collect()
}

/// The file of an embedded database, which is made where it is not there.
pub(super) fn of_database(location: &Location) -> Vec<Finding> {
    let Location::Sqlite(path) = location else {
        return Vec::new();
    };
    let refused = |place: &Path, cause: &io::Error| {
        Finding::refusal(format!(
            "storage.db_url: cannot write to {}: {cause}",
            place.display()
        ))
        .fixed_by(
            "make the directory, and let the server's user write to it and to the files of the database",
        )
        .shown_as("unable to reach trust server at this time: 503.")
    };
    if let Err(cause) = can_append(path) {
        return vec![refused(path, &cause)];
    }
    // Beside the file SQLite keeps two more while it is in use.
    let beside = ["-wal", "-shm"].map(|ending| {
        let mut name = path.clone().into_os_string();
        name.push(ending);
        PathBuf::from(name)
    });
    for file in &beside {
        if let Err(cause) = can_append(file) {
            return vec![refused(file, &cause)];
        }
    }
    Vec::new()
}

/// Whether a file can be appended to, or made if it is not there.
fn can_append(path: &Path) -> io::Result<()> {
    let mut path = path.to_path_buf();
    for _ in 0..LINKS {
        match fs::metadata(&path) {
            Ok(found) if found.is_file() || found.is_dir() => {
                return OpenOptions::new().append(true).open(&path).map(drop);
            }
            // Opening a pipe would wait for its reader.
            Ok(_) => return may(&path, Access::WRITE_OK),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(cause),
        }
        // A symbolic link that leads nowhere: the file would be made where it leads.
        match fs::read_link(&path) {
            Ok(target) => path = directory(&path).join(target),
            Err(_) => return can_make(&path),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

fn can_make(path: &Path) -> io::Result<()> {
    if path.file_name().is_none() {
        return Err(io::Error::other("it is not the name of a file"));
    }
    let directory = directory(path);
    if !fs::metadata(directory)?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory));
    }
    may(directory, Access::WRITE_OK | Access::EXEC_OK)
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn may(path: &Path, access: Access) -> io::Result<()> {
    accessat(CWD, path, access, AtFlags::EACCESS).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_judged_without_making_anything() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        assert!(can_append(&at("new")).is_ok());
        assert!(!at("new").exists());
        assert!(can_append(&at("none/new")).is_err());
        assert!(can_append(directory.path()).is_err());
        fs::write(at("file"), "x").unwrap();
        assert!(can_append(&at("file")).is_ok());
        assert!(can_append(&at("file/new")).is_err());
        std::os::unix::fs::symlink("elsewhere", at("link")).unwrap();
        assert!(can_append(&at("link")).is_ok());
        std::os::unix::fs::symlink("none/new", at("lost")).unwrap();
        assert!(can_append(&at("lost")).is_err());
        std::os::unix::fs::symlink("ring", at("ring")).unwrap();
        assert!(can_append(&at("ring")).is_err());
        assert_eq!(fs::read(at("file")).unwrap(), b"x");
        assert!(!at("elsewhere").exists());
    }
}
