//! What the next publish to a repository is checked against, as the last one through this server left it: used while its
//! timestamp is still the newest.

use std::sync::Arc;

use moka::sync::Cache;
use tuf::Gun;

use super::{Confirmed, Moment, OVERHEAD};
use crate::store::{NewestDocuments, NewestTimestamp};

/// One part in this many of the memory for documents is for these.
const SHARE: u64 = 8;

struct Kept {
    newest: NewestTimestamp,
    documents: Arc<NewestDocuments>,
}

pub(super) struct States(Cache<Gun, Arc<Kept>>);

impl States {
    pub(super) fn new(memory: u64) -> Self {
        let weigh = |gun: &Gun, kept: &Arc<Kept>| {
            let weight = kept.documents.size() + OVERHEAD + gun.as_str().len();
            u32::try_from(weight).unwrap_or(u32::MAX)
        };
        Self(
            Cache::builder()
                .max_capacity(memory / SHARE)
                .weigher(weigh)
                .build(),
        )
    }
}

impl Confirmed {
    /// The newest documents of a repository at `moment`, if they are known without the database.
    pub fn newest_documents(&self, moment: &Moment, gun: &Gun) -> Option<Arc<NewestDocuments>> {
        let kept = self.states.0.get(gun)?;
        (moment.newest.as_deref() == Some(&kept.newest)).then(|| Arc::clone(&kept.documents))
    }

    /// Keeps the documents that are the newest of a repository while this is its newest timestamp.
    pub fn keep_newest(&self, gun: &Gun, newest: NewestTimestamp, documents: NewestDocuments) {
        let documents = Arc::new(documents);
        self.states
            .0
            .insert(gun.clone(), Arc::new(Kept { newest, documents }));
    }
}
