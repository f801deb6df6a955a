//! What is known of one repository, and the reading of it that is under way.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;
use verifier::Repository;

use super::refresh::{Landed, Task};
use super::{Contact, Current, Shared};
use crate::failure::ReadError;
use crate::reading::denial;
use crate::server::Server;
use crate::state::Kept;

/// A repository's place in memory.
#[derive(Default)]
pub(super) struct Entry {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    latest: Option<Latest>,
    flight: Option<Flight>,
}

/// The last result.
struct Latest {
    current: Current,
    /// When it was there; `None` for what comes from disk, which is due at once.
    at: Option<Instant>,
    verified: Option<Verified>,
}

/// Documents that were verified, so that this is not done again for the same.
#[derive(Clone)]
pub(super) struct Verified {
    pub(super) kept: Arc<Kept>,
    pub(super) repository: Arc<Repository>,
}

/// A reading under way.
#[derive(Clone)]
pub(super) struct Flight {
    /// When it began.
    pub(super) began: Instant,
    /// Its result.
    pub(super) landed: watch::Receiver<Option<Current>>,
}

impl Entry {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What serves without waiting: a repository about which the server was asked recently enough, or a failure so recent
    /// that another attempt would not help.
    pub(super) fn usable(&self, shared: &Shared, now: DateTime<Utc>, max_age: TimeDelta) -> Option<Current> {
        if max_age <= TimeDelta::zero() {
            return None;
        }
        let inner = self.inner();
        let latest = inner.latest.as_ref()?;
        let current = &latest.current;
        let young = current.contact.last.is_some_and(|last| now - last < max_age);
        let recent = latest.at.is_some_and(|at| at.elapsed() < shared.retry_after);
        ((current.repository.is_ok() && young) || recent).then(|| current.clone())
    }

    /// Whether it should be read again.
    pub(super) fn is_due(&self, after: Duration) -> bool {
        let inner = self.inner();
        let at = inner.latest.as_ref().and_then(|latest| latest.at);
        inner.flight.is_none() && at.is_none_or(|at| at.elapsed() >= after)
    }

    /// Joins the reading that is under way, or begins one. It goes on whoever leaves.
    pub(super) fn fly(&self, task: impl FnOnce() -> Task) -> Flight {
        let mut inner = self.inner();
        // One whose task broke off has nobody any more who could send.
        if let Some(flight) = &inner.flight
            && flight.landed.has_changed().is_ok()
        {
            return flight.clone();
        }
        let (result, landed) = watch::channel(None);
        let flight = Flight {
            began: Instant::now(),
            landed,
        };
        inner.flight = Some(flight.clone());
        let task = task();
        tokio::spawn(async move {
            let (current, verified) = task.run().await;
            task.entry.land(current.clone(), verified);
            result.send_replace(Some(current));
        });
        flight
    }

    /// Forgets a reading that ended without a result.
    pub(super) fn abandon(&self) {
        let mut inner = self.inner();
        if inner
            .flight
            .as_ref()
            .is_some_and(|flight| flight.landed.has_changed().is_err())
        {
            inner.flight = None;
        }
    }

    fn land(&self, current: Current, verified: Option<Verified>) {
        let mut inner = self.inner();
        inner.flight = None;
        inner.latest = Some(Latest {
            current,
            at: Some(Instant::now()),
            verified,
        });
    }

    /// Shows what comes from disk, until the server has answered.
    pub(super) fn preliminary(&self, current: Current, verified: Option<Verified>) {
        let mut inner = self.inner();
        if inner.latest.is_none() {
            inner.latest = Some(Latest {
                current,
                at: None,
                verified,
            });
        }
    }

    /// Forgets everything but a reading under way.
    pub(super) fn clear(&self) {
        self.inner().latest = None;
    }

    pub(super) fn is_known(&self) -> bool {
        self.inner().latest.is_some()
    }

    pub(super) fn verified(&self) -> Option<Verified> {
        self.inner()
            .latest
            .as_ref()
            .and_then(|latest| latest.verified.clone())
    }

    /// When the server last answered in this process, and not with a refusal.
    pub(super) fn last(&self) -> Option<DateTime<Utc>> {
        let inner = self.inner();
        let current = &inner.latest.as_ref()?.current;
        current.contact.last.filter(|_| current.repository.is_ok())
    }

    /// What serves while the server says nothing, from memory alone: what it said last.
    pub(super) fn silent(&self, cause: &ReadError) -> Landed {
        let inner = self.inner();
        let latest = inner.latest.as_ref();
        let last = latest.and_then(|latest| latest.current.contact.last);
        let repository = match latest {
            Some(latest) if last.is_some() => latest.current.repository.clone(),
            _ => Err(denial(cause)),
        };
        let contact = Contact {
            last,
            failure: Some(cause.clone()),
        };
        let verified = latest.and_then(|latest| latest.verified.clone());
        (Current { repository, contact }, verified)
    }

    /// What is known although the server has not answered within the time there was.
    pub(super) fn late(&self, server: &Server, limit: Duration) -> Current {
        let failure = ReadError::Deadline {
            server: server.label().to_owned(),
            limit,
        };
        let latest = self.inner().latest.as_ref().map(|latest| latest.current.clone());
        let (repository, last) = match latest {
            Some(current) => (current.repository, current.contact.last),
            None => (Err(denial(&failure)), None),
        };
        Current {
            repository,
            contact: Contact {
                last,
                failure: Some(failure),
            },
        }
    }
}
