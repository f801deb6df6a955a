//! Checks that limits do not contradict each other.

use super::Finding;
use crate::config::{Config, UPLOAD_TIMES};

/// Checks the limits on publishes.
pub(super) fn of_publishes(config: &Config) -> Vec<Finding> {
    let largest = config.publish_limit.saturating_mul(UPLOAD_TIMES);
    if config.upload_memory >= largest {
        return Vec::new();
    }
    vec![Finding::note(
        format!(
            "limits.upload_memory: all publishes together may take {} bytes, but one of limits.publish_bytes ({} bytes) \
             takes up to {largest}; such a publish waits until there is no other",
            config.upload_memory, config.publish_limit
        ),
        format!("set it to {largest} or more, or lower limits.publish_bytes"),
    )]
}
