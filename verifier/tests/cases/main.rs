//! Verdicts about repositories that are signed here, one document at a time, and read as they would be from a server.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)]

mod captured;
mod cost;
mod forged;
mod history;
mod imports;
mod policies;
mod properties;
mod requests;
mod roots;
mod schema;
mod signers;
mod support;
mod verdicts;
mod versions;
