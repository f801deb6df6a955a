//! The last confirmations, for servers whose operator lets reads be a little behind (`reads.max_staleness`).

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use moka::sync::Cache;

use super::Moment;
use crate::store::{NewestTimestamp, Security};

/// How many repositories are remembered.
const REMEMBERED: u64 = 100_000;

/// What was confirmed within the time that reads may be behind.
pub(super) struct Recent {
    max_age: Duration,
    newest: Cache<String, (Option<Arc<NewestTimestamp>>, Instant)>,
    security: Mutex<Option<(Arc<Security>, Instant)>>,
}

impl Recent {
    /// `None` if reads are never behind.
    pub(super) fn new(max_age: Duration) -> Option<Self> {
        (!max_age.is_zero()).then(|| Self {
            max_age,
            newest: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(max_age)
                .build(),
            security: Mutex::default(),
        })
    }

    pub(super) fn get(&self, gun: Option<&str>) -> Option<Moment> {
        let (security, at) = self
            .security
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()?;
        let fits = |at: Instant| at.elapsed() < self.max_age;
        let newest = match gun {
            Some(gun) => self.newest.get(gun).filter(|(_, at)| fits(*at))?.0,
            None => None,
        };
        fits(at).then_some(Moment { security, newest })
    }

    /// `asked_at` is when the question was sent, which the answer is not older than.
    pub(super) fn put(&self, gun: Option<&str>, asked_at: Instant, moment: &Moment) {
        if let Some(gun) = gun {
            self.newest
                .insert(gun.to_owned(), (moment.newest.clone(), asked_at));
        }
        let known = Some((Arc::clone(&moment.security), asked_at));
        *self.security.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }
}
