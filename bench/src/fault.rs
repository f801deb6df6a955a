//! Why a measurement cannot go on.

use std::{error::Error, fmt};

/// A reason in words. Nothing that calls this program tells faults apart.
pub struct Fault(String);

/// What may fail with one.
pub type Result<T, E = Fault> = std::result::Result<T, E>;

impl Fault {
    /// For this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl<E: Error> From<E> for Fault {
    fn from(cause: E) -> Self {
        Self(cause.to_string())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
