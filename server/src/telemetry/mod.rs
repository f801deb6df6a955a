//! What the server tells about itself.

pub mod health;
pub mod metrics;
pub mod pulls;
pub mod reloads;
