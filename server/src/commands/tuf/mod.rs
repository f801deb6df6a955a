//! `tuf`: TUF 1.0 repositories, as files.

mod directory;
mod layout;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use platform::{args::ConfigFile, config::ConfigError};
use reqwest::Url;
use tuf_native::{Metadata, NameError, RepositoryName, Role};

use crate::{
    config::Config,
    native::named_files,
    store::{Store, StoreError},
};

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum TufError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database does not answer.
    #[error("storage: {0}")]
    Store(#[from] StoreError),
    /// The argument is no name of a repository.
    #[error("{0:?} is not a repository: {1}")]
    Name(String, NameError),
    /// There is no such repository.
    #[error("there is no TUF repository {0}, or it was deleted")]
    NoRepository(RepositoryName),
    /// What is stored cannot be read.
    #[error("what is stored of {0} cannot be read: {1}; countersign-server check says more")]
    Stored(RepositoryName, String),
    /// The directory is there already.
    #[error("{0} is there already: name another directory, or remove it")]
    Exists(PathBuf),
    /// A file cannot be written.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
}

/// `tuf ...`
#[derive(Debug, Clone, clap::Subcommand)]
pub enum TufCommand {
    /// Write what is current of a repository, byte for byte: every root, snapshot, timestamp, targets, delegated roles, and
    /// the target files that are stored here.
    Export {
        #[command(flatten)]
        file: ConfigFile,
        /// The repository.
        #[arg(value_name = "NAME")]
        name: String,
        /// The directory to write; it appears only when it is complete.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Write an OCI image layout, which skopeo and others copy to a registry, instead of plain files.
        #[arg(long)]
        oci: bool,
    },
}

/// The longest name of a file that file systems take, in bytes.
const LONGEST_NAME: usize = 255;

/// A file of a repository.
pub(super) struct Exported {
    /// Its path in the repository: `metadata/1.root.json`, `targets/directory/HASH.name`.
    pub(super) path: String,
    /// Another path under which tough looks for it in a directory.
    pub(super) of_tough: Option<String>,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
}

/// Runs the command.
///
/// # Errors
/// When the configuration, the database or the directory cannot be used.
pub fn run(command: &TufCommand) -> Result<(), TufError> {
    let TufCommand::Export {
        file,
        name: text,
        out,
        oci,
    } = command;
    let name = RepositoryName::parse(text).map_err(|cause| TufError::Name(text.clone(), cause))?;
    let config = Config::load(&file.config, false)?;
    let store = Store::open_read_only(&config.storage)?;
    if out.exists() {
        return Err(TufError::Exists(out.clone()));
    }
    let (files, elsewhere) = collect(&store, &name)?;
    let mut part = out.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let failed = |path: &Path, cause| TufError::Io(path.to_owned(), cause);
    let written = if *oci {
        layout::write(&part, &files)
    } else {
        directory::write(&part, &files)
    };
    let written = written
        .map_err(|cause| failed(&part, cause))
        .and_then(|()| fs::rename(&part, out).map_err(|cause| failed(out, cause)));
    if written.is_err() {
        // An incomplete directory is useless. An error while removing it adds nothing to the one reported.
        let _ = fs::remove_dir_all(&part);
    }
    written?;
    platform::say!("{} files of {name} are in {}", files.len(), out.display());
    if elsewhere > 0 {
        platform::say!("{elsewhere} targets are not stored here, so their files are not among them");
    }
    Ok(())
}

