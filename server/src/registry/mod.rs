//! The registry behind this server: what may be asked of it, how it is asked, and which of its images are signed.
//!
//! Nothing here decides who may do what: `http/registry` asks `access`, and forwards only what was granted.

mod answer;
mod catalog;
mod enforcement;
mod headers;
mod indexes;
mod manifest;
mod places;
mod refusal;
mod resource;
mod said;
mod signed;
mod tags;
mod upstream;

use chrono::{DateTime, Utc};
use tuf::{Checksum, Gun};

use crate::config::{PublicSettings, RegistrySettings};

pub use answer::{Answer, Body};
pub use catalog::Page;
pub use enforcement::{Demand, Enforcement};
pub use headers::{for_client, for_registry};
pub use manifest::{ACCEPTED, ArtifactType, MANIFEST_LIMIT};
pub use refusal::Refusal;
pub use resource::{Reference, Resource};
pub use said::{AtOnce, Changing, Listed, Said, Unsigned, tag_number, tag_numbers};
pub use signed::SignedImages;
pub use tags::RegistryTag;
pub use upstream::{Asked, SetUpError, Upstream};

use indexes::Indexes;
use places::Places;
use signed::SignedCache;

/// The registry, and what is known about its images.
pub struct Gateway {
    host: String,
    upstream: Upstream,
    places: Places,
    signed: SignedCache,
    indexes: Indexes,
    said: Said,
}

impl Gateway {
    /// The registry of a configuration. This opens no connection yet.
    ///
    /// # Errors
    /// When a file that it needs cannot be used.
    pub fn new(settings: &RegistrySettings, public: &PublicSettings) -> Result<Self, SetUpError> {
        let places = Places::new(settings, public);
        Ok(Self {
            host: settings.host.clone(),
            upstream: Upstream::new(settings, &places)?,
            places,
            signed: SignedCache::default(),
            indexes: Indexes::default(),
            said: Said::default(),
        })
    }

    /// The GUN of a repository: its name after the registry's host.
    pub fn gun_of(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }

    /// The registry itself.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// The addresses of the registry, as it and its clients write them.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// What it said about the tags of its repositories.
    pub fn said(&self) -> &Said {
        &self.said
    }

    /// What the documents of a bundle sign. A bundle is verified once.
    ///
    /// # Errors
    /// Why a reader would refuse them, in words.
    pub async fn signed(
        &self,
        gun: &Gun,
        bundle: &tuf::Document,
    ) -> Result<std::sync::Arc<SignedImages>, String> {
        self.signed.of(gun, bundle).await
    }

    /// Remembers which images an index holds that was read just now.
    pub async fn note(&self, name: &str, digest: Checksum, manifest: &[u8]) {
        self.indexes.note(name, digest, manifest).await;
    }

    /// Whether an image is signed as `demand` wants it: named itself, or held by an index that is named.
    ///
    /// # Errors
    /// When the registry does not tell what is in an index.
    pub async fn is_signed(
        &self,
        name: &str,
        digest: Checksum,
        signed: &SignedImages,
        demand: &Demand,
        now: DateTime<Utc>,
    ) -> Result<bool, Refusal> {
        let roles = signed.roles(&demand.signers, Some(now));
        self.is_among(name, digest, &roles).await
    }

    /// Whether any signer names an image, or an index that holds it, however old the documents are.
    ///
    /// # Errors
    /// When the registry does not tell what is in an index.
    pub async fn is_named(
        &self,
        name: &str,
        digest: Checksum,
        signed: &SignedImages,
    ) -> Result<bool, Refusal> {
        let roles = signed.roles(&[], None);
        self.is_among(name, digest, &roles).await
    }

    async fn is_among(
        &self,
        name: &str,
        digest: Checksum,
        roles: &[&signed::SignedRole],
    ) -> Result<bool, Refusal> {
        if roles.iter().any(|role| role.digests.contains(&digest)) {
            return Ok(true);
        }
        let named: Vec<Checksum> = roles
            .iter()
            .flat_map(|role| role.digests.iter().copied())
            .collect();
        self.indexes.hold(&self.upstream, name, &named, digest).await
    }
}
