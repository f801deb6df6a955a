//! A repository as it is now, verified by tough, which also remembers what was seen.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tough::{ExpirationEnforcement, RepositoryLoader};
use tuf_native::{KeyId, Metadata, PublicKey, Refusal, RepositoryName, Role, Trusted};
use url::Url;

use super::NativeError;
use super::transport::{METADATA, ServerTransport, TARGETS};
use crate::server::Server;
use crate::state::StateDirectory;

/// The root that was verified last, as tough keeps it.
const ROOT: &str = "root.json";
/// The SHA-256 of the root file with which the line began that led to that one, if it began with one.
const BEGUN_WITH: &str = "begun-with";

/// Where trust begins, if a person says so.
#[derive(Debug, Clone)]
pub enum Beginning {
    /// With this root.
    Root(Bytes),
    /// With root version 1, if all of these keys signed it. IDs are those of TUF 1.0, or those under which the keys are kept.
    RootKeys(Vec<KeyId>),
    /// Trust begins with root version 1 as the server shows it, whichever keys signed it.
    FirstUse,
}

/// What expired files mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// They are refused, for those who use what is signed.
    Refused,
    /// They are taken, for those who sign what follows.
    Taken,
}

/// A repository as it is now, verified.
#[derive(Debug)]
pub struct NativeRepository {
    pub(super) server: Arc<Server>,
    pub(super) name: RepositoryName,
    loaded: tough::Repository,
    trusted: Trusted,
}

/// Reads a root file that a person trusts.
///
/// # Errors
/// When it cannot be read, or is no root.
pub fn read_root(path: &Path) -> Result<Bytes, NativeError> {
    let read = platform::files::read(path).map_err(|cause| NativeError::File {
        path: path.to_path_buf(),
        reason: cause.to_string(),
    })?;
    let bytes = Bytes::from(read);
    Metadata::parse(&Role::Root, bytes.clone())?;
    Ok(bytes)
}

impl NativeRepository {
    /// Loads a repository. Trust begins with what was verified before, unless a person says otherwise.
    ///
    /// # Errors
    /// When nothing says where trust begins, the server has no such repository, refuses or cannot be reached, or what it
    /// shows does not verify.
    pub async fn load(
        server: &Arc<Server>,
        name: &RepositoryName,
        state: &StateDirectory,
        beginning: Option<&Beginning>,
        expired: Expired,
    ) -> Result<Self, NativeError> {
        let directory = state.native(server.label(), name.gun())?;
        let _lock = state.lock(server.label(), name.gun())?;
        let kept = read_kept(&directory.join(ROOT))?;
        let root = match (beginning, &kept) {
            // To begin earlier would make tough forget what it saw, if the server's keys were replaced since then.
            (Some(Beginning::Root(bytes)), Some(kept)) if began_with(&directory, bytes)? => kept.clone(),
            (Some(beginning), _) => {
                forget_beginning(&directory)?;
                first_root(server, name, beginning).await?
            }
            (None, Some(kept)) => kept.clone(),
            (None, None) => return Err(NativeError::NoBeginning(name.to_string())),
        };
        let transport = ServerTransport::new(Arc::clone(server), name.clone());
        let enforcement = match expired {
            Expired::Refused => ExpirationEnforcement::Safe,
            Expired::Taken => ExpirationEnforcement::Unsafe,
        };
        let loader = RepositoryLoader::new(&root, place(METADATA)?, place(TARGETS)?)
            .transport(transport.clone())
            .datastore(&directory)
            .expiration_enforcement(enforcement);
        let loaded = match (loader.load().await, transport.failure()) {
            (Ok(loaded), None) => Ok(loaded),
            // tough goes on without a newer root whatever kept it from reading one; here only its absence may.
            (_, Some(cause)) => Err(cause.into()),
            (Err(cause), None) => Err(unverified(name, &cause)),
        };
        let loaded = match (loaded, &kept) {
            (Ok(loaded), _) => loaded,
            (Err(cause), None) => return Err(cause),
            (Err(cause), Some(kept)) => {
                // tough may have put an older one in its place already.
                keep_root_in(&directory, kept)?;
                return Err(cause);
            }
        };
        let shown = loaded.root().signed.version.get();
        if let Some(seen) = kept.as_ref().and_then(stated_version)
            && shown < seen
        {
            // tough has put the older one in its place.
            if let Some(kept) = &kept {
                keep_root_in(&directory, kept)?;
            }
            return Err(NativeError::WentBack {
                name: name.to_string(),
                shown,
                seen,
                state: directory,
            });
        }
        let trusted = trusted(&loaded, &transport, &root)?;
        for file in trusted.root.iter().chain(&trusted.targets) {
            file.check_repository(name)?;
        }
        if let Some(Beginning::Root(bytes)) = beginning {
            keep_in(&directory, BEGUN_WITH, hash(bytes).as_bytes())?;
        }
        Ok(Self {
            server: Arc::clone(server),
            name: name.clone(),
            loaded,
            trusted,
        })
    }

