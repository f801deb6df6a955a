//! What the server reports about itself.

pub mod health;
pub mod metrics;
pub mod reloads;
