//! What a principal may do. A grant is the only way to the handlers' work, and names what was granted.

pub mod policy;

use std::marker::PhantomData;

use tuf::{Gun, RoleName};

use crate::identity::{IdentityError, Method, Principal};
use policy::{Action, Asking, Policy, Verdict};

/// Reading metadata.
#[derive(Debug)]
pub enum Pull {}
/// Reading the changes of a GUN.
#[derive(Debug)]
pub enum ReadChanges {}
/// Sending an update, of which nobody knows yet what it changes.
#[derive(Debug)]
pub enum Send {}
/// Publishing metadata.
#[derive(Debug)]
pub enum Publish {}
/// Reading the server's public keys for a GUN.
#[derive(Debug)]
pub enum ReadKey {}
/// Having a new server key made for a GUN.
#[derive(Debug)]
pub enum RotateKey {}
/// Deleting a GUN.
#[derive(Debug)]
pub enum Delete {}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// One action of the policy.
    To(Action),
    /// Publishing anything, or creating the GUN.
    PushSomething,
}

/// A sort of grant that needs just one right.
pub trait Kind {
    /// The right.
    const RIGHT: Right;
}

impl Kind for Pull {
    const RIGHT: Right = Right::To(Action::Pull);
}
impl Kind for Send {
    const RIGHT: Right = Right::PushSomething;
}
impl Kind for ReadKey {
    const RIGHT: Right = Right::PushSomething;
}
impl Kind for RotateKey {
    const RIGHT: Right = Right::To(Action::RotateKey);
}
impl Kind for Delete {
    const RIGHT: Right = Right::To(Action::Delete);
}

/// The right of a principal to do one thing with one GUN.
#[derive(Debug)]
pub struct Grant<Sort> {
    principal: Principal,
    gun: Gun,
    own_key: Vec<RoleName>,
    action: PhantomData<Sort>,
}

/// The right of a principal to read the changes of every GUN.
#[derive(Debug)]
pub struct CatalogGrant {
    _principal: Principal,
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
    certificates_asked_for: bool,
}

impl Access {
    /// Rules for a server; `certificates_asked_for` says whether any of its listeners asks for them.
    pub fn new(policy: Option<Policy>, certificates_asked_for: bool) -> Self {
        Self {
            policy,
            certificates_asked_for,
        }
    }

    /// Whether somebody without an identity may do something somewhere.
    fn admits_anonymous(&self) -> bool {
        self.policy.as_ref().is_some_and(Policy::admits_anonymous)
    }

    /// Grants an action on a GUN.
    ///
    /// # Errors
    /// When the principal may not do it.
    pub fn authorize<K: Kind>(&self, principal: Principal, gun: Gun) -> Result<Grant<K>, Denied> {
        self.check(&principal, &K::RIGHT, Some(&gun))?;
        Ok(Grant {
            principal,
            gun,
            own_key: Vec::new(),
            action: PhantomData,
        })
    }

    /// Grants publishing exactly these roles; `initial` when the GUN does not exist yet.
    ///
    /// # Errors
    /// When the principal may not publish one of them.
    pub fn authorize_publish(
        &self,
        grant: Grant<Send>,
        roles: &[RoleName],
        initial: bool,
    ) -> Result<Grant<Publish>, Denied> {
        let Grant { principal, gun, .. } = grant;
        if initial {
            self.check(&principal, &Right::To(Action::Init), Some(&gun))?;
        }
        let mut own_key = Vec::new();
        for role in roles {
            // Snapshot and timestamp only say what the others are; whoever changes nothing else may renew them.
            if matches!(role, RoleName::Snapshot | RoleName::Timestamp) {
                continue;
            }
            let needs_own_key = self.check(
                &principal,
                &Right::To(Action::Push(Some(role.clone()))),
                Some(&gun),
            )?;
            if needs_own_key && matches!(role, RoleName::Delegation(_)) {
                own_key.push(role.clone());
            }
        }
        Ok(Grant {
            principal,
            gun,
            own_key,
            action: PhantomData,
        })
    }

