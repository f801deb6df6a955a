//! How often a name may be guessed at from one place.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;

/// So many attempts without a right one, in this time since the first.
const ATTEMPTS: u32 = 10;
const PERIOD: Duration = Duration::from_secs(60);
/// How many names and places are kept apart; more than that forget the ones that were seldom tried.
const KEPT: u64 = 50_000;
/// Who has an IPv6 address has its network too.
const IPV6_NETWORK: u128 = !0 << 64;

type Name = (String, Option<IpAddr>);

/// Counts attempts for each user name and address.
pub(super) struct Throttle {
    attempts: Cache<Name, Arc<AtomicU32>>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            attempts: Cache::builder().max_capacity(KEPT).time_to_live(PERIOD).build(),
        }
    }
}

/// One attempt, which counts as wrong until it is known to be right: many at once are counted like one after the other.
pub(super) struct Attempt<'a> {
    throttle: &'a Throttle,
    name: Name,
    allowed: bool,
}

impl Throttle {
    /// Whether there have been so many attempts that another one would be refused.
    pub(super) fn is_used_up(&self, user: &str, address: Option<IpAddr>) -> bool {
        let count = self.attempts.get(&name(user, address));
        count.is_some_and(|count| count.load(Ordering::Relaxed) >= ATTEMPTS)
    }

    pub(super) fn attempt(&self, user: &str, address: Option<IpAddr>) -> Attempt<'_> {
        let name = name(user, address);
        let count = self.attempts.get_with_by_ref(&name, Arc::default);
        Attempt {
            throttle: self,
            name,
            allowed: count.fetch_add(1, Ordering::Relaxed) < ATTEMPTS,
        }
    }
}

fn name(user: &str, address: Option<IpAddr>) -> Name {
    let network = address.map(|address| match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & IPV6_NETWORK)),
        v4 => v4,
    });
    (user.to_owned(), network)
}

impl Attempt<'_> {
    pub(super) fn is_allowed(&self) -> bool {
        self.allowed
    }

    pub(super) fn succeeded(self) {
        self.throttle.attempts.invalidate(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_guesses_are_counted_for_each_name_and_network() {
        let throttle = Throttle::default();
        let address = |text: &str| Some(text.parse().unwrap());
        for _ in 0..ATTEMPTS {
            assert!(throttle.attempt("bob", address("2001:db8::1")).is_allowed());
        }
        assert!(!throttle.attempt("bob", address("2001:db8::2")).is_allowed());
        assert!(throttle.attempt("bob", address("2001:db8:0:1::1")).is_allowed());
        assert!(throttle.attempt("alice", address("2001:db8::1")).is_allowed());
    }

    #[test]
    fn a_right_one_forgives_the_wrong_ones() {
        let throttle = Throttle::default();
        for _ in 1..ATTEMPTS {
            throttle.attempt("bob", None);
        }
        throttle.attempt("bob", None).succeeded();
        assert!(throttle.attempt("bob", None).is_allowed());
    }
}
