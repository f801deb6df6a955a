//! The requests about a TUF 1.0 repository.

use std::collections::BTreeMap;

use bytes::Bytes;
use reqwest::{
    Body, StatusCode, Url,
    multipart::{Form, Part},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tuf_native::{Draft, Metadata, OnlineKeys, PublicKey, RepositoryName, Role};

use super::NativeError;
use crate::failure::ReadError;
use crate::server::{Access, Server};

/// The longest file of metadata that any client takes, in bytes.
const FILE_LIMIT: u64 = 5_000_000;
/// The longest answer to an upload, or list of what waits, in bytes.
const ANSWER_LIMIT: u64 = 1 << 20;

/// What a publish did.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Published {
    /// The files, by role and version.
    pub published: Vec<File>,
    /// The version of the new snapshot.
    pub snapshot: u64,
    /// The version of the new timestamp.
    pub timestamp: u64,
    /// The delegated roles that no role delegates to any more.
    #[serde(default)]
    pub dropped: Vec<String>,
}

/// A file of a publish.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct File {
    /// Its role.
    pub role: String,
    /// Its version.
    pub version: u64,
}

/// A file that waits for signatures.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Waiting {
    /// Its role.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// The IDs of the keys that signed it.
    pub signed: Vec<String>,
    /// The IDs of the keys that may sign it and did not.
    pub missing: Vec<String>,
    /// What those who name its keys demand.
    pub needed: Vec<Need>,
    /// Whether enough have signed it.
    pub complete: bool,
}

/// What one of those who name the keys of a file demands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Need {
    /// Who, such as `root version 2`.
    pub by: String,
    /// How many must sign.
    pub threshold: u32,
    /// How many did.
    pub have: u32,
}

#[derive(Deserialize)]
struct WaitingList {
    waiting: Vec<Waiting>,
}

#[derive(Deserialize)]
struct Keys {
    snapshot: Key,
    timestamp: Key,
}

#[derive(Deserialize)]
struct Key {
    key: Value,
}

