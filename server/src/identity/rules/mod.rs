//! Identity rules map the contents of a certificate to a principal. The first rule that matches decides.

mod name;
mod outcome;
mod pattern;
mod preset;
mod reach;
mod read;
mod requirement;
mod rule;
mod template;

use platform::config::{ConfigError, Settings};

use super::facts::{CertificateFacts, Field};
use name::Transform;
use pattern::FieldPattern;
use requirement::Requirements;
use rule::{Naming, Rule};
use template::Template;

use crate::config::IdentitySettings;

pub use crate::store::Registered;
pub use name::{check_group as check_group_name, check_principal as check_principal_name};
pub use outcome::{Identified, IdentityFault, NotIdentified, RuleOutcome, RuleTrace};

/// The name of the rule that applies if none are configured.
pub const DEFAULT_RULE: &str = "default";

/// Identity rules, in their order.
#[derive(Debug, Clone)]
pub struct IdentityRules {
    rules: Vec<Rule>,
}

impl IdentityRules {
    /// The rules of a configuration; [`IdentityRules::built_in`] if it has none.
    ///
    /// # Errors
    /// When a rule is refused; the error names its place and what is allowed.
    pub fn new(settings: Option<IdentitySettings>) -> Result<Self, ConfigError> {
        settings.map_or_else(|| Ok(Self::built_in()), read::rules)
    }

    /// The rules of a configuration file.
    ///
    /// # Errors
    /// As [`IdentityRules::new`].
    pub fn read(settings: &Settings) -> Result<Self, ConfigError> {
        Self::new(IdentitySettings::read(settings)?)
    }

    /// The rule that applies without configuration. The name is the common name, or the full subject if there is none.
    /// Several common names are refused.
    pub fn built_in() -> Self {
        let rule = |field: Field| {
            let principal = Template::parse(&format!("${{{field}}}"), &[]).ok()?;
            Some(Rule {
                name: DEFAULT_RULE.to_owned(),
                ca: None,
                patterns: vec![FieldPattern::new(field, ".*", true).ok()?],
                principal: Naming::Template(principal),
                groups: Vec::new(),
                groups_from: Vec::new(),
                transform: Transform::None,
                requirements: Requirements::default(),
            })
        };
        let fields = [Field::CommonName, Field::Subject];
        Self {
            rules: fields.into_iter().filter_map(rule).collect(),
        }
    }

    /// Whether any rule needs to know the account to which a key is registered.
    pub fn needs_accounts(&self) -> bool {
        self.rules
            .iter()
            .any(|rule| matches!(rule.principal, Naming::Account))
    }

    /// Whether only certificates of registered keys give a name.
    pub fn only_accounts(&self) -> bool {
        self.rules
            .iter()
            .all(|rule| matches!(rule.principal, Naming::Account))
    }

    /// The client CA sets that rules name.
    pub fn ca_sets(&self) -> Vec<&str> {
        self.rules.iter().filter_map(|rule| rule.ca.as_deref()).collect()
    }

    /// Identifies the holder of a certificate. `registered` is the account of its key, if there is one; if that
    /// account is disabled, no rule that matches gives an identity.
    ///
    /// # Errors
    /// When no rule matches, or the first that matches refuses.
    pub fn identify(
        &self,
        facts: &CertificateFacts,
        registered: Option<&Registered>,
    ) -> Result<Identified, NotIdentified> {
        for rule in &self.rules {
            match rule.apply(facts, registered) {
                RuleOutcome::NoMatch(_) => {}
                RuleOutcome::Identified(identified) => return Ok(identified),
                RuleOutcome::Refused(refused) => return Err(refused),
            }
        }
        Err(unmapped(facts))
    }

    /// Says for every rule, in their order, what it makes of a certificate.
    pub fn explain(&self, facts: &CertificateFacts, registered: Option<&Registered>) -> Vec<RuleTrace> {
        let mut decided = false;
        let traces = self.rules.iter().map(|rule| {
            let outcome = rule.apply(facts, registered);
            let decides = !decided && !matches!(outcome, RuleOutcome::NoMatch(_));
            decided |= decides;
            RuleTrace {
                rule: rule.name.clone(),
                outcome,
                decides,
            }
        });
        traces.collect()
    }
}

fn unmapped(facts: &CertificateFacts) -> NotIdentified {
    let subject = match facts.subject() {
        "" => "(empty)",
        subject => subject,
    };
    NotIdentified::new(
        IdentityFault::Unmapped,
        format!("no identity rule matches the certificate with the subject {subject}"),
    )
}

#[cfg(test)]
mod tests;
