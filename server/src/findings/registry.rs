//! Checks what the configuration demands of images against what else it says.

use super::Finding;
use crate::config::{Config, EnforceMode};

/// Tells of demands that bind nobody.
pub(super) fn of_demands(config: &Config) -> Vec<Finding> {
    let Some(registry) = &config.registry else {
        return Vec::new();
    };
    let demanded = registry
        .enforce
        .iter()
        .any(|(_, rule)| rule.mode.is_some_and(|mode| mode != EnforceMode::Off));
    if !demanded || config.policy.is_some() {
        return Vec::new();
    }
    vec![Finding::note(
        "registry.enforce: whoever may push to a repository may pull unsigned images from it, and without a policy that \
         is every client with an identity",
        "write a policy that lets readers pull and not push",
    )]
}
