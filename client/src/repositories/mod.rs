//! Repositories as they are now, verified: from memory, from disk, or from their servers.
//!
//! Of those who ask for the same repository at once, one asks the server. Who has something that is not too old waits for
//! nobody: it is renewed behind his back. What a server answered last stands until it answers again, also a refusal; its
//! silence lets what was verified before serve, and how old that is stands beside it.

mod carried;
mod entry;
mod follow;
mod refresh;
mod reset;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use moka::sync::Cache;
use tuf::Gun;
use verifier::{Anchor, Denial, Documents, Freshness, Reason, Repository};

use crate::failure::ReadError;
use crate::server::Server;
use crate::state::StateDirectory;
use entry::Entry;
use refresh::Task;

pub use follow::Following;
pub use reset::{RootChange, RootSummary};

/// After what time a repository that is asked for is read again.
const REFRESH_AFTER: Duration = Duration::from_secs(30);
/// How long a failure is told without trying again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How many repositories are kept in memory.
const MAX_REPOSITORIES: u64 = 10_000;

/// The time, for those who ask what has expired.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// The repositories that are known. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Repositories {
    shared: Arc<Shared>,
}

/// What all tasks share.
struct Shared {
    state: Option<StateDirectory>,
    clock: Clock,
    refresh_after: Duration,
    retry_after: Duration,
    entries: Cache<Key, Arc<Entry>>,
}

/// What is verified alike: a repository, read with the rights of one server handle, against one anchor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    server: u64,
    gun: Gun,
    anchor: String,
}

/// What whoever asks can bear.
#[derive(Debug, Clone, Copy)]
pub struct Demand {
    /// How long ago the server may last have answered for nobody to wait for it. Zero: it is asked now.
    pub max_age: TimeDelta,
    /// Until when it is waited for.
    pub deadline: Instant,
}

/// A repository as it is now, as far as can be told.
#[derive(Debug, Clone)]
pub struct Current {
    /// The verified repository, or why there is none.
    pub repository: Result<Arc<Repository>, Denial>,
    /// How current that is.
    pub contact: Contact,
}

/// When a server was asked about a repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contact {
    /// When it last answered, if ever.
    pub last: Option<DateTime<Utc>>,
    /// Why it gave no answer when it was asked after that.
    pub failure: Option<ReadError>,
}

impl Contact {
    /// Whether it answered when it was last asked.
    pub fn reached(&self) -> bool {
        self.failure.is_none() && self.last.is_some()
    }

    /// As the verifier judges it. One that never answered did so for ever ago.
    pub fn freshness(&self, now: DateTime<Utc>) -> Freshness {
        Freshness {
            age: self.last.map_or(TimeDelta::MAX, |last| now - last),
            reachable: self.reached(),
        }
    }
}

impl Demand {
    /// Asks the server now, and waits for it for so long.
    pub fn now(wait: Duration) -> Self {
        Self {
            max_age: TimeDelta::zero(),
            deadline: Instant::now() + wait,
        }
    }

    /// Takes what is not older than that, and otherwise waits for the server for so long.
    pub fn within(max_age: TimeDelta, wait: Duration) -> Self {
        Self {
            max_age,
            deadline: Instant::now() + wait,
        }
    }
}

impl Repositories {
    /// Repositories that are remembered in a directory, or only in memory.
    pub fn new(state: Option<StateDirectory>) -> Self {
        Self::with(state, Arc::new(Utc::now), REFRESH_AFTER, RETRY_AFTER)
    }

