//! What a principal may do. Every handler takes a grant, which only this module makes, and which names what was granted
//! and by which rule.

mod grant;
pub mod policy;

use tuf::{Gun, RoleName};

use crate::identity::{IdentityError, Method, Principal};
use policy::{Action, Asking, Policy, Verdict};

pub use grant::{
    Administration, ChangesGrant, Delete, Grant, Identified, Publish, PublishAny, Pull, ReadKey, Right,
    RotateKey, SingleRight,
};

/// What was found out about a right that somebody has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The rule of the policy that allows it, or that would deny it if it were not on trial; nothing without a policy.
    pub rule: Option<String>,
    /// Whether only for what the principal signs with a key of its own.
    pub own_key: bool,
}

/// A right that somebody does not have.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct Denied {
    /// Who.
    pub principal: String,
    /// The right that is missing, as policies name it.
    pub right: String,
    /// The repository; nothing for what concerns all of them.
    pub gun: Option<Gun>,
    /// The rule of the policy that denies it; nothing when none allows it.
    pub rule: Option<String>,
    /// Why somebody anonymous is: the right may be theirs once they show who they are.
    pub anonymous: Option<Box<IdentityError>>,
}

impl Denied {
    fn sentence(&self) -> String {
        let Self { principal, right, .. } = self;
        match &self.gun {
            Some(gun) => format!("{principal} may not {right} {gun}"),
            None => format!("{principal} may not {right}"),
        }
    }
}

/// Who may do what.
#[derive(Debug, Clone)]
pub struct Access {
    policy: Option<Policy>,
    openness: Openness,
}

/// What the listeners ask of clients.
#[derive(Debug, Clone, Copy)]
pub struct Openness {
    /// Whether one of them asks for a certificate or a password.
    pub identity_asked_for: bool,
    /// Whether one of them asks for neither, so that somebody without an identity gets to ask at all.
    pub anonymous_heard: bool,
}

impl Access {
    /// Rules for a server with such listeners.
    pub fn new(policy: Option<Policy>, openness: Openness) -> Self {
        Self { policy, openness }
    }

    /// Whether somebody without an identity may do something somewhere.
    fn admits_anonymous(&self) -> bool {
        self.policy.as_ref().is_some_and(Policy::admits_anonymous)
    }

    /// Grants an action on a GUN.
    ///
    /// # Errors
    /// When the principal may not do it.
    pub fn authorize<K: SingleRight>(&self, principal: Principal, gun: Gun) -> Result<Grant<K>, Denied> {
        let allowed = self.check(&principal, &K::RIGHT, Some(&gun))?;
        Ok(Grant::new(principal, gun, allowed.rule, Vec::new()))
    }

    /// Grants publishing exactly these roles to a GUN that exists.
    ///
    /// # Errors
    /// When the principal may not publish one of them.
    pub fn authorize_publish(
        &self,
        grant: Grant<PublishAny>,
        roles: &[RoleName],
    ) -> Result<Grant<Publish>, Denied> {
        let Grant {
            principal, gun, rule, ..
        } = grant;
        let mut rules = Vec::new();
        let mut own_key = Vec::new();
        for role in roles {
            let allowed = match role {
                // Nobody's timestamp is taken from an upload.
                RoleName::Timestamp => continue,
                RoleName::Snapshot => self.check_snapshot(&principal, &gun)?,
                _ => {
                    let right = Right::To(Action::Push(Some(role.clone())));
                    self.check(&principal, &right, Some(&gun))?
                }
            };
            if allowed.own_key {
                own_key.push(role.clone());
            }
            rules.extend(allowed.rule);
        }
        rules.dedup();
        let rule = if rules.is_empty() {
            rule
        } else {
            Some(rules.join(", "))
        };
        Ok(Grant::new(principal, gun, rule, own_key))
    }

