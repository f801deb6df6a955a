//! Reads manifests and small blobs from a registry and writes them (distribution specification): to sign what is there, and
//! to put signatures beside it.

use bytes::Bytes;
use reqwest::{
    StatusCode, Url,
    header::{ACCEPT, CONTENT_TYPE},
};
use tuf::{Checksum, Gun};

use crate::failure::ReadError;
use crate::reading::has_address;
use crate::server::{Access, Server};

/// The kinds of manifests that are named by their SHA-256: images, and indexes of images for several platforms.
const MANIFESTS: &str = "application/vnd.docker.distribution.manifest.v2+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json, \
                         application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
/// The largest manifest, in bytes: what registries accept.
const LIMIT: u64 = 4 << 20;
/// The largest answer to an upload, in bytes.
const ANSWER_LIMIT: u64 = 1 << 16;

impl Server {
    /// Reads the manifest that a registry has for a tag or digest; `None` if it has none. `name` is the repository's name in
    /// the registry, without a host.
    ///
    /// # Errors
    /// When the registry refuses, cannot be reached, or gives no manifest.
    pub async fn manifest(&self, name: &Gun, reference: &str) -> Result<Option<Bytes>, ReadError> {
        let address = self.of_registry(name, "manifests", reference)?;
        let answer = self
            .exchange(name, Access::Pull, "the manifest", LIMIT, |client| {
                client.get(address.clone()).header(ACCEPT, MANIFESTS)
            })
            .await?;
        match answer.status {
            StatusCode::OK => Ok(Some(answer.body)),
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_client_error() => Err(self.rejection(&answer)),
            _ => Err(self.unexpected(&answer)),
        }
    }

    /// Reads a blob of at most `limit` bytes; `None` if the registry has none. Its content is that of the digest.
    ///
    /// # Errors
    /// When the registry refuses, cannot be reached, or gives something else.
    pub async fn blob(&self, name: &Gun, digest: &Checksum, limit: u64) -> Result<Option<Bytes>, ReadError> {
        let address = self.of_registry(name, "blobs", &format!("sha256:{digest}"))?;
        let content = self.small_file(name, &address, "the blob", limit).await?;
        match content {
            Some(content) if Checksum::of(&content) != *digest => Err(ReadError::Malformed {
                server: self.label().to_owned(),
                what: format!("the blob sha256:{digest} of {name} has another content"),
            }),
            content => Ok(content),
        }
    }

    /// Uploads a blob. One that is there already stays as it is.
    ///
    /// # Errors
    /// When the registry refuses, or cannot be reached.
    pub async fn push_blob(&self, name: &Gun, content: &Bytes) -> Result<(), ReadError> {
        let begin = self.of_registry(name, "blobs", "uploads")?;
        // The address of uploads ends with a slash.
        let begin = Url::parse(&format!("{begin}/")).unwrap_or(begin);
        let begun = self
            .exchange(name, Access::Push, "the answer", ANSWER_LIMIT, |client| {
                client.post(begin.clone())
            })
            .await?;
        if begun.status.is_client_error() {
            return Err(self.rejection(&begun));
        }
        if begun.status != StatusCode::ACCEPTED {
            return Err(self.unexpected(&begun));
        }
        let mut place = begun
            .location
            .and_then(|location| begin.join(&location).ok())
            .ok_or_else(|| self.not_as_expected("it does not say where the upload goes on"))?;
        // Whoever asks is known there by a password or token.
        if place.origin() != begin.origin() {
            return Err(self.not_as_expected("it wants the upload to go on at another server"));
        }
        let digest = format!("sha256:{}", Checksum::of(content));
        place.query_pairs_mut().append_pair("digest", &digest);
        let ended = self
            .exchange(name, Access::Push, "the answer", ANSWER_LIMIT, |client| {
                let request = client.put(place.clone()).body(content.clone());
                request.header(CONTENT_TYPE, "application/octet-stream")
            })
            .await?;
        match ended.status {
            StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(()),
            status if status.is_client_error() => Err(self.rejection(&ended)),
            _ => Err(self.unexpected(&ended)),
        }
    }

    /// Puts a manifest of this media type under a tag, in place of what is there.
    ///
    /// # Errors
    /// When the registry refuses, or cannot be reached.
    pub async fn push_manifest(
        &self,
        name: &Gun,
        tag: &str,
        media_type: &str,
        content: &Bytes,
    ) -> Result<(), ReadError> {
        let address = self.of_registry(name, "manifests", tag)?;
        let answer = self
            .exchange(name, Access::Push, "the answer", ANSWER_LIMIT, |client| {
                let request = client.put(address.clone()).body(content.clone());
                request.header(CONTENT_TYPE, media_type)
            })
            .await?;
        match answer.status {
            status if status.is_success() => Ok(()),
            status if status.is_client_error() => Err(self.rejection(&answer)),
            _ => Err(self.unexpected(&answer)),
        }
    }

    /// The address of a manifest or blob.
    fn of_registry(&self, name: &Gun, kind: &str, reference: &str) -> Result<Url, ReadError> {
        if !has_address(name) || reference.is_empty() || reference.contains('/') || reference.starts_with('.')
        {
            return Err(ReadError::Name {
                gun: name.to_string(),
            });
        }
        Ok(self.address_of(name, [kind, reference]))
    }

    fn not_as_expected(&self, what: &str) -> ReadError {
        ReadError::Malformed {
            server: self.label().to_owned(),
            what: what.to_owned(),
        }
    }
}
