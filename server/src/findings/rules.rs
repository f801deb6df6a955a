//! Identity rules and policy: what their texts mean.

use super::Finding;
use crate::{access::policy::Policy, config::Config, identity::rules::IdentityRules};

/// The first fault of each.
pub(super) fn of_texts(config: &Config) -> Vec<Finding> {
    let identity = IdentityRules::new(config.identity.clone()).err();
    let policy = config.policy.clone().map(Policy::new).and_then(Result::err);
    let faults = identity.into_iter().chain(policy);
    faults.map(|fault| Finding::refusal(fault.to_string())).collect()
}
