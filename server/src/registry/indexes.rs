//! Which images the indexes hold that somebody signed. What an index holds never changes, since its digest names its
//! bytes; so it is read once, and kept as long as there is room.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use moka::future::Cache;
use tokio::time::timeout;
use tuf::Checksum;

use super::{
    Asked, Refusal, Upstream,
    manifest::{self, MANIFEST_LIMIT},
};

/// The memory for what indexes hold, in bytes.
const MEMORY: u64 = 32 * 1024 * 1024;
/// What an entry costs beside what it holds, in bytes.
const OVERHEAD: usize = 256;
/// How many manifests are read at the same time to find an image.
const AT_ONCE: usize = 8;
/// How many manifests are read at the most to find an image.
const MOST: usize = 10_000;

type Key = (String, Checksum);

/// What is known about indexes.
pub(super) struct Indexes(Cache<Key, Arc<[Checksum]>>);

impl Default for Indexes {
    fn default() -> Self {
        let weigh = |key: &Key, held: &Arc<[Checksum]>| {
            let weight = OVERHEAD + key.0.len() + held.len() * size_of::<Checksum>();
            u32::try_from(weight).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(MEMORY).weigher(weigh).build())
    }
}

impl Indexes {
    /// Remembers what a manifest holds whose digest this is.
    pub(super) async fn note(&self, name: &str, digest: Checksum, manifest: &[u8]) {
        let held = manifest::held(manifest).into();
        self.0.insert((name.to_owned(), digest), held).await;
    }

    /// Whether one of the indexes with these digests holds an image. Those that are not known are read.
    ///
    /// # Errors
    /// When the registry does not answer, or would have to be asked too often.
    pub(super) async fn hold(
        &self,
        upstream: &Upstream,
        name: &str,
        indexes: &[Checksum],
        wanted: Checksum,
    ) -> Result<bool, Refusal> {
        let mut unknown = Vec::new();
        for index in indexes {
            match self.0.get(&(name.to_owned(), *index)).await {
                Some(held) if held.contains(&wanted) => return Ok(true),
                Some(_) => {}
                None => unknown.push(*index),
            }
        }
        unknown.sort_unstable_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
        unknown.dedup();
        if unknown.len() > MOST {
            return Err(Refusal::Unusable(format!(
                "{name} has more than {MOST} signed images, which is more than are looked through for one"
            )));
        }
        let look = async {
            let mut reading = stream::iter(unknown)
                .map(|index| self.read(upstream, name, index))
                .buffer_unordered(AT_ONCE);
            while let Some(held) = reading.next().await {
                if held?.contains(&wanted) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        timeout(upstream.answer_timeout(), look)
            .await
            .map_err(|_| Refusal::Slow("tell what is in the signed indexes"))?
    }

    async fn read(
        &self,
        upstream: &Upstream,
        name: &str,
        index: Checksum,
    ) -> Result<Arc<[Checksum]>, Refusal> {
        let read = async {
            let path = format!("/v2/{name}/manifests/sha256:{}", index.as_hex());
            let mut headers = reqwest::header::HeaderMap::new();
            headers.insert(
                reqwest::header::ACCEPT,
                reqwest::header::HeaderValue::from_static(manifest::ACCEPTED),
            );
            let asked = Asked {
                method: "GET",
                path: &path,
                query: None,
                headers,
            };
            let answer = upstream.ask(asked).await?;
            match answer.status {
                200 => {}
                // It was deleted, or never pushed, and holds nothing that anybody could pull.
                404 => return Ok(Arc::from([])),
                other => return Err(Refusal::Unusable(format!("{path}: it answered {other}"))),
            }
            let bytes = answer.body.read(MANIFEST_LIMIT).await?;
            if Checksum::of(&bytes) != index {
                return Err(Refusal::Unusable(format!("{path}: it has another digest")));
            }
            Ok(manifest::held(&bytes).into())
        };
        let read = self.0.try_get_with((name.to_owned(), index), read).await;
        read.map_err(|cause: Arc<Refusal>| (*cause).clone())
    }
}
