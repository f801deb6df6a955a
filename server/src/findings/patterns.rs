//! Rules that can never apply.

use super::Finding;
use crate::config::Config;

/// What is provable about the rules of a configuration.
pub(super) fn of_rules(_: &Config) -> Vec<Finding> {
    Vec::new()
}