    /// Whether whoever publishes something may send a snapshot along, which only says what the other documents are.
    fn check_snapshot(&self, principal: &Principal, gun: &Gun) -> Result<Allowed, Denied> {
        let right = Right::To(Action::Push(Some(RoleName::Snapshot)));
        let verdict = self.verdict(principal, &right, Some(gun.as_str()));
        if verdict.permitted || verdict.rule.is_some() {
            return self.check(principal, &right, Some(gun));
        }
        let (known, groups) = (known(principal), principal.groups());
        let own_key = self.policy.as_ref().is_some_and(|policy| {
            policy.always_requires_own_key(known, groups, gun.as_str(), &RoleName::Snapshot)
        });
        Ok(Allowed { rule: None, own_key })
    }

    /// Whether a principal may make a repository, which is what a first publish does.
    ///
    /// # Errors
    /// When not.
    pub fn check_init(&self, grant: &Grant<Publish>) -> Result<(), Denied> {
        self.check(&grant.principal, &Right::To(Action::Init), Some(&grant.gun))
            .map(drop)
    }

    /// Grants reading the changes of one GUN or, without one, of all. Whoever may read a GUN can put its changes
    /// together anyway and so may read them, unless a rule denies it.
    ///
    /// # Errors
    /// When the principal may neither pull nor read changes, or a rule denies reading them.
    pub fn authorize_changes(&self, principal: &Principal, gun: Option<Gun>) -> Result<ChangesGrant, Denied> {
        let right = Right::To(Action::Changefeed);
        let actors = self.check(principal, &right, gun.as_ref()).map(drop);
        let Allowed { rule, .. } = match &gun {
            Some(gun) => self.check_either(principal, Action::Changefeed, Action::Pull, gun)?,
            None => self.check(principal, &right, None)?,
        };
        Ok(ChangesGrant { gun, actors, rule })
    }

    /// Grants seeing how the server is set up.
    ///
    /// # Errors
    /// When the principal may not.
    pub fn authorize_administration(&self, principal: &Principal) -> Result<Administration, Denied> {
        let Allowed { rule, .. } = self.check(principal, &Right::To(Action::Admin), None)?;
        Ok(Administration { rule })
    }

    /// A right that another one brings with it, unless a rule denies the first.
    fn check_either(
        &self,
        principal: &Principal,
        action: Action,
        instead: Action,
        gun: &Gun,
    ) -> Result<Allowed, Denied> {
        let right = Right::To(action);
        let verdict = self.verdict(principal, &right, Some(gun.as_str()));
        if verdict.permitted || verdict.rule.is_some() {
            return self.check(principal, &right, Some(gun));
        }
        self.check(principal, &Right::To(instead), Some(gun))
    }

    /// Whether somebody may know that this is a trust server that will hear them.
    ///
    /// # Errors
    /// When they have no identity and can do nothing without one.
    pub fn ping(&self, principal: &Principal) -> Result<(), IdentityError> {
        match principal.refusal() {
            Some(IdentityError::NoCertificate) if self.admits_anonymous() => Ok(()),
            _ => self.identified(principal).map(drop),
        }
    }

    /// Whether somebody has an identity, or is not asked for one.
    ///
    /// # Errors
    /// When they have none and need one.
    pub fn identified(&self, principal: &Principal) -> Result<Identified, IdentityError> {
        match (principal.method(), principal.refusal()) {
            (Method::Anonymous, Some(refusal)) => Err(refusal.clone()),
            _ => Ok(Identified {
                principal: principal.clone(),
            }),
        }
    }