impl Server {
    /// A file of metadata, such as `1.root.json`; `None` if there is none. Names are as they are before percent-encoding.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn native_file(&self, name: &RepositoryName, file: &str) -> Result<Option<Bytes>, ReadError> {
        self.native_get(name, &["metadata", file], file).await
    }

    /// The keys of the server that a root has to name.
    ///
    /// # Errors
    /// When the server refuses, cannot be reached, or answers otherwise.
    pub async fn native_keys(&self, name: &RepositoryName) -> Result<OnlineKeys, NativeError> {
        let body = self.native_get(name, &["keys"], "the keys").await?;
        let body =
            body.ok_or_else(|| self.malformed("it has no keys for TUF 1.0 repositories".to_owned()))?;
        let keys: Keys = self.parse("the keys", &body)?;
        Ok(OnlineKeys {
            snapshot: PublicKey::from_json(&keys.snapshot.key)?,
            timestamp: PublicKey::from_json(&keys.timestamp.key)?,
        })
    }

    /// Has the server make a new key for snapshots or timestamps, which takes effect with a root that names it.
    ///
    /// # Errors
    /// When the server refuses, cannot be reached, or answers otherwise.
    pub async fn native_new_key(&self, name: &RepositoryName, role: &Role) -> Result<PublicKey, NativeError> {
        let address = self.native_address(name.gun(), ["keys", role.as_str()]);
        let answer = self
            .exchange(
                name.gun(),
                Access::Everything,
                "the answer",
                ANSWER_LIMIT,
                |client| client.post(address.clone()),
            )
            .await?;
        match answer.status {
            StatusCode::OK => {}
            status if status.is_client_error() => return Err(self.rejection(&answer).into()),
            _ => return Err(self.unexpected(&answer).into()),
        }
        let keys: BTreeMap<String, Key> = self.parse("the answer", &answer.body)?;
        let made = keys
            .get(role.as_str())
            .ok_or_else(|| self.malformed(format!("it has no key for {role}")))?;
        Ok(PublicKey::from_json(&made.key)?)
    }

    /// Publishes files together, or none.
    ///
    /// # Errors
    /// When the server refuses them or cannot be reached.
    pub async fn native_publish(
        &self,
        name: &RepositoryName,
        files: &[Metadata],
    ) -> Result<Published, ReadError> {
        let files: Vec<_> = files.iter().map(|file| (file.role(), file.bytes())).collect();
        let body = self.native_upload(name, "metadata", &files).await?;
        self.parse("the answer", &body)
    }

    /// What waits for signatures.
    ///
    /// # Errors
    /// When the server refuses, cannot be reached, or answers otherwise.
    pub async fn native_waiting(&self, name: &RepositoryName) -> Result<Vec<Waiting>, ReadError> {
        match self.native_get(name, &["sign"], "what waits").await? {
            Some(body) => Ok(self.parse::<WaitingList>("what waits", &body)?.waiting),
            None => Ok(Vec::new()),
        }
    }

    /// A file that waits for signatures.
    ///
    /// # Errors
    /// When the server refuses, cannot be reached, or the file is none that every client would read.
    pub async fn native_draft(
        &self,
        name: &RepositoryName,
        role: &Role,
    ) -> Result<Option<Draft>, NativeError> {
        let file = format!("{role}.json");
        match self.native_get(name, &["sign", &file], &file).await? {
            Some(body) => Ok(Some(Draft::parse(role, body)?)),
            None => Ok(None),
        }
    }

    /// Opens drafts, or adds signatures to those that wait.
    ///
    /// # Errors
    /// When the server refuses them or cannot be reached.
    pub async fn native_sign(
        &self,
        name: &RepositoryName,
        drafts: &[Draft],
    ) -> Result<Vec<Waiting>, ReadError> {
        let files: Vec<_> = drafts.iter().map(|draft| (draft.role(), draft.bytes())).collect();
        let body = self.native_upload(name, "sign", &files).await?;
        Ok(self.parse::<WaitingList>("the answer", &body)?.waiting)
    }

    /// Withdraws a file that waits.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn native_withdraw(&self, name: &RepositoryName, role: &Role) -> Result<(), ReadError> {
        let file = format!("{role}.json");
        let address = self.native_address(name.gun(), ["sign", &file]);
        let answer = self
            .exchange(name.gun(), Access::Push, "the answer", ANSWER_LIMIT, |client| {
                client.delete(address.clone())
            })
            .await?;
        match answer.status {
            status if status.is_success() => Ok(()),
            status if status.is_client_error() => Err(self.rejection(&answer)),
            _ => Err(self.unexpected(&answer)),
        }
    }

    /// Stores the content of a target; `false` if the server keeps no targets.
    ///
    /// # Errors
    /// When the server refuses it or cannot be reached.
    pub async fn native_put_target(
        &self,
        name: &RepositoryName,
        path: &str,
        sha256: &str,
        content: Bytes,
    ) -> Result<bool, ReadError> {
        let address = self.native_target(name, path, sha256);
        let answer = self
            .exchange(name.gun(), Access::Push, "the answer", ANSWER_LIMIT, |client| {
                client.put(address.clone()).body(Body::from(content.clone()))
            })
            .await?;
        match answer.status {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Ok(false),
            status if status.is_client_error() => Err(self.rejection(&answer)),
            _ => Err(self.unexpected(&answer)),
        }
    }

    /// The address of a target's content by its consistent name, the hash before the last part (specification 6.2).
    pub(super) fn native_target(&self, name: &RepositoryName, path: &str, sha256: &str) -> Url {
        let (directory, file) = match path.rsplit_once('/') {
            Some((directory, file)) => (Some(directory), file),
            None => (None, path),
        };
        let file = format!("{sha256}.{file}");
        let directories = directory.into_iter().flat_map(|directory| directory.split('/'));
        let segments = ["targets"].into_iter().chain(directories).chain([file.as_str()]);
        self.native_address(name.gun(), segments)
    }

    async fn native_get(
        &self,
        name: &RepositoryName,
        segments: &[&str],
        what: &str,
    ) -> Result<Option<Bytes>, ReadError> {
        let address = self.native_address(name.gun(), segments.iter().copied());
        let access = if segments.first() == Some(&"metadata") {
            Access::Pull
        } else {
            Access::Push
        };
        let answer = self
            .exchange(name.gun(), access, what, FILE_LIMIT, |client| {
                client.get(address.clone())
            })
            .await?;
        match answer.status {
            StatusCode::OK => Ok(Some(answer.body)),
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_client_error() => Err(self.rejection(&answer)),
            _ => Err(self.unexpected(&answer)),
        }
    }

    async fn native_upload(
        &self,
        name: &RepositoryName,
        kind: &str,
        files: &[(&Role, &Bytes)],
    ) -> Result<Bytes, ReadError> {
        let address = self.native_address(name.gun(), [kind]);
        let answer = self
            .exchange(name.gun(), Access::Push, "the answer", ANSWER_LIMIT, |client| {
                // The names of files are percent-encoded already.
                let mut form = Form::new().percent_encode_noop();
                for (role, bytes) in files {
                    let part = Part::stream(Bytes::clone(bytes)).file_name(role.file_name());
                    form = form.part("files", part);
                }
                client.post(address.clone()).multipart(form)
            })
            .await?;
        match answer.status {
            StatusCode::OK => Ok(answer.body),
            status if status.is_client_error() => Err(self.rejection(&answer)),
            _ => Err(self.unexpected(&answer)),
        }
    }

    fn parse<T: DeserializeOwned>(&self, what: &str, body: &[u8]) -> Result<T, ReadError> {
        serde_json::from_slice(body)
            .map_err(|cause| self.malformed(format!("{what} cannot be read: {cause}")))
    }

    fn malformed(&self, what: String) -> ReadError {
        ReadError::Malformed {
            server: self.label().to_owned(),
            what,
        }
    }
}