/// The files of a repository as they are at one moment, and how many targets have no file here.
fn collect(store: &Store, name: &RepositoryName) -> Result<(Vec<Exported>, usize), TufError> {
    let absent = || TufError::NoRepository(name.clone());
    let (repository, current) = store
        .native_current(name.gun(), named_files)?
        .ok_or_else(absent)?;
    if repository.deleted_at.is_some() {
        return Err(absent());
    }
    let damaged = |cause: String| TufError::Stored(name.clone(), cause);
    let mut files = Vec::new();
    for (version, bytes) in store.native_roots(name.gun())? {
        files.push(Exported {
            path: format!("metadata/{version}.root.json"),
            of_tough: None,
            bytes,
        });
    }
    let mut elsewhere = 0;
    for file in current {
        let role = Role::parse(&file.role).map_err(|cause| damaged(cause.to_string()))?;
        let path = match role {
            Role::Root => continue,
            Role::Timestamp => "metadata/timestamp.json".to_owned(),
            _ => metadata_path(file.version, &role),
        };
        if role.lists_targets() {
            let read = Metadata::parse(&role, Bytes::from(file.bytes.clone()))
                .map_err(|cause| damaged(cause.to_string()))?;
            for (target, sha256) in hashes(&read) {
                match store.native_target(name.gun(), &sha256)? {
                    Some(bytes) => files.push(Exported {
                        path: format!("targets/{}", consistent(&target, &sha256)),
                        of_tough: of_tough(&target, &sha256),
                        bytes,
                    }),
                    None => elsewhere += 1,
                }
            }
        }
        let encoded = format!("metadata/{}.{}", file.version, role.file_name());
        files.push(Exported {
            of_tough: (encoded != path && role != Role::Timestamp).then_some(encoded),
            path,
            bytes: file.bytes,
        });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    // Two roles may list the same target.
    files.dedup_by(|a, b| a.path == b.path);
    Ok((files, elsewhere))
}

/// The path of a file of metadata. Clients ask for it with the name of the role percent-encoded, which web servers decode
/// before they look for a file; so it is written as it is decoded, unless file systems would not take that.
fn metadata_path(version: i32, role: &Role) -> String {
    let decoded = format!("{version}.{}.json", role.as_str());
    // Otherwise a directory could have the name of another role's file.
    let mut directories = decoded.rsplit('/').skip(1);
    let too_long = decoded.split('/').any(|part| part.len() > LONGEST_NAME);
    if !too_long && !directories.any(|directory| directory.ends_with(".json")) {
        format!("metadata/{decoded}")
    } else {
        format!("metadata/{version}.{}", role.file_name())
    }
}

/// The paths of the targets that a file lists, and their SHA-256.
fn hashes(file: &Metadata) -> Vec<(String, String)> {
    let listed = file.signed().get("targets");
    file.targets()
        .filter_map(|path| {
            let sha256 = listed?.get(path)?.get("hashes")?.get("sha256")?.as_str()?;
            Some((path.to_owned(), sha256.to_owned()))
        })
        .collect()
}

/// The path under which tough reads a target from a directory: the hash before the whole path, encoded as in addresses.
/// `None` if that is the name that it has anyway, or there is no such address.
fn of_tough(target: &str, sha256: &str) -> Option<String> {
    let plain = format!("/targets/{sha256}.{target}");
    let mut address = Url::parse("file:///").ok()?;
    address.set_path(&plain);
    let path = address.path().strip_prefix('/')?.to_owned();
    (path != format!("targets/{}", consistent(target, sha256))).then_some(path)
}

/// The name of a target file with consistent snapshots (specification 1.0, section 6.2).
fn consistent(path: &str, sha256: &str) -> String {
    match path.rsplit_once('/') {
        Some((directory, name)) => format!("{directory}/{sha256}.{name}"),
        None => format!("{sha256}.{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_called_as_web_servers_look_for_them() {
        for (role, path) in [
            ("targets", "metadata/7.targets.json"),
            ("targets/releases", "metadata/7.targets/releases.json"),
            ("\u{e4} b", "metadata/7.\u{e4} b.json"),
            ("a.json/b", "metadata/7.a.json%2Fb.json"),
        ] {
            assert_eq!(metadata_path(7, &Role::parse(role).unwrap()), path, "{role}");
        }
    }
}
