//! Who may do what with which repository. Deny rules come before allow rules, and what no rule allows is denied.

mod action;
mod glob;
mod reach;
mod read;
mod rule;
mod subject;
mod verdict;

use platform::config::{ConfigError, Settings};
use tuf::RoleName;

use action::Covered;
use rule::Rule;
use subject::Subject;

use crate::config::{Effect, PolicyMode as Mode, PolicySettings};

pub use action::Action;
pub use glob::Glob;
pub use reach::Met;
pub use verdict::{PolicyTrace, Verdict};

/// A question to the policy.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The principal that asks; `None` for an anonymous client.
    pub principal: Option<&'a str>,
    /// The principal's groups.
    pub groups: &'a [String],
    /// The action that it asks for.
    pub action: &'a Action,
    /// The repository, exactly as it is stored; `None` for all repositories.
    pub gun: Option<&'a str>,
    /// The other name of a repository of images, by which rules may name it too: that without the registry's host.
    pub image: Option<&'a str>,
}

impl Asking<'_> {
    fn who(&self) -> &str {
        self.principal.unwrap_or("a client without an identity")
    }

    fn what(&self) -> String {
        match self.gun {
            Some(gun) => format!("{} {gun}", self.action),
            None => format!("{} (all repositories)", self.action),
        }
    }
}

/// The rules of a configuration.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: Vec<Rule>,
    mode: Mode,
}

impl Policy {
    /// The policy of a configuration.
    ///
    /// # Errors
    /// When a rule is refused; the error names its place and what is allowed.
    pub fn new(settings: PolicySettings) -> Result<Self, ConfigError> {
        read::policy(settings)
    }

    /// Reads the policy of a configuration file; `None` without one: then every client that is let in may do
    /// everything.
    ///
    /// # Errors
    /// As [`Policy::new`].
    pub fn read(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        PolicySettings::read(settings)?.map(Self::new).transpose()
    }

    /// Answers a question.
    pub fn decide(&self, asking: &Asking<'_>) -> Verdict {
        let applying: Vec<&Rule> = self
            .rules
            .iter()
            .filter(|rule| rule.applies(asking).is_ok())
            .collect();
        let denying = |mode: Mode| {
            let found = applying
                .iter()
                .find(|rule| rule.effect == Effect::Deny && rule.mode == mode);
            found.map(|rule| rule.name.clone())
        };
        let allowing: Vec<&&Rule> = applying
            .iter()
            .filter(|rule| rule.effect == Effect::Allow)
            .collect();
        let own_key =
            !allowing.is_empty() && allowing.iter().all(|rule| rule.requires_own_key(asking.action));
        let enforced = self.mode == Mode::Enforce;
        let denied = |rule: Option<String>, enforced: bool| Verdict {
            allowed: false,
            enforced,
            rule,
            own_key,
            would_deny: None,
        };
        if let Some(rule) = denying(Mode::Enforce) {
            return denied(Some(rule), true);
        }
        let on_trial = denying(Mode::Audit);
        if on_trial.is_some() && !enforced {
            return denied(on_trial, false);
        }
        // Of the rules that allow it, one that does not ask for an own key decides.
        let free = allowing.iter().find(|rule| !rule.requires_own_key(asking.action));
        match free.or(allowing.first()) {
            None => denied(None, enforced),
            Some(rule) => Verdict {
                allowed: true,
                enforced,
                rule: Some(rule.name.clone()),
                own_key,
                would_deny: on_trial,
            },
        }
    }

    /// Whether the rules let a principal publish anything to a repository, or create it: such a principal needs the
    /// server's public keys.
    pub fn may_push_something(&self, principal: Option<&str>, groups: &[String], gun: &str) -> bool {
        let asking = |action| Asking {
            principal,
            groups,
            action,
            gun: Some(gun),
            image: None,
        };
        let push = self.decide(&asking(&Action::Push(None)));
        // A rule that denies every push has decided; a rule that denies some roles leaves the others allowed.
        if push.allowed || push.rule.is_some() {
            return push.allowed;
        }
        self.decide(&asking(&Action::Init)).allowed
            || self.pushing_rules(&asking(&Action::Push(None))).next().is_some()
    }

    /// Whether every rule that lets a principal publish anything to a repository requires its own key for `role`.
    /// Decides about snapshots, which a principal may send along with anything else it publishes.
    pub fn always_requires_own_key(
        &self,
        principal: Option<&str>,
        groups: &[String],
        gun: &str,
        role: &RoleName,
    ) -> bool {
        let action = Action::Push(None);
        let asking = Asking {
            principal,
            groups,
            action: &action,
            gun: Some(gun),
            image: None,
        };
        let of_role = Action::Push(Some(role.clone()));
        let mut rules = self.pushing_rules(&asking).peekable();
        rules.peek().is_some() && rules.all(|rule| rule.requires_own_key(&of_role))
    }

    /// The rules that allow a principal to publish some role of a repository.
    fn pushing_rules(&self, asking: &Asking<'_>) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| {
            rule.effect == Effect::Allow
                && rule.actions.iter().any(Covered::is_push)
                && rule.concerns(asking).is_ok()
        })
    }

    /// Whether any rule allows an anonymous client something.
    pub fn admits_anonymous(&self) -> bool {
        self.rules
            .iter()
            .any(|rule| rule.effect == Effect::Allow && rule.principals.contains(&Subject::Anonymous))
    }

    /// The principals that rules which allow an action on all repositories call by their names.
    pub fn named_for(&self, action: &Action) -> Vec<&str> {
        let rules = self.rules.iter().filter(|rule| {
            let covers = rule.actions.iter().any(|covered| covered.covers(action));
            rule.effect == Effect::Allow && rule.guns.is_none() && covers
        });
        rules
            .flat_map(|rule| &rule.principals)
            .filter_map(|subject| match subject {
                Subject::Name(name) => Some(name.as_str()),
                _ => None,
            })
            .collect()
    }

    /// Says for each rule, in their order, whether it applies to a question.
    pub fn explain(&self, asking: &Asking<'_>) -> Vec<PolicyTrace> {
        let traces = self.rules.iter().map(|rule| PolicyTrace {
            rule: rule.name.clone(),
            allows: rule.effect == Effect::Allow,
            mode: rule.mode,
            why_not: rule.applies(asking).err(),
        });
        traces.collect()
    }
}

#[cfg(test)]
mod tests;
