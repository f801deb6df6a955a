//! One module for each command that a person types.

pub mod attest;
pub mod bundle;
pub mod documents;
pub mod gate;
pub mod policy;
mod registry;
pub mod signing;
mod trust;
#[cfg(feature = "native")]
pub mod tuf;
pub mod verify;

use tokio::runtime::Runtime;

/// How a command ended that did its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// As asked.
    Done,
    /// It could not be decided, for instance because a server is away.
    Undecided,
    /// Something is not signed as demanded.
    Denied,
}

/// Why a command did not do its work: a sentence for the person who typed it.
#[derive(Debug)]
pub struct Failure(pub String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(cause: E) -> Self {
        Self(cause.to_string())
    }
}

/// Runs asynchronous work.
fn block_on<F: Future>(work: F) -> Result<F::Output, Failure> {
    let runtime = Runtime::new().map_err(|cause| Failure(platform::reason::of_io(&cause)))?;
    Ok(runtime.block_on(work))
}