    /// The verified files.
    pub fn trusted(&self) -> &Trusted {
        &self.trusted
    }

    /// The repository as tough has it.
    pub fn loaded(&self) -> &tough::Repository {
        &self.loaded
    }

    /// The role that clients find a target in, its length and SHA-256.
    pub fn targets(&self) -> BTreeMap<String, (u64, String)> {
        let all = self.loaded.all_targets();
        let shown = all.filter_map(|(name, _)| {
            let found = self.loaded.targets().signed.find_target(name, false).ok()?;
            Some((
                name.raw().to_owned(),
                (found.length, hex::encode(&found.hashes.sha256)),
            ))
        });
        shown.collect()
    }

    /// When the first of root, targets, snapshot and timestamp ends, and which that is.
    pub fn ends(&self) -> Option<(DateTime<Utc>, Role)> {
        let trusted = &self.trusted;
        let files = trusted.root.iter().chain(&trusted.targets);
        let files = files.chain(&trusted.snapshot).chain(&trusted.timestamp);
        files.map(|file| (file.expires(), file.role().clone())).min()
    }

    /// Remembers a root that was just made here and published, so that trust begins with it.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn keep_root(
        server: &Server,
        name: &RepositoryName,
        state: &StateDirectory,
        root: &Metadata,
    ) -> Result<(), NativeError> {
        let directory = state.native(server.label(), name.gun())?;
        let _lock = state.lock(server.label(), name.gun())?;
        keep_root_in(&directory, root.bytes())
    }

    /// Whether something of a repository was verified here before.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn is_known(
        server: &Server,
        name: &RepositoryName,
        state: &StateDirectory,
    ) -> Result<bool, NativeError> {
        let directory = state.native(server.label(), name.gun())?;
        Ok(read_kept(&directory.join(ROOT))?.is_some())
    }
}

fn unverified(name: &RepositoryName, cause: &tough::error::Error) -> NativeError {
    let (name, reason) = (name.to_string(), in_words(cause));
    match cause {
        tough::error::Error::ExpiredMetadata { .. } => NativeError::Expired { name, reason },
        _ => NativeError::Unverified { name, reason },
    }
}

async fn first_root(
    server: &Server,
    name: &RepositoryName,
    beginning: &Beginning,
) -> Result<Bytes, NativeError> {
    if let Beginning::Root(bytes) = beginning {
        return Ok(bytes.clone());
    }
    let found = server.native_file(name, "1.root.json").await?;
    let bytes = found.ok_or_else(|| NativeError::Absent {
        server: server.label().to_owned(),
        name: name.to_string(),
    })?;
    check_first(name, &Metadata::parse(&Role::Root, bytes.clone())?, beginning)?;
    Ok(bytes)
}

/// Refuses a first root, published or not, with which trust does not begin.
///
/// # Errors
/// [`NativeError::OtherRoot`].
pub fn check_first(name: &RepositoryName, root: &Metadata, beginning: &Beginning) -> Result<(), NativeError> {
    let signers = root.signed_by(&Role::Root);
    let other = |key: String| {
        let signers: Vec<&str> = signers.iter().map(|key| key.id().as_str()).collect();
        NativeError::OtherRoot {
            name: name.to_string(),
            key,
            signers: signers.join(", "),
        }
    };
    let named = |id: &KeyId| {
        let is = |key: &PublicKey| key.id() == id || key.to_notary().is_some_and(|key| key.id() == id);
        signers.iter().any(is)
    };
    match beginning {
        Beginning::FirstUse | Beginning::Root(_) => Ok(()),
        Beginning::RootKeys(keys) => match keys.iter().find(|key| !named(key)) {
            Some(missing) => Err(other(missing.to_string())),
            None => Ok(()),
        },
    }
}

