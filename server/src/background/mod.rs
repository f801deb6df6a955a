//! The tasks that run beside requests for as long as the server runs.

pub mod checkpoints;
pub mod health;
pub mod pending_keys;
pub mod reload;
pub mod renewals;
pub mod revocation_lists;
