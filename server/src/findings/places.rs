//! Checks that the server can write to its files and directories and listen on its addresses. Creates no file.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use platform::{database::Location, reason::of_io};
use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::Finding;
use crate::config::{Listener, RevocationSettings, Sink};

/// Listening on ports below this one needs a privilege, unless the kernel is configured otherwise.
const UNPRIVILEGED: u16 = 1024;
/// How many symbolic links are followed to a file that does not exist yet.
const LINKS: usize = 40;

/// Checks the audit sinks.
pub(super) fn of_sinks(sinks: &[Sink]) -> Vec<Finding> {
    let found = sinks.iter().filter_map(|sink| match sink {
        Sink::Stdout => None,
        Sink::File(path) => can_append(path).err().map(|cause| {
            Finding::refusal(format!(
                "audit.sinks: cannot write to {}: {}",
                path.display(),
                of_io(&cause)
            ))
            .fixed_by("make its directory, and let the server's user write there")
        }),
        // The daemon may be started later, or anew.
        Sink::Syslog(path) => fs::metadata(path).err().map(|cause| {
            Finding::note(
                format!(
                    "audit.sinks: no syslog daemon listens on {}: {}; records are lost until one does",
                    path.display(),
                    of_io(&cause)
                ),
                "start it, or name its socket (syslog:SOCKET)",
            )
        }),
    });
    found.collect()
}

/// Checks the file of an SQLite database, which is created at start if it does not exist.
pub(super) fn of_database(location: &Location) -> Vec<Finding> {
    let Location::Sqlite(path) = location else {
        return Vec::new();
    };
    let refused = |place: &Path, cause: &io::Error| {
        Finding::refusal(format!(
            "storage.db_url: cannot write to {}: {}",
            place.display(),
            of_io(cause)
        ))
        .fixed_by(
            "make the directory, and let the server's user write to it and to the files of the database",
        )
        .shown_as("unable to reach trust server at this time: 503.")
    };
    let named = std::path::absolute(path).is_ok_and(|path| path.to_str().is_some());
    if !named {
        let cause = io::Error::other("its name is not valid UTF-8");
        return vec![refused(path, &cause)];
    }
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

/// Checks the directory for fetched revocation lists. A list that cannot be stored there is not used.
pub(super) fn of_lists(revocation: &RevocationSettings) -> Vec<Finding> {
    let kept = revocation.crl.as_ref().and_then(|crl| crl.kept.as_ref());
    let cause = kept.and_then(|kept| can_fill(kept).err().map(|cause| (kept, cause)));
    let told = cause.map(|(kept, cause)| {
        Finding::note(
            format!(
                "revocation.crl.directory_for_fetched: cannot write to {}: {}; fetched revocation lists are not used",
                kept.display(),
                of_io(&cause)
            ),
            "let the server's user write to it",
        )
    });
    told.into_iter().collect()
}

/// Checks the addresses of the listeners: that they belong to this machine, that the server's user may listen on the
/// ports, and that no two listeners share one.
pub(super) fn of_listeners(listeners: &[Listener]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen: Vec<(SocketAddr, &str)> = Vec::new();
    for listener in listeners {
        for address in &listener.addresses {
            let taken = seen.iter().find(|(other, _)| excludes(*other, *address));
            if let Some((other, key)) = taken {
                findings.push(
                    Finding::refusal(format!(
                        "{}: {address}: {key} listens on {other} already",
                        listener.key
                    ))
                    .fixed_by("choose another port"),
                );
            } else if let Err(cause) = can_bind(*address) {
                findings.push(
                    Finding::refusal(format!(
                        "{}: cannot listen on {address}: {}",
                        listener.key,
                        of_io(&cause)
                    ))
                    .fixed_by(
                        "choose an address of this machine, and a port that the server's user may take",
                    ),
                );
            }
            seen.push((*address, listener.key.as_str()));
        }
    }
    findings
}

/// Whether it is impossible to listen on both addresses at once.
fn excludes(one: SocketAddr, other: SocketAddr) -> bool {
    let same_kind = one.is_ipv4() == other.is_ipv4();
    let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (one.ip() == other.ip() || (same_kind && everywhere))
}

/// Checks that the address belongs to this machine and that this user may listen on the port. A port in use is no error,
/// because it may be the running server's. Only privileged ports are bound for the check; for the others port 0 is bound,
/// so that a server that starts at the same moment does not find its port in use.
fn can_bind(address: SocketAddr) -> io::Result<()> {
    let mut tried = address;
    if tried.port() >= UNPRIVILEGED {
        tried.set_port(0);
    }
    match TcpListener::bind(tried) {
        Err(cause)
            if [io::ErrorKind::AddrNotAvailable, io::ErrorKind::PermissionDenied].contains(&cause.kind()) =>
        {
            Err(cause)
        }
        _ => Ok(()),
    }
}

/// Checks that files can be created in a directory, which is itself created if it does not exist.
fn can_fill(directory: &Path) -> io::Result<()> {
    let there = directory.ancestors().find(|above| above.exists());
    let there = there.filter(|above| !above.as_os_str().is_empty());
    let there = there.unwrap_or(Path::new("."));
    if !fs::metadata(there)?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory));
    }
    may(there, Access::WRITE_OK | Access::EXEC_OK)
}

/// Checks that a file can be appended to, or created if it does not exist. It is not opened: closing a file of a database
/// would release the locks that this process has on it, at a reload too.
fn can_append(path: &Path) -> io::Result<()> {
    let mut path = path.to_path_buf();
    for _ in 0..LINKS {
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => return Err(rustix::io::Errno::ISDIR.into()),
            // The error that opening a socket gives.
            Ok(found) if found.file_type().is_socket() => return Err(rustix::io::Errno::NXIO.into()),
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
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        assert!(can_append(&at("socket")).is_err() && can_append(Path::new("/dev/null")).is_ok());
        std::os::unix::fs::symlink("ring", at("ring")).unwrap();
        assert!(can_append(&at("ring")).is_err());
        assert_eq!(fs::read(at("file")).unwrap(), b"x");
        assert!(!at("elsewhere").exists());
    }
}
