//! Who did, or tried, what: records of decisions for the sinks, records of changes for the hash-chained table.

pub mod chain;
pub mod checkpoint;
pub mod command;
pub mod record;
mod sinks;
mod verify;

pub use sinks::{Sink, SinkError, Sinks};
