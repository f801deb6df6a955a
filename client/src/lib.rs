//! Reads and publishes to Notary v1 servers; keeps keys and verified state on disk.

#![forbid(unsafe_code)]
