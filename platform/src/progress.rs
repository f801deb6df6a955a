//! Progress of long work, for the operator.

use std::time::{Duration, Instant};

/// How often there is a line.
const INTERVAL: Duration = Duration::from_secs(1);

/// Counts finished pieces of work and prints the count on standard error, about once a second.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    total: Option<u64>,
    done: u64,
    said: Instant,
}

impl Progress {
    /// For `total` pieces of work, if the number is known. `what` describes the finished ones, such as `repositories
    /// checked`.
    pub fn new(what: &'static str, total: Option<u64>) -> Self {
        Self {
            what,
            total,
            done: 0,
            said: Instant::now(),
        }
    }

    /// Counts one more finished piece.
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

    /// The number of finished pieces.
    pub fn done(&self) -> u64 {
        self.done
    }
}
