//! What is kept in memory, and used for a request only after the database has confirmed that it is still current.
//!
//! An answer reflects everything that was committed before its request arrived, by this server or any other program on
//! the database. One query confirms all requests that wait at the same time (`batch`): it asks for the number of the last
//! change to accounts, keys and denials, and for the newest timestamp of each repository that is read. While these are
//! the same, nothing has changed. `catalogue` has a line about every repository, and reads again what the changefeed
//! says has changed; `native` does so about TUF 1.0 repositories, by the versions of their timestamps.

mod batch;
pub mod catalogue;
mod cursor;
mod documents;
#[cfg(feature = "native")]
pub mod native;
mod recent;
mod relay;
mod states;

use std::{sync::Arc, time::Instant};

use tuf::Gun;

use crate::{
    config::ReadSettings,
    revocation::Class,
    store::{NewestTimestamp, Security, Store, StoreError},
};
use batch::Batches;
use documents::Documents;
use recent::Recent;
use states::States;

pub use catalogue::Catalogue;
pub use cursor::Cursor;
pub use documents::{Served, Wanted};

/// What an entry costs beside its documents, in bytes: the cache's own bookkeeping and both keys.
const OVERHEAD: usize = 1024;

/// One moment of the database, after the request that asked for it had arrived.
#[derive(Debug, Clone)]
pub struct Moment {
    /// Accounts, their keys, and denials.
    pub security: Arc<Security>,
    /// The newest timestamp of the repository asked about; `None` if it has none, or none was asked about.
    pub newest: Option<Arc<NewestTimestamp>>,
}

/// Why a moment or a document is not known.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConfirmError {
    /// The database failed. Several requests share the failure.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

impl From<StoreError> for ConfirmError {
    fn from(cause: StoreError) -> Self {
        Self::Store(Arc::new(cause))
    }
}

/// The copies in memory.
pub struct Confirmed {
    store: Store,
    batches: Arc<Batches>,
    documents: Documents,
    states: States,
    recent: Option<Recent>,
}

impl Confirmed {
    /// Nothing is in memory yet.
    pub fn new(store: Store, settings: ReadSettings) -> Self {
        Self {
            batches: Arc::new(Batches::new(store.clone())),
            store,
            documents: Documents::new(settings.memory),
            states: States::new(settings.memory),
            recent: Recent::new(settings.max_staleness),
        }
    }

    /// The state of the database now, as far as it concerns a request about `gun`. A read may be given a recent state
    /// instead if the configuration allows it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn moment(&self, gun: Option<&Gun>, class: Class) -> Result<Moment, ConfirmError> {
        let gun = gun.map(Gun::as_str);
        let Some(recent) = &self.recent else {
            return self.batches.ask(gun).await;
        };
        if class == Class::Read
            && let Some(moment) = recent.get(gun)
        {
            return Ok(moment);
        }
        let asked_at = Instant::now();
        let moment = self.batches.ask(gun).await?;
        recent.put(gun, asked_at, &moment);
        Ok(moment)
    }
}
