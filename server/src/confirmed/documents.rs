//! Documents in memory. Each is kept under the newest timestamp of its repository at the time when it was read: after
//! any change of the repository, a deletion too, it is not found any more. So one kept document cannot be served for
//! another, nor for a repository that was deleted and made again.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use moka::future::Cache;
use tokio::task::spawn_blocking;
use tuf::Gun;

use super::{ConfirmError, Confirmed, Moment, OVERHEAD};
use crate::store::{NewestTimestamp, Stored};

pub use crate::store::Wanted;

/// A document may use one part in this many of the memory for documents; larger ones are not kept.
const SHARE_OF_ONE: u64 = 8;

/// A document as it is served.
#[derive(Debug, Clone)]
pub struct Served {
    /// The document.
    pub stored: Stored,
    /// For the current timestamp, the snapshot, and bundles: when the first of the two expires; `None` if that cannot be read.
    pub usable_until: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    newest: Arc<NewestTimestamp>,
    gun: Gun,
    wanted: Wanted,
}

/// Why a document that was read is not kept.
#[derive(Debug)]
enum NotKept {
    /// The repository has changed since the request's moment.
    Newer(Option<Arc<Served>>),
    TooLarge(Arc<Served>),
    Failed(ConfirmError),
}

pub(super) struct Documents {
    cache: Cache<Key, Option<Arc<Served>>>,
    largest: usize,
}

impl Documents {
    pub(super) fn new(memory: u64) -> Self {
        let weigh = |key: &Key, served: &Option<Arc<Served>>| {
            let bytes = served
                .as_ref()
                .map_or(0, |served| served.stored.document.bytes.len());
            let weight = bytes + OVERHEAD + 2 * key.gun.as_str().len();
            u32::try_from(weight).unwrap_or(u32::MAX)
        };
        Self {
            cache: Cache::builder().max_capacity(memory).weigher(weigh).build(),
            largest: usize::try_from(memory / SHARE_OF_ONE).unwrap_or(usize::MAX),
        }
    }
}

impl Confirmed {
    /// A document of a repository, as it is at `moment` or later; `None` if there is none.
    ///
    /// Of several requests that need the same document from the database, one reads it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn document(
        &self,
        moment: &Moment,
        gun: &Gun,
        wanted: Wanted,
    ) -> Result<Option<Arc<Served>>, ConfirmError> {
        let Some(newest) = &moment.newest else {
            // Nothing could tell that it changes, so it is not kept.
            return self.read(gun.clone(), wanted).await.map(|(_, served)| served);
        };
        let key = Key {
            newest: Arc::clone(newest),
            gun: gun.clone(),
            wanted: wanted.clone(),
        };
        if let Some(kept) = self.documents.cache.get(&key).await {
            return Ok(kept);
        }
        let read = async {
            let (found, served) = self.read(gun.clone(), wanted).await.map_err(NotKept::Failed)?;
            if found.as_ref() != Some(&**newest) {
                return Err(NotKept::Newer(served));
            }
            match served {
                Some(served) if served.stored.document.bytes.len() > self.documents.largest => {
                    Err(NotKept::TooLarge(served))
                }
                served => Ok(served),
            }
        };
        match self.documents.cache.try_get_with(key, read).await {
            Ok(served) => Ok(served),
            Err(reason) => match &*reason {
                NotKept::Newer(served) => Ok(served.clone()),
                NotKept::TooLarge(served) => Ok(Some(Arc::clone(served))),
                NotKept::Failed(cause) => Err(cause.clone()),
            },
        }
    }

    /// Reads a document from the database, with the newest timestamp at the same moment.
    async fn read(
        &self,
        gun: Gun,
        wanted: Wanted,
    ) -> Result<(Option<NewestTimestamp>, Option<Arc<Served>>), ConfirmError> {
        let store = self.store.clone();
        let read = spawn_blocking(move || {
            let found = store.document(&gun, &wanted)?;
            let served = found.document.map(|stored| {
                let usable_until = found.expiring.and_then(|documents| {
                    let ends = documents.map(|document| tuf::expires(&document.bytes).ok());
                    ends.into_iter().min().flatten()
                });
                Arc::new(Served { stored, usable_until })
            });
            Ok::<_, ConfirmError>((found.newest, served))
        });
        read.await.map_err(|_| ConfirmError::Stopping)?
    }
}
