//! Limits handshakes in flight. When there are too many, each new one makes the oldest fail, so that a flood of
//! connections costs little. Clients that complete their handshake are served, even from the same address, because
//! that takes only milliseconds.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::origin::origin;
use crate::telemetry::metrics;

/// How many handshakes may be in flight if there are enough file descriptors.
const IN_FLIGHT: u64 = 8192;
/// Handshakes may use one part in this many of the process's file descriptors: a quarter.
const SHARE_OF_DESCRIPTORS: u64 = 4;
/// A flood of handshakes is logged at most once in this time.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// All handshakes in flight.
pub struct Handshakes {
    in_flight: Mutex<InFlight>,
    per_address: usize,
    limit: usize,
}

#[derive(Default)]
struct InFlight {
    next: u64,
    all: BTreeMap<u64, Entry>,
    by_origin: HashMap<IpAddr, BTreeSet<u64>>,
    warned: Option<Instant>,
}

struct Entry {
    origin: Option<IpAddr>,
    give_up: oneshot::Sender<()>,
}

/// The place of one handshake; it becomes free when this is dropped.
pub struct Place {
    handshakes: Arc<Handshakes>,
    number: u64,
    given_up: oneshot::Receiver<()>,
}

/// The handshake was dropped in favour of newer ones.
#[derive(Debug, thiserror::Error)]
#[error("too many handshakes in flight (limits.handshakes_per_address); the oldest is dropped")]
pub struct Displaced;

impl Handshakes {
    /// At most `per_address` handshakes from one address; the number of file descriptors limits all of them.
    pub fn new(per_address: usize, descriptors: u64) -> Self {
        let limit = IN_FLIGHT.min(descriptors / SHARE_OF_DESCRIPTORS).max(1);
        Self {
            in_flight: Mutex::default(),
            per_address: per_address.max(1),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        }
    }

    /// Takes a place, that of the oldest handshake if none is free. Without an address, as for trusted proxies, only
    /// the total limit applies.
    pub fn begin(self: &Arc<Self>, address: Option<IpAddr>) -> Place {
        let origin = address.map(origin);
        let mut in_flight = self.lock();
        if let Some(oldest) = in_flight.too_many(origin, self.per_address, self.limit) {
            in_flight.give_up(oldest);
        }
        let number = in_flight.next;
        in_flight.next += 1;
        let (give_up, given_up) = oneshot::channel();
        in_flight.all.insert(number, Entry { origin, give_up });
        if let Some(origin) = origin {
            in_flight.by_origin.entry(origin).or_default().insert(number);
        }
        Place {
            handshakes: Arc::clone(self),
            number,
            given_up,
        }
    }

    fn lock(&self) -> MutexGuard<'_, InFlight> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InFlight {
    /// The handshake to drop in favour of one from `origin`.
    fn too_many(&self, origin: Option<IpAddr>, per_address: usize, limit: usize) -> Option<u64> {
        let same = origin.and_then(|origin| self.by_origin.get(&origin));
        let same = same.filter(|same| same.len() >= per_address);
        let any = || self.all.keys().next().filter(|_| self.all.len() >= limit);
        same.and_then(BTreeSet::first).or_else(any).copied()
    }

    fn give_up(&mut self, number: u64) {
        let Some(entry) = self.remove(number) else { return };
        // The handshake may just have ended.
        let _ = entry.give_up.send(());
        metrics::handshake_displaced();
        if self.warned.is_none_or(|warned| warned.elapsed() >= WARN_EVERY) {
            self.warned = Some(Instant::now());
            tracing::warn!(
                peer.address = entry.origin.map(tracing::field::display),
                "too many handshakes in flight (limits.handshakes_per_address): the oldest are dropped"
            );
        }
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.all.remove(&number)?;
        if let Some(origin) = entry.origin
            && let Some(same) = self.by_origin.get_mut(&origin)
        {
            same.remove(&number);
            if same.is_empty() {
                self.by_origin.remove(&origin);
            }
        }
        Some(entry)
    }
}

impl Place {
    /// Performs the handshake, unless it is dropped in favour of another.
    ///
    /// # Errors
    /// When it was dropped.
    pub async fn hold<T>(mut self, handshake: impl Future<Output = T>) -> Result<T, Displaced> {
        tokio::select! {
            outcome = handshake => Ok(outcome),
            _ = &mut self.given_up => Err(Displaced),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.handshakes.lock().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given_up(place: &mut Place) -> bool {
        place.given_up.try_recv().is_ok()
    }

    #[test]
    fn the_oldest_of_the_same_address_makes_room() {
        let handshakes = Arc::new(Handshakes::new(2, 1000));
        let from = |text: &str| handshakes.begin(Some(text.parse().unwrap()));
        let mut other = from("10.0.0.2");
        let mut oldest = from("10.0.0.1");
        let mut second = from("::ffff:10.0.0.1");
        assert!(!given_up(&mut oldest));
        let _third = from("10.0.0.1");
        assert!(given_up(&mut oldest) && !given_up(&mut second) && !given_up(&mut other));
        drop(second);
        let mut third = from("10.0.0.1");
        assert!(!given_up(&mut third), "a place that is free is used");
    }

    #[test]
    fn all_addresses_of_an_ipv6_subscriber_are_one() {
        let handshakes = Arc::new(Handshakes::new(1, 1000));
        let from = |text: &str| handshakes.begin(Some(text.parse().unwrap()));
        let mut first = from("2001:db8:0:1::1");
        let _neighbour = from("2001:db8:0:2::1");
        assert!(!given_up(&mut first));
        let _second = from("2001:db8:0:1:ffff::1");
        assert!(given_up(&mut first));
    }

    #[test]
    fn when_all_places_are_taken_the_oldest_of_all_makes_room() {
        let handshakes = Arc::new(Handshakes::new(10, 8));
        let mut first = handshakes.begin(Some(IpAddr::from([10, 0, 0, 1])));
        let _second = handshakes.begin(None);
        assert!(!given_up(&mut first));
        let _third = handshakes.begin(None);
        assert!(given_up(&mut first));
        drop((first, _second, _third));
        assert!(handshakes.lock().all.is_empty() && handshakes.lock().by_origin.is_empty());
    }
}
