//! Publishing, from uploaded parts to signed documents, refreshing, and verifying what is stored.

// Clippy knows test functions but not the functions that they share.
#![allow(clippy::unwrap_used)]

mod audit;
mod exchanges;
mod refresh;
mod replay;
mod root;
mod root_certificates;
mod sealing;
mod snapshot;
mod snapshot_entries;
mod stored;
mod support;
mod targets;
mod thresholds;
mod vectors;
mod verified;
