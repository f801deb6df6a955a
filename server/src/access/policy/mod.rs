//! Who may do what with which repository: deny before allow, and what no rule allows is denied.

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
pub use reach::Met;
pub use verdict::{PolicyTrace, Verdict};

/// A question to a policy.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// Who asks; nothing for who has no identity.
    pub principal: Option<&'a str>,
    /// The groups of who asks.
    pub groups: &'a [String],
    /// What it is about.
    pub action: &'a Action,
    /// The repository, exactly as it is stored; nothing for all of them.
    pub gun: Option<&'a str>,
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

    /// The policy of a configuration file; without one, whoever is let in may do everything.
    ///
    /// # Errors
    /// As [`Policy::new`].
    pub fn read(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        PolicySettings::read(settings)?.map(Self::new).transpose()
    }

    /// The answer to a question.
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
        // Of rules that allow the same, one that asks for less says why it is enough.
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

    /// Whether the rules let somebody publish anything to a repository, or make it: whoever may, needs the
    /// server's keys.
    pub fn may_push_something(&self, principal: Option<&str>, groups: &[String], gun: &str) -> bool {
        let asking = |action| Asking {
            principal,
            groups,
            action,
            gun: Some(gun),
        };
        let push = self.decide(&asking(&Action::Push(None)));
        // A rule that denies every push has decided already; one that denies some roles leaves others.
        if push.allowed || push.rule.is_some() {
            return push.allowed;
        }
        self.decide(&asking(&Action::Init)).allowed
            || self.pushing_rules(&asking(&Action::Push(None))).next().is_some()
    }

    /// Whether every rule that lets somebody publish anything to a repository asks for keys of their own for `role`.
    /// Decides about a snapshot, which whoever publishes anything may send along.
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
        };
        let of_role = Action::Push(Some(role.clone()));
        let mut rules = self.pushing_rules(&asking).peekable();
        rules.peek().is_some() && rules.all(|rule| rule.requires_own_key(&of_role))
    }

    /// The rules that allow somebody to publish some role to a repository.
    fn pushing_rules(&self, asking: &Asking<'_>) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| {
            rule.effect == Effect::Allow
                && rule.actions.iter().any(Covered::is_push)
                && rule.concerns(asking).is_ok()
        })
    }

    /// Whether any rule allows something to somebody without an identity.
    pub fn admits_anonymous(&self) -> bool {
        self.rules
            .iter()
            .any(|rule| rule.effect == Effect::Allow && rule.principals.contains(&Subject::Anonymous))
    }

    /// What every rule has to do with a question, in their order.
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
