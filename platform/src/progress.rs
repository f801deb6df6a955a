//! Telling an operator how far long work has come.

use std::time::{Duration, Instant};

/// How often there is a line.
const INTERVAL: Duration = Duration::from_secs(1);

/// Counts what is done and says so on standard error, about once a second.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    total: Option<u64>,
    done: u64,
    said: Instant,
}

impl Progress {
    /// For `total` pieces of work, if that is known; `what` is said of those done, such as `repositories checked`.
    pub fn new(what: &'static str, total: Option<u64>) -> Self {
        Self {
            what,
            total,
            done: 0,
            said: Instant::now(),
        }
    }

    /// One more is done.
    pub fn step(&mut self) {
        self.done += 1;
        if self.said.elapsed() >= INTERVAL {
            self.said = Instant::now();
            match self.total {
                Some(total) => crate::complain!("{} of {total} {}", self.done, self.what),
                None => crate::complain!("{} {}", self.done, self.what),
            }
        }
    }

    /// How many are done.
    pub fn done(&self) -> u64 {
        self.done
    }
}