    /// The same with another clock and other times. After `refresh_after` a repository that is asked for is read again,
    /// and for `retry_after` a failure is told without trying again.
    pub fn with(
        state: Option<StateDirectory>,
        clock: Clock,
        refresh_after: Duration,
        retry_after: Duration,
    ) -> Self {
        let shared = Shared {
            state,
            clock,
            refresh_after,
            retry_after,
            entries: Cache::new(MAX_REPOSITORIES),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The repository as it is now. This must be called on a tokio runtime, and never takes much longer than the
    /// demand's deadline; what it began goes on without whoever asked.
    pub async fn current(&self, server: &Arc<Server>, gun: &Gun, anchor: &Anchor, demand: Demand) -> Current {
        let asked = Instant::now();
        let entry = self.entry(server, gun, anchor);
        let now = (self.shared.clock)();
        if let Some(current) = entry.usable(&self.shared, now, demand.max_age) {
            if entry.is_due(self.shared.refresh_after) {
                self.fly(&entry, server, gun, anchor);
            }
            return current;
        }
        // A reading that had begun before this question may have missed what was published in between. Those who can bear
        // no age at all wait for one that begins afterwards.
        loop {
            let mut flight = self.fly(&entry, server, gun, anchor);
            let wait = demand.deadline.saturating_duration_since(Instant::now());
            let landed = tokio::time::timeout(wait, flight.landed.wait_for(Option::is_some)).await;
            match landed {
                Ok(Ok(current)) if flight.began >= asked || demand.max_age > TimeDelta::zero() => {
                    if let Some(current) = current.clone() {
                        return current;
                    }
                }
                Ok(Ok(_)) => {}
                Ok(Err(_)) => {
                    entry.abandon();
                    let sentence =
                        format!("the task that reads {gun} ended without a result; its log says why");
                    return Current {
                        repository: Err(Denial::new(Reason::InvalidState, sentence)),
                        contact: Contact::default(),
                    };
                }
                Err(_) => return entry.late(server, asked.elapsed()),
            }
        }
    }

    /// The repository as it is now, with the documents that were verified for it: what a publisher builds on.
    ///
    /// # Errors
    /// When there is no verified repository.
    pub async fn documents(
        &self,
        server: &Arc<Server>,
        gun: &Gun,
        anchor: &Anchor,
        demand: Demand,
    ) -> Result<(Arc<Repository>, Arc<Documents>, Contact), Denial> {
        let current = self.current(server, gun, anchor, demand).await;
        let repository = current.repository?;
        let verified = self.entry(server, gun, anchor).verified();
        let verified = verified.ok_or_else(|| {
            Denial::new(
                Reason::InvalidState,
                format!("the documents of {gun} are not kept any more; ask again"),
            )
        })?;
        let documents = Arc::new(verified.kept.known.documents.clone());
        // What is newer than the answer is as good.
        let repository = if Arc::ptr_eq(&repository, &verified.repository) {
            repository
        } else {
            verified.repository
        };
        Ok((repository, documents, current.contact))
    }

    /// The time, by the clock that these repositories are judged by.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        (self.shared.clock)()
    }

    /// Where they are remembered.
    #[cfg(feature = "native")]
    pub(crate) fn state(&self) -> Option<&StateDirectory> {
        self.shared.state.as_ref()
    }

    /// Reads the repository in the background, so that who asks next need not wait.
    pub fn refresh(&self, server: &Arc<Server>, gun: &Gun, anchor: &Anchor) {
        let entry = self.entry(server, gun, anchor);
        self.fly(&entry, server, gun, anchor);
    }

    fn entry(&self, server: &Server, gun: &Gun, anchor: &Anchor) -> Arc<Entry> {
        let key = Key {
            server: server.id(),
            gun: gun.clone(),
            anchor: hex::encode(openssl::sha::sha256(format!("{anchor:?}").as_bytes())),
        };
        self.shared.entries.get_with(key, Arc::default)
    }

    /// The reading that is under way, or a new one.
    fn fly(&self, entry: &Arc<Entry>, server: &Arc<Server>, gun: &Gun, anchor: &Anchor) -> entry::Flight {
        entry.fly(|| Task {
            shared: Arc::clone(&self.shared),
            entry: Arc::clone(entry),
            server: Arc::clone(server),
            gun: gun.clone(),
            anchor: anchor.clone(),
        })
    }
}
