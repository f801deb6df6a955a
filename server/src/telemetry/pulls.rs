//! Counts how often current metadata was pulled, by GUN.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use moka::sync::Cache;

/// How many GUNs are counted at a time; the least read are dropped first.
const COUNTED: u64 = 100_000;

/// The counts since the server's start.
pub struct Pulls(Cache<String, Arc<AtomicU64>>);

impl Default for Pulls {
    fn default() -> Self {
        Self(Cache::new(COUNTED))
    }
}

impl Pulls {
    /// Counts one more pull.
    pub fn count(&self, gun: &str) {
        let counter = self.0.get_with_by_ref(gun, Arc::default);
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The count of a GUN.
    pub fn of(&self, gun: &str) -> u64 {
        self.0
            .get(gun)
            .map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}
