//! Publishes to a repository.

// The editor above it follows.
#[allow(dead_code)]
mod wire;