    /// Whether a principal has a right, and on which condition.
    ///
    /// # Errors
    /// When it has not.
    pub fn check(&self, principal: &Principal, right: &Right, gun: Option<&Gun>) -> Result<Allowed, Denied> {
        let verdict = self.verdict(principal, right, gun.map(Gun::as_str));
        if let (false, Some(why)) = (verdict.enforced, &verdict.denied) {
            tracing::warn!(
                principal = principal.name(),
                action = %right,
                repo.gun = gun.map(tracing::field::display),
                reason = why,
                "the policy would deny this; access.mode is audit"
            );
        }
        if verdict.permitted {
            return Ok(Allowed {
                rule: verdict.rule,
                own_key: verdict.own_key,
            });
        }
        Err(Denied {
            principal: principal.name().to_owned(),
            right: right.to_string(),
            gun: gun.cloned(),
            rule: verdict.rule,
            anonymous: (principal.method() == Method::Anonymous)
                .then(|| {
                    principal
                        .refusal()
                        .cloned()
                        .unwrap_or(IdentityError::NoCertificate)
                })
                .map(Box::new),
        })
    }

    /// Whether a principal may see that a GUN is there: by the right to list it or to read it, unless a rule denies
    /// listing it.
    pub fn shows(&self, principal: &Principal, gun: &str) -> bool {
        let verdict = |action| self.verdict(principal, &Right::To(action), Some(gun));
        let list = verdict(Action::List);
        list.permitted || list.rule.is_none() && verdict(Action::Pull).permitted
    }

    /// Whether anybody at all may read a GUN, so that caches which ask nobody who they are may hand it out.
    pub fn is_public(&self, gun: &Gun) -> bool {
        self.openness.anonymous_heard
            && self
                .verdict(
                    &Principal::anonymous(None, None),
                    &Right::To(Action::Pull),
                    Some(gun.as_str()),
                )
                .permitted
    }

    fn verdict(&self, principal: &Principal, right: &Right, gun: Option<&str>) -> Answer {
        let Some(policy) = &self.policy else {
            return self.without_policy(principal, right);
        };
        let known = known(principal);
        let asking = |action| Asking {
            principal: known,
            groups: principal.groups(),
            action,
            gun,
        };
        let verdict = match right {
            Right::To(action) => policy.decide(&asking(action)),
            Right::PushSomething => {
                let push = policy.decide(&asking(&Action::Push(None)));
                let may = gun.is_some_and(|gun| policy.may_push_something(known, principal.groups(), gun));
                Verdict { allowed: may, ..push }
            }
        };
        // What the token service granted needs no further allowance; what the policy forbids stays forbidden.
        let granted = principal.method() == Method::Token && verdict.rule.is_none();
        let allowed = verdict.allowed || granted;
        // A policy on trial must not let in whom nobody would let in without it.
        let on_trial = !verdict.enforced && self.without_policy(principal, right).permitted;
        Answer {
            permitted: allowed || on_trial,
            denied: (!allowed).then(|| match &verdict.rule {
                Some(rule) => format!("the rule {rule} denies it"),
                None => "no rule allows it".to_owned(),
            }),
            enforced: verdict.enforced,
            rule: verdict.rule,
            own_key: verdict.own_key && verdict.enforced && !granted,
        }
    }

    /// Whoever has an identity may do everything, which is what a Notary configuration with client_ca_file
    /// means; and if nobody is asked for one, everybody may. Where some are asked and others are not, the
    /// others read.
    fn without_policy(&self, principal: &Principal, right: &Right) -> Answer {
        let open = principal.method() != Method::Anonymous
            || principal.refusal().is_none()
                && (!self.openness.identity_asked_for || *right == Right::To(Action::Pull));
        Answer {
            permitted: open,
            denied: (!open).then(|| "there is no policy".to_owned()),
            enforced: true,
            rule: None,
            own_key: false,
        }
    }
}

/// The name to ask the policy with: somebody whose certificate was refused is nobody, not anonymous.
fn known(principal: &Principal) -> Option<&str> {
    (principal.method() != Method::Anonymous).then(|| principal.name())
}

/// What was found out about a right.
struct Answer {
    permitted: bool,
    /// Why the policy denies it, also where it is on trial.
    denied: Option<String>,
    enforced: bool,
    rule: Option<String>,
    own_key: bool,
}
