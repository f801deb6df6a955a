//! Applies one identity rule to one certificate.

use std::collections::BTreeMap;

use crate::{
    identity::facts::{CertificateFacts, Field},
    store::Registered,
};

use super::{
    name::{self, Transform},
    outcome::{Identified, IdentityFault, NotIdentified, RuleOutcome},
    pattern::{Captures, FieldPattern, Found},
    requirement::Requirements,
    template::Template,
};

/// A rule as written in the configuration.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) name: String,
    /// The client CA set that must verify the certificate; `None` for any.
    pub(super) ca: Option<String>,
    pub(super) patterns: Vec<FieldPattern>,
    pub(super) principal: Naming,
    pub(super) groups: Vec<Template>,
    pub(super) groups_from: Vec<Field>,
    pub(super) transform: Transform,
    pub(super) requirements: Requirements,
}

/// Where a principal's name comes from.
#[derive(Debug, Clone)]
pub(super) enum Naming {
    /// The certificate.
    Template(Template),
    /// The account to which the key is registered.
    Account,
}

impl Rule {
    pub(super) fn apply(&self, facts: &CertificateFacts, registered: Option<&Registered>) -> RuleOutcome {
        let outcome = match self.matches(facts, registered) {
            Err(why) => return RuleOutcome::NoMatch(why),
            Ok(Err(unclear)) => Err(unclear),
            Ok(Ok(captures)) => self.identify(facts, &captures, registered),
        };
        match outcome {
            Ok(identified) => RuleOutcome::Identified(identified),
            Err(refused) => RuleOutcome::Refused(NotIdentified {
                rule: Some(self.name.clone()),
                ..refused
            }),
        }
    }

    /// What the capture groups of the rule's patterns matched, or why the rule does not match or is ambiguous.
    fn matches(
        &self,
        facts: &CertificateFacts,
        registered: Option<&Registered>,
    ) -> Result<Result<Captures, NotIdentified>, String> {
        if let Some(ca) = &self.ca
            && !facts.verified_by().contains(ca)
        {
            let others = match facts.verified_by() {
                [] => "none does".to_owned(),
                sets => format!("{} does", sets.join(", ")),
            };
            return Err(format!("the CA set {ca} does not verify it; {others}"));
        }
        if matches!(self.principal, Naming::Account) && registered.is_none() {
            return Err(format!(
                "its key, spki_sha256 {}, is not registered to an account",
                facts.spki_sha256()
            ));
        }
        let mut captures = BTreeMap::new();
        let mut unclear = None;
        for pattern in &self.patterns {
            match pattern.find(facts) {
                Found::No(why) => return Err(why),
                Found::Yes(found) => captures.extend(found),
                // Another field may still show that this rule does not match.
                Found::Unclear(why) => unclear = unclear.or(Some(why)),
            }
        }
        Ok(unclear.map_or(Ok(captures), Err))
    }

    fn identify(
        &self,
        facts: &CertificateFacts,
        captures: &Captures,
        registered: Option<&Registered>,
    ) -> Result<Identified, NotIdentified> {
        if let Some(account) = registered.filter(|account| account.disabled) {
            return Err(NotIdentified::new(
                IdentityFault::AccountDisabled,
                format!(
                    "the account {} of this certificate's key is disabled",
                    account.name
                ),
            ));
        }
        self.requirements.check(facts)?;
        let (principal, mut groups) = match (&self.principal, registered) {
            (Naming::Account, Some(account)) => (account.name.clone(), account.all_groups()),
            (Naming::Template(template), _) => (
                self.transform.apply(&template.fill(facts, captures)?)?,
                Vec::new(),
            ),
            (Naming::Account, None) => return Err(NotIdentified::ambiguous("there is no account")),
        };
        name::check_principal(&principal)?;
        for group in self.given_groups(facts, captures)? {
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        Ok(Identified {
            principal,
            groups,
            rule: self.name.clone(),
        })
    }

    fn given_groups(
        &self,
        facts: &CertificateFacts,
        captures: &Captures,
    ) -> Result<Vec<String>, NotIdentified> {
        let mut groups = Vec::new();
        for template in &self.groups {
            groups.push(template.fill(facts, captures)?);
        }
        for field in &self.groups_from {
            for value in facts.values(field) {
                let value = value
                    .as_ref()
                    .map_err(|why| NotIdentified::ambiguous(format!("the certificate's {field} {why}")))?;
                groups.push(value.clone());
            }
        }
        let turned = groups.iter().map(|group| {
            let group = self.transform.apply(group)?;
            name::check_group(&group)?;
            Ok(group)
        });
        turned.collect()
    }
}
