//! Limits open connections: in total, per address, and of clients without an identity. When there are too many, the
//! oldest idle connection is closed, so that a client that opens connections and leaves them idle cannot shut others
//! out.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Waker,
    time::{Duration, Instant},
};

use futures_util::task::AtomicWaker;

use super::origin::origin;
use crate::telemetry::metrics;

/// How many connections may be open if there are enough file descriptors. Each costs about 50 KB.
const OPEN: u64 = 16_384;
/// Connections may use one part in this many of the process's file descriptors: half. Handshakes may use a quarter;
/// the rest is for files, databases and the signer.
const SHARE_OF_DESCRIPTORS: u64 = 2;
/// Anonymous connections may be one part in this many of all connections: half.
const SHARE_OF_ANONYMOUS: usize = 2;
/// A flood of connections is logged at most once in this time.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// All open connections.
pub struct Connections {
    open: Mutex<Open>,
    per_address: usize,
    anonymous: usize,
    total: usize,
}

#[derive(Default)]
struct Open {
    next: u64,
    /// Connections without an identity, oldest first.
    anonymous: Group,
    /// Connections with an identity, oldest first.
    identified: Group,
    by_origin: HashMap<IpAddr, Group>,
    warned: Option<Instant>,
}

type Group = BTreeMap<u64, Arc<Use>>;

/// How a connection is used.
#[derive(Debug, Default)]
struct Use {
    origin: Option<IpAddr>,
    identified: AtomicBool,
    /// The number of requests that are not completely answered.
    requests: AtomicUsize,
    closing: AtomicBool,
    waker: AtomicWaker,
}

/// An open connection. Its place becomes free when the last clone is dropped.
pub struct OpenConnection {
    connections: Arc<Connections>,
    number: u64,
    shared: Arc<Use>,
}

/// The limit is reached, and no idle connection can be closed instead.
#[derive(Debug, thiserror::Error)]
#[error("too many connections are open and in use (limits.connections_per_address)")]
pub struct TooMany;

/// A request in progress; while it exists, its connection is not closed in favour of another.
pub struct InUse(Arc<Use>);

impl Connections {
    /// At most `per_address` connections from one address; the number of file descriptors limits all of them.
    pub fn new(per_address: usize, descriptors: u64) -> Self {
        let total = OPEN.min(descriptors / SHARE_OF_DESCRIPTORS).max(2);
        let total = usize::try_from(total).unwrap_or(usize::MAX);
        let anonymous = total / SHARE_OF_ANONYMOUS;
        Self {
            open: Mutex::default(),
            // One address alone must not use up the share of all anonymous clients.
            per_address: per_address.min(anonymous.div_ceil(2)).max(1),
            anonymous,
            total,
        }
    }

    /// Takes a place. Without an address, as for trusted proxies, only the total limit applies.
    ///
    /// # Errors
    /// When the limit is reached and no idle connection can be closed.
    pub fn open(
        self: &Arc<Self>,
        address: Option<IpAddr>,
        identified: bool,
    ) -> Result<OpenConnection, TooMany> {
        let origin = address.map(origin);
        let mut open = self.lock();
        self.close_idle(&mut open, origin, identified)?;
        let number = open.next;
        open.next += 1;
        let shared = Arc::new(Use {
            origin,
            identified: AtomicBool::new(identified),
            ..Use::default()
        });
        open.group(identified).insert(number, Arc::clone(&shared));
        if let Some(origin) = origin {
            let same = open.by_origin.entry(origin).or_default();
            same.insert(number, Arc::clone(&shared));
        }
        Ok(OpenConnection {
            connections: Arc::clone(self),
            number,
            shared,
        })
    }