    /// Grants reading the changes of one GUN, which whoever may read the GUN can put together anyway.
    ///
    /// # Errors
    /// When the principal may neither pull nor read changes.
    pub fn authorize_changes(&self, principal: Principal, gun: Gun) -> Result<Grant<ReadChanges>, Denied> {
        self.check(&principal, &Right::To(Action::Changefeed), Some(&gun))
            .or_else(|_| self.check(&principal, &Right::To(Action::Pull), Some(&gun)))?;
        Ok(Grant {
            principal,
            gun,
            own_key: Vec::new(),
            action: PhantomData,
        })
    }

    /// Whether somebody may know that this is a trust server that will hear them.
    ///
    /// # Errors
    /// When they have no identity and can do nothing without one.
    pub fn ping(&self, principal: &Principal) -> Result<(), IdentityError> {
        match principal.refusal() {
            Some(IdentityError::NoCertificate) if self.admits_anonymous() => Ok(()),
            _ => self.identified(principal),
        }
    }

    /// Whether somebody has an identity, or is not asked for one.
    ///
    /// # Errors
    /// When not.
    pub fn identified(&self, principal: &Principal) -> Result<(), IdentityError> {
        match (principal.method(), principal.refusal()) {
            (Method::Anonymous, Some(refusal)) => Err(refusal.clone()),
            _ => Ok(()),
        }
    }

    /// Grants reading the changes of every GUN.
    ///
    /// # Errors
    /// When the principal may not.
    pub fn authorize_catalog(&self, principal: Principal) -> Result<CatalogGrant, Denied> {
        self.check(&principal, &Right::To(Action::Changefeed), None)?;
        Ok(CatalogGrant {
            _principal: principal,
        })
    }

    /// Whether a principal has a right; true if only for what it signs with a key of its own.
    ///
    /// # Errors
    /// When it has not.
    pub fn check(&self, principal: &Principal, right: &Right, gun: Option<&Gun>) -> Result<bool, Denied> {
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
        // A policy on trial must not let in whom nobody would let in without it.
        let on_trial = !verdict.enforced && self.without_policy(principal, right).denied.is_none();
        if verdict.denied.is_none() || on_trial {
            return Ok(verdict.own_key);
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

    /// Whether a principal may know who made the changes it reads: reading a repository is not enough for that.
    ///
    /// # Errors
    /// When not.
    pub fn may_see_actors(&self, principal: &Principal, gun: Option<&Gun>) -> Result<(), Denied> {
        self.check(principal, &Right::To(Action::Changefeed), gun)
            .map(drop)
    }

    /// The policy's rule that decides about a right, for the record; nothing when there is none.
    pub fn deciding_rule(&self, principal: &Principal, right: &Right, gun: Option<&Gun>) -> Option<String> {
        self.verdict(principal, right, gun.map(Gun::as_str)).rule
    }

    /// Whether a principal may see that a GUN is there.
    pub fn shows(&self, principal: &Principal, gun: &str) -> bool {
        [Action::Pull, Action::List].into_iter().any(|action| {
            let verdict = self.verdict(principal, &Right::To(action), Some(gun));
            let on_trial = !verdict.enforced
                && self
                    .without_policy(principal, &Right::To(Action::Pull))
                    .denied
                    .is_none();
            verdict.denied.is_none() || on_trial
        })
    }

    fn verdict(&self, principal: &Principal, right: &Right, gun: Option<&str>) -> Answer {
        let Some(policy) = &self.policy else {
            return self.without_policy(principal, right);
        };
        // Somebody whose certificate was refused is nobody, not anonymous.
        let known = (principal.method() != Method::Anonymous).then(|| principal.name());
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
        Answer {
            denied: (!verdict.allowed && !granted).then(|| match &verdict.rule {
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
                && (!self.certificates_asked_for || *right == Right::To(Action::Pull));
        Answer {
            denied: (!open).then(|| "there is no policy".to_owned()),
            enforced: true,
            rule: None,
            own_key: false,
        }
    }
}

/// What was found out about a right.
struct Answer {
    denied: Option<String>,
    enforced: bool,
    rule: Option<String>,
    own_key: bool,
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::To(action) => action.fmt(f),
            Self::PushSomething => f.write_str("push"),
        }
    }
}

impl Grant<Publish> {
    /// The delegations that the principal has to have signed itself.
    pub fn own_key(&self) -> &[RoleName] {
        &self.own_key
    }
}

impl<Sort> Grant<Sort> {
    /// Who was granted it.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The repository it is about.
    pub fn gun(&self) -> &Gun {
        &self.gun
    }
}
