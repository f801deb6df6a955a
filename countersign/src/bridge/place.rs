//! Where cosign's signatures are kept: in the repository of the image, or in an OCI image layout that is copied there.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use client::Server;
use serde_json::{Value, json};
use tuf::{Checksum, Gun};

use super::{
    BridgeError,
    files::{failed, make_directory, write},
    payload::digest,
    signatures::MANIFEST,
};

/// The name by which a layout calls a manifest in it.
const NAME: &str = "org.opencontainers.image.ref.name";
/// The version of image layouts.
const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
/// The largest file of a layout that is read, in bytes.
const FILE_LIMIT: u64 = 4 << 20;

/// A place for signatures.
pub enum Place {
    /// The registry of the image, with the name of its repository there.
    Registry(Box<Server>, Gun),
    /// A layout for the signatures of one repository.
    Layout(Layout),
}

/// An OCI image layout that nobody else writes to while this lives.
pub struct Layout {
    directory: PathBuf,
    _lock: File,
}

/// The tag under which the signatures of an image are kept.
pub(super) fn tag_of(image: &Checksum) -> String {
    format!("sha256-{image}.sig")
}

impl Place {
    /// The layout of a repository below a directory, which is made if it is not there: `HOST/PATH@cosign`, with `=` in place
    /// of the colon before a port, because programs take a colon for the end of a path. Waits for others who write to it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn layout(below: &Path, gun: &Gun) -> Result<Self, BridgeError> {
        let name = format!("{}@cosign", gun.as_str().replace(':', "="));
        let directory = below.join(name);
        make_directory(&directory.join("blobs/sha256"))?;
        let path = directory.join("oci-layout");
        let lock = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(|cause| failed(&path, &cause))?;
        if fs::metadata(&path).map_err(|cause| failed(&path, &cause))?.len() == 0 {
            fs::write(&path, LAYOUT).map_err(|cause| failed(&path, &cause))?;
        }
        Ok(Self::Layout(Layout {
            directory,
            _lock: lock,
        }))
    }

    /// In words.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Registry(server, name) => format!("{}/{name}", server.label()),
            Self::Layout(layout) => layout.directory.display().to_string(),
        }
    }

    /// The manifest with the signatures of an image.
    pub(super) async fn manifest(&self, image: &Checksum) -> Result<Option<Bytes>, BridgeError> {
        match self {
            Self::Registry(server, name) => server
                .manifest(name, &tag_of(image))
                .await
                .map_err(BridgeError::Registry),
            Self::Layout(layout) => layout.manifest(&tag_of(image)),
        }
    }

    /// What is signed, if it has at most `limit` bytes and is there.
    pub(super) async fn blob(&self, checksum: &Checksum, limit: u64) -> Result<Option<Bytes>, BridgeError> {
        match self {
            Self::Registry(server, name) => server
                .blob(name, checksum, limit)
                .await
                .map_err(BridgeError::Registry),
            Self::Layout(layout) => layout.blob(checksum, limit),
        }
    }

    /// Stores a blob.
    pub(super) async fn store(&self, blob: &Bytes) -> Result<(), BridgeError> {
        match self {
            Self::Registry(server, name) => server.push_blob(name, blob).await.map_err(BridgeError::Registry),
            Self::Layout(layout) => layout.store(blob),
        }
    }

    /// Puts the manifest with the signatures of an image, whose blobs are there, over the one that is there.
    pub(super) async fn put(&self, image: &Checksum, manifest: &Bytes) -> Result<(), BridgeError> {
        let tag = tag_of(image);
        match self {
            Self::Registry(server, name) => {
                let put = server.push_manifest(name, &tag, MANIFEST, manifest).await;
                put.map_err(BridgeError::Registry)
            }
            Self::Layout(layout) => layout.put(&tag, manifest),
        }
    }
}

impl Layout {
    fn index(&self) -> Result<Value, BridgeError> {
        let path = self.directory.join("index.json");
        let Some(text) = read(&path, FILE_LIMIT)? else {
            return Ok(json!({"schemaVersion": 2, "manifests": []}));
        };
        let index: Option<Value> = serde_json::from_slice(&text).ok();
        let index = index.filter(|index| index["manifests"].is_array());
        index.ok_or_else(|| BridgeError::File {
            path,
            reason: "this is not the index of an OCI image layout; name another directory".to_owned(),
        })
    }

    fn blob_path(&self, checksum: &Checksum) -> PathBuf {
        self.directory.join("blobs/sha256").join(checksum.as_hex())
    }

    fn blob(&self, checksum: &Checksum, limit: u64) -> Result<Option<Bytes>, BridgeError> {
        let path = self.blob_path(checksum);
        let content = read(&path, limit)?;
        match content {
            Some(content) if Checksum::of(&content) != *checksum => Err(BridgeError::File {
                path,
                reason: "its content is not that of its name; remove it".to_owned(),
            }),
            content => Ok(content),
        }
    }

    fn manifest(&self, tag: &str) -> Result<Option<Bytes>, BridgeError> {
        let index = self.index()?;
        let entries = index["manifests"].as_array().map_or(&[][..], Vec::as_slice);
        let found = entries.iter().find(|entry| entry["annotations"][NAME] == tag);
        let hex = found
            .and_then(|entry| entry["digest"].as_str())
            .and_then(|digest| digest.strip_prefix("sha256:"));
        match hex.and_then(|hex| Checksum::parse(hex).ok()) {
            Some(checksum) => self.blob(&checksum, FILE_LIMIT),
            None => Ok(None),
        }
    }

    fn store(&self, blob: &Bytes) -> Result<(), BridgeError> {
        write(&self.blob_path(&Checksum::of(blob)), blob)
    }

    fn put(&self, tag: &str, manifest: &Bytes) -> Result<(), BridgeError> {
        self.store(manifest)?;
        let mut index = self.index()?;
        let entries = index["manifests"].as_array().cloned().unwrap_or_default();
        let mut entries: Vec<Value> = entries
            .into_iter()
            .filter(|entry| entry["annotations"][NAME] != tag)
            .collect();
        entries.push(json!({
            "mediaType": MANIFEST,
            "digest": digest(&Checksum::of(manifest)),
            "size": manifest.len(),
            "annotations": {NAME: tag},
        }));
        index["manifests"] = entries.into();
        write(&self.directory.join("index.json"), index.to_string().as_bytes())
    }
}

fn read(path: &Path, limit: u64) -> Result<Option<Bytes>, BridgeError> {
    super::files::read(path, limit).map(|content| content.map(Bytes::from))
}
