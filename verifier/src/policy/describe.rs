//! A policy in sentences, for the people who write it.

use std::fmt;

use super::requirement::{Condition, SignerName};
use super::rule::Action;
use super::{Check, Policy};
use crate::anchor::Anchor;
use crate::verdict::Mode;

impl Policy {
    /// How many rules it has.
    pub fn rule_count(&self) -> usize {
        self.rules.len()
    }

    /// What lets images run that nobody signed, a sentence each: all of it may be meant.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.defaults.allow {
            remarks.push("images that no rule matches run without a check (defaults.action)".to_owned());
        }
        for rule in &self.rules {
            let pattern = &rule.pattern;
            match &rule.action {
                Action::Allow => remarks.push(format!("the rule {pattern} lets images run without a check")),
                Action::Check(demands) => {
                    if let Anchor::Tofu { .. } = demands.anchor {
                        remarks.push(format!("the rule {pattern} trusts the first root that is seen"));
                    }
                    if rule.mode == Mode::Audit {
                        remarks.push(format!(
                            "the rule {pattern} only tells what it would deny (mode: audit)"
                        ));
                    }
                }
                Action::Deny if rule.mode == Mode::Audit => {
                    remarks.push(format!(
                        "the rule {pattern} only tells what it would deny (mode: audit)"
                    ));
                }
                Action::Deny => {}
            }
        }
        if !self.exempt.is_empty() {
            remarks.push(format!(
                "no image is checked in the namespaces {}",
                self.exempt.join(", ")
            ));
        }
        if !self.audit.is_empty() {
            remarks.push(format!(
                "nothing is denied in the namespaces {}",
                self.audit.join(", ")
            ));
        }
        if let Some(glass) = &self.break_glass {
            let who: Vec<&str> = glass
                .users
                .iter()
                .chain(&glass.groups)
                .map(String::as_str)
                .collect();
            let annotation = &glass.annotation;
            remarks.push(format!(
                "{} may run images without a check, with the annotation {annotation}",
                who.join(", ")
            ));
        }
        remarks
    }
}

impl Check<'_> {
    /// What the rule demands, in a sentence without a full stop.
    pub fn demands(&self) -> String {
        let mut parts: Vec<String> = self.demands.conditions.iter().map(ToString::to_string).collect();
        if parts.is_empty() {
            parts.push("targets/releases, or else targets, has to name it".to_owned());
        }
        if let Some(period) = self.demands.ever_signed {
            parts.push(format!(
                "or it was signed in the last {} seconds and replaced since",
                period.num_seconds()
            ));
        }
        parts.join("; ")
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |names: &[SignerName]| {
            let names: Vec<&str> = names.iter().map(SignerName::as_str).collect();
            names.join(", ")
        };
        match self {
            Self::Signers { at_least, of } if *at_least == of.len() => write!(f, "signed by {}", names(of)),
            Self::Signers { at_least, of } => write!(f, "signed by at least {at_least} of {}", names(of)),
            Self::EveryTeam(teams) => {
                let teams: Vec<&str> = teams.keys().map(String::as_str).collect();
                write!(f, "signed by somebody of each of the teams {}", teams.join(", "))
            }
            Self::Released => f.write_str("released by targets/releases"),
        }
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |ids: &std::collections::BTreeSet<tuf::KeyId>| {
            let ids: Vec<&str> = ids.iter().map(tuf::KeyId::as_str).collect();
            ids.join(" or ")
        };
        match self {
            Self::RootKeys(ids) => write!(f, "the root key {}", listed(ids)),
            Self::CertIds(ids) => write!(f, "the root certificate {}", listed(ids)),
            Self::Ca { .. } => f.write_str("a root certificate of the policy's authority"),
            Self::Tofu { scope } => write!(f, "the first root that is seen, within {scope}"),
            Self::TrustRoots(roots) => write!(f, "the root for which {} vouches", roots.repository),
            Self::Vouched(root) => write!(
                f,
                "root version {}, for which {} vouches",
                root.version, root.repository
            ),
        }
    }
}
