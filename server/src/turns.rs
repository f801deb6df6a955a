//! Turns: requests that would change the same thing at once, of which all but one would have to begin again, wait for each
//! other instead.

use std::hash::{BuildHasher, RandomState};

use tokio::sync::{Mutex, MutexGuard};

/// How many locks there are. Names that share one wait for each other too, which does no harm.
const LOCKS: usize = 64;

/// Who works on what, by name, within this process. What is right does not depend on it: other servers work on the same
/// database.
pub struct Turns {
    locks: [Mutex<()>; LOCKS],
    hashes: RandomState,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            locks: std::array::from_fn(|_| Mutex::new(())),
            hashes: RandomState::new(),
        }
    }
}

impl Turns {
    /// Waits until nobody else works on this name; it is this caller's turn until the guard is dropped.
    pub async fn take(&self, name: &str) -> MutexGuard<'_, ()> {
        let position = usize::try_from(self.hashes.hash_one(name) % LOCKS as u64).unwrap_or(0);
        self.locks[position].lock().await
    }
}
