//! Reads manifests from a registry (distribution specification), to sign what is there.

use bytes::Bytes;
use reqwest::{StatusCode, header::ACCEPT};
use tuf::Gun;

use crate::failure::ReadError;
use crate::reading::has_address;
use crate::server::{Access, Server};

/// The kinds of manifests that are named by their SHA-256: images, and indexes of images for several platforms.
const MANIFESTS: &str = "application/vnd.docker.distribution.manifest.v2+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json, \
                         application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
/// The largest manifest, in bytes: what registries accept.
const LIMIT: u64 = 4 << 20;

impl Server {
    /// Reads the manifest that a registry has for a tag or digest; `None` if it has none. `name` is the repository's name in
    /// the registry, without a host.
    ///
    /// # Errors
    /// When the registry refuses, cannot be reached, or gives no manifest.
    pub async fn manifest(&self, name: &Gun, reference: &str) -> Result<Option<Bytes>, ReadError> {
        if !has_address(name) || reference.is_empty() || reference.contains('/') || reference.starts_with('.')
        {
            return Err(ReadError::Name {
                gun: name.to_string(),
            });
        }
        let address = self.address_of(name, ["manifests", reference]);
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
}
