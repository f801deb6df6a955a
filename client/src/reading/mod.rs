//! Reads all documents of a repository, as they were at one moment. Nothing is verified here but the hashes by which
//! documents were asked for: what was read goes to [`verifier::verify`].

mod bundle;
mod bundle_files;
mod denial;
mod files;
mod form;

use bundle::Offer;
use tuf::Gun;
use verifier::Documents;

use crate::failure::ReadError;
use crate::server::Server;

pub use bundle_files::{BundleError, Bundles};
pub use denial::denial;

/// What is known of a repository already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its documents, all of them.
    pub documents: Documents,
    /// The tag under which the server knows them, if it gave one.
    pub etag: Option<String>,
}

/// What a server says of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// It is as known.
    Unchanged,
    /// It is this.
    Documents(Known),
}

impl Server {
    /// Reads a repository: with one request where the server has bundles, else file by file, each by its checksum from
    /// the timestamp on, so that documents of different moments are never mixed.
    ///
    /// The roots are those from the first version on, or from the oldest that the server still has or that is known, to
    /// the newest.
    ///
    /// # Errors
    /// When the server has no trust data, refuses, cannot be reached, gives what no Notary server gives or more than any
    /// client takes, or when everything takes longer than it may.
    pub async fn read(&self, gun: &Gun, known: Option<&Known>) -> Result<Reading, ReadError> {
        if !has_address(gun) {
            return Err(ReadError::Name { gun: gun.to_string() });
        }
        let limit = self.read_limit;
        tokio::time::timeout(limit, self.read_now(gun, known))
            .await
            .unwrap_or_else(|_| {
                Err(ReadError::Deadline {
                    server: self.label().to_owned(),
                    limit,
                })
            })
    }

    async fn read_now(&self, gun: &Gun, known: Option<&Known>) -> Result<Reading, ReadError> {
        if !self.may_have_bundles() {
            return self.read_files(gun, known).await;
        }
        match self.read_bundle(gun, known).await? {
            Offer::Bundle(read) => Ok(read),
            Offer::TooLarge => self.read_files(gun, known).await,
            Offer::Nothing => {
                let read = self.read_files(gun, known).await?;
                self.has_bundles(false);
                Ok(read)
            }
        }
    }
}

/// Whether a repository can be named in an address: parts such as `..` would lead to another one.
pub(crate) fn has_address(gun: &Gun) -> bool {
    gun.as_str()
        .split('/')
        .all(|part| !part.is_empty() && part != "." && part != "..")
}
