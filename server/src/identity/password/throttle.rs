//! Limits how often a client may guess the password of one user name.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;

/// How many attempts without a correct password are allowed in `PERIOD` from the first one.
const ATTEMPTS: u32 = 10;
const PERIOD: Duration = Duration::from_secs(60);
/// How many attempts for one user name are allowed through one reverse proxy, from addresses that never logged in with
/// it. The proxy may pass on addresses that its clients invented.
const ATTEMPTS_THROUGH_PROXY: u32 = 100;
/// How long an address from which a user logged in is remembered.
const REMEMBERED: Duration = Duration::from_secs(86_400);
/// How many names and addresses are counted separately; beyond that, those rarely tried are dropped.
const KEPT: u64 = 50_000;
/// An IPv6 client usually has a whole /64 network, so its addresses are counted together.
const IPV6_NETWORK: u128 = !0 << 64;

/// Where a login comes from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// The client's address, if known.
    pub client: Option<IpAddr>,
    /// The reverse proxy that reported this address.
    pub proxy: Option<IpAddr>,
}

type Name = (String, Option<IpAddr>);
type Counts = Cache<Name, Arc<AtomicU32>>;

/// Counts attempts for each user name and address.
pub(super) struct Throttle {
    attempts: Counts,
    through_proxies: Counts,
    logged_in: Cache<Name, ()>,
}

impl Default for Throttle {
    fn default() -> Self {
        let counts = || Cache::builder().max_capacity(KEPT).time_to_live(PERIOD).build();
        Self {
            attempts: counts(),
            through_proxies: counts(),
            logged_in: Cache::builder()
                .max_capacity(KEPT)
                .time_to_live(REMEMBERED)
                .build(),
        }
    }
}

/// One attempt. It counts as wrong until it is known to be correct, so that concurrent attempts are limited like
/// consecutive ones.
pub(super) struct Attempt<'a> {
    throttle: &'a Throttle,
    name: Name,
    through_proxy: Option<Arc<AtomicU32>>,
    allowed: bool,
}

impl Throttle {
    /// Whether another attempt would be refused because there were too many.
    pub(super) fn is_used_up(&self, user: &str, place: Place) -> bool {
        let name_here = name(user, place.client);
        let reached = |counts: &Counts, name: &Name, most: u32| {
            let count = counts.get(name);
            count.is_some_and(|count| count.load(Ordering::Relaxed) >= most)
        };
        let through = place.proxy.map(|proxy| name(user, Some(proxy)));
        reached(&self.attempts, &name_here, ATTEMPTS)
            || through.is_some_and(|through| {
                reached(&self.through_proxies, &through, ATTEMPTS_THROUGH_PROXY)
                    && !self.logged_in.contains_key(&name_here)
            })
    }

    pub(super) fn attempt(&self, user: &str, place: Place) -> Attempt<'_> {
        let name_here = name(user, place.client);
        let count = |counts: &Counts, name: &Name| counts.get_with_by_ref(name, Arc::default);
        let here = count(&self.attempts, &name_here).fetch_add(1, Ordering::Relaxed);
        let through_proxy = place
            .proxy
            .map(|proxy| count(&self.through_proxies, &name(user, Some(proxy))));
        let through = through_proxy
            .as_ref()
            .map_or(0, |count| count.fetch_add(1, Ordering::Relaxed));
        let in_time = through < ATTEMPTS_THROUGH_PROXY || self.logged_in.contains_key(&name_here);
        Attempt {
            throttle: self,
            name: name_here,
            through_proxy,
            allowed: here < ATTEMPTS && in_time,
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
        if let Some(count) = &self.through_proxy {
            count.fetch_sub(1, Ordering::Relaxed);
        }
        self.throttle.logged_in.insert(self.name, ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_guesses_are_counted_for_each_name_and_network() {
        let throttle = Throttle::default();
        let address = |text: &str| Place {
            client: Some(text.parse().unwrap()),
            proxy: None,
        };
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
            throttle.attempt("bob", Place::default());
        }
        throttle.attempt("bob", Place::default()).succeeded();
        assert!(throttle.attempt("bob", Place::default()).is_allowed());
    }

    #[test]
    fn addresses_that_clients_of_a_proxy_make_up_do_not_let_guesses_go_on_nor_lock_the_user_out() {
        let throttle = Throttle::default();
        let from = |client: u32| Place {
            client: Some(IpAddr::from(client.to_be_bytes())),
            proxy: Some(IpAddr::from([10, 0, 0, 1])),
        };
        // Bob has logged in from this address before.
        throttle.attempt("bob", from(1)).succeeded();
        let guesses = 2..1000;
        let allowed = guesses.filter(|client| throttle.attempt("bob", from(*client)).is_allowed());
        assert_eq!(allowed.count(), ATTEMPTS_THROUGH_PROXY as usize);
        assert!(throttle.is_used_up("bob", from(1001)) && !throttle.is_used_up("bob", from(1)));
        assert!(throttle.attempt("bob", from(1)).is_allowed());
        assert!(throttle.attempt("alice", from(1001)).is_allowed());
    }
}