/// The files that tough verified, as they were received.
fn trusted(
    loaded: &tough::Repository,
    transport: &ServerTransport,
    beginning: &Bytes,
) -> Result<Trusted, NativeError> {
    let file = |role: &Role, version: u64| -> Result<Metadata, NativeError> {
        let name = format!("{version}.{role}.json");
        let bytes = transport.file(&name).ok_or_else(|| Refusal::Interoperability {
            role: role.clone(),
            problem: format!("it did not ask for {name}"),
        })?;
        Ok(Metadata::parse(role, bytes)?)
    };
    let root_version = loaded.root().signed.version.get();
    let root = match transport.file(&format!("{root_version}.root.json")) {
        Some(bytes) => Metadata::parse(&Role::Root, bytes)?,
        None => Metadata::parse(&Role::Root, beginning.clone())?,
    };
    let mut targets = Vec::new();
    let meta = &loaded.snapshot().signed.meta;
    let mut open = vec![Role::Targets];
    while let Some(role) = open.pop() {
        let Some(named) = meta.get(&format!("{role}.json")) else {
            continue;
        };
        let read = file(&role, named.version.get())?;
        open.extend(read.delegations().map(|(role, _)| role.clone()));
        targets.push(read);
    }
    let timestamp = transport.file("timestamp.json");
    let timestamp = timestamp.map(|bytes| Metadata::parse(&Role::Timestamp, bytes));
    Ok(Trusted {
        root: Some(root),
        targets,
        snapshot: Some(file(&Role::Snapshot, loaded.snapshot().signed.version.get())?),
        timestamp: timestamp.transpose()?,
    })
}

fn place(text: &str) -> Result<Url, NativeError> {
    Url::parse(text).map_err(|cause| NativeError::File {
        path: PathBuf::from(text),
        reason: cause.to_string(),
    })
}

fn read_kept(path: &Path) -> Result<Option<Bytes>, NativeError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(NativeError::File {
            path: path.to_path_buf(),
            reason: platform::reason::of_io(&cause),
        }),
    }
}

fn keep_root_in(directory: &Path, root: &[u8]) -> Result<(), NativeError> {
    keep_in(directory, ROOT, root)
}

/// Whether the line that led to the root that is kept began with this one.
fn began_with(directory: &Path, root: &[u8]) -> Result<bool, NativeError> {
    let kept = read_kept(&directory.join(BEGUN_WITH))?;
    Ok(kept.is_some_and(|kept| kept == hash(root).as_bytes()))
}

/// What is kept from now on may come from another beginning.
fn forget_beginning(directory: &Path) -> Result<(), NativeError> {
    let path = directory.join(BEGUN_WITH);
    match fs::remove_file(&path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(NativeError::File {
            path,
            reason: platform::reason::of_io(&cause),
        }),
        _ => Ok(()),
    }
}

fn hash(root: &[u8]) -> String {
    hex::encode(openssl::sha::sha256(root))
}

fn keep_in(directory: &Path, name: &str, content: &[u8]) -> Result<(), NativeError> {
    let path = directory.join(name);
    let written = tempfile::NamedTempFile::new_in(directory).and_then(|mut file| {
        std::io::Write::write_all(&mut file, content)?;
        file.persist(&path).map_err(|cause| cause.error)
    });
    written.map(drop).map_err(|cause| NativeError::File {
        path,
        reason: platform::reason::of_io(&cause),
    })
}

fn stated_version(root: &Bytes) -> Option<u64> {
    let root: serde_json::Value = serde_json::from_slice(root).ok()?;
    root.get("signed")?.get("version")?.as_u64()
}

/// An error with those that caused it, which the library tells apart.
fn in_words(cause: &dyn std::error::Error) -> String {
    let mut text = cause.to_string();
    let mut next = cause.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    printable.take(1_000).collect()
}