    fn close_idle(
        &self,
        open: &mut MutexGuard<'_, Open>,
        origin: Option<IpAddr>,
        identified: bool,
    ) -> Result<(), TooMany> {
        let of_address = origin.and_then(|origin| open.by_origin.get(&origin));
        if let Some(same) = of_address.filter(|same| same.len() >= self.per_address) {
            let anonymous = oldest_idle(same, |shared| !shared.identified.load(Ordering::Relaxed));
            let number = anonymous.or_else(|| oldest_idle(same, |_| true));
            open.close(number)?;
        }
        if !identified && open.anonymous.len() >= self.anonymous {
            let number = oldest_idle(&open.anonymous, |_| true);
            open.close(number)?;
        }
        if open.anonymous.len() + open.identified.len() >= self.total {
            let number =
                oldest_idle(&open.anonymous, |_| true).or_else(|| oldest_idle(&open.identified, |_| true));
            open.close(number)?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn oldest_idle(group: &Group, fits: impl Fn(&Use) -> bool) -> Option<u64> {
    let idle = |shared: &Use| shared.requests.load(Ordering::Acquire) == 0;
    let mut found = group.iter().filter(|(_, shared)| idle(shared) && fits(shared));
    found.next().map(|(number, _)| *number)
}

impl Open {
    fn group(&mut self, identified: bool) -> &mut Group {
        if identified {
            &mut self.identified
        } else {
            &mut self.anonymous
        }
    }

    fn close(&mut self, number: Option<u64>) -> Result<(), TooMany> {
        let removed = number.and_then(|number| self.remove(number));
        let origin = removed.as_ref().and_then(|shared| shared.origin);
        metrics::connection_displaced();
        if self.warned.is_none_or(|warned| warned.elapsed() >= WARN_EVERY) {
            self.warned = Some(Instant::now());
            tracing::warn!(
                peer.address = origin.map(tracing::field::display),
                "too many open connections (limits.connections_per_address): the oldest idle ones are closed"
            );
        }
        let shared = removed.ok_or(TooMany)?;
        shared.closing.store(true, Ordering::Release);
        shared.waker.wake();
        Ok(())
    }

    fn remove(&mut self, number: u64) -> Option<Arc<Use>> {
        let shared = self
            .anonymous
            .remove(&number)
            .or_else(|| self.identified.remove(&number))?;
        if let Some(origin) = shared.origin
            && let Some(same) = self.by_origin.get_mut(&origin)
        {
            same.remove(&number);
            if same.is_empty() {
                self.by_origin.remove(&origin);
            }
        }
        Some(shared)
    }
}

impl OpenConnection {
    /// Marks the connection as having an identity.
    pub fn identified(&self) {
        if self.shared.identified.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut open = self.connections.lock();
        if let Some(shared) = open.anonymous.remove(&self.number) {
            open.identified.insert(self.number, shared);
        }
    }

    /// Marks the start of a request.
    pub fn begin(&self) -> InUse {
        self.shared.requests.fetch_add(1, Ordering::AcqRel);
        InUse(Arc::clone(&self.shared))
    }

    /// Whether the connection has to be closed now. If not, `waker` is woken when it has to be.
    pub fn has_to_close(&self, waker: &Waker) -> bool {
        self.shared.waker.register(waker);
        self.shared.closing.load(Ordering::Acquire) && self.shared.requests.load(Ordering::Acquire) == 0
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.connections.lock().remove(self.number);
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
        if self.0.closing.load(Ordering::Acquire) {
            self.0.waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(per_address: usize, descriptors: u64) -> Arc<Connections> {
        Arc::new(Connections::new(per_address, descriptors))
    }

    fn from(connections: &Arc<Connections>, last: u8, identified: bool) -> OpenConnection {
        let address = IpAddr::from([10, 0, 0, last]);
        connections.open(Some(address), identified).unwrap()
    }

    fn closes(connection: &OpenConnection) -> bool {
        connection.has_to_close(Waker::noop())
    }

    #[test]
    fn of_one_address_the_oldest_that_nobody_uses_makes_room() {
        let connections = connections(2, 1000);
        let first = from(&connections, 1, false);
        let second = from(&connections, 1, false);
        let other = from(&connections, 2, false);
        let used = first.begin();
        let third = from(&connections, 1, false);
        assert!(closes(&second) && !closes(&first) && !closes(&third) && !closes(&other));
        let _also_used = third.begin();
        let refused = connections.open(Some(IpAddr::from([10, 0, 0, 1])), false);
        assert!(refused.is_err(), "both are in use");
        drop(used);
        from(&connections, 1, false);
        assert!(closes(&first));
    }

    #[test]
    fn whoever_has_no_identity_makes_room_for_whoever_has() {
        // Eight connections in total, four of them anonymous, two per address.
        let connections = connections(100, 16);
        let known: Vec<_> = (0..4).map(|n| from(&connections, n, true)).collect();
        let nobody: Vec<_> = (10..14).map(|n| from(&connections, n, false)).collect();
        let _more = from(&connections, 20, false);
        assert!(closes(&nobody[0]) && !closes(&nobody[1]));
        let _late = from(&connections, 21, true);
        assert!(closes(&nobody[1]) && known.iter().all(|known| !closes(known)));
        nobody[2].identified();
        let _later: Vec<_> = (30..32).map(|n| from(&connections, n, true)).collect();
        assert!(closes(&nobody[3]) && !closes(&nobody[2]));
    }

    #[test]
    fn a_request_that_came_in_time_is_answered_before_its_connection_closes() {
        let connections = connections(1, 1000);
        let first = from(&connections, 1, false);
        let _second = from(&connections, 1, false);
        let request = first.begin();
        assert!(!closes(&first));
        drop(request);
        assert!(closes(&first));
    }

    #[test]
    fn places_are_free_again() {
        let connections = connections(2, 1000);
        drop((from(&connections, 1, false), from(&connections, 2, true)));
        let open = connections.lock();
        assert!(open.anonymous.is_empty() && open.identified.is_empty() && open.by_origin.is_empty());
    }
}
