//! Who did, or tried to do, what: records of decisions for the sinks, and records of changes for the hash-chained
//! table.

mod backwards;
pub mod chain;
pub mod record;
mod sinks;

pub use backwards::lines_backwards;
pub use sinks::{SinkError, Sinks};
