//! What a principal may do. Every handler takes a grant. Only this module makes grants, and each names what was
//! granted and by which rule.

mod grant;
pub mod policy;

use tuf::{Gun, RoleName};

use crate::identity::{IdentityError, Method, Principal};
use policy::{Action, Asking, Policy, Verdict};

pub use grant::{
    AccessChanges, Administration, Attest, ChangesGrant, Delete, Grant, Identified, OwnBundle, Publish,
    PublishAny, Pull, PushImage, ReadKey, Right, RotateKey, SingleRight,
};

/// A repository of images, by both of the names that rules may call it.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// The GUN, which begins with the registry's host.
    pub gun: &'a Gun,
    /// The name at the registry, without a host.
    pub name: &'a str,
}

/// What a question is about.
#[derive(Debug, Clone, Copy, Default)]
struct About<'a> {
    gun: Option<&'a str>,
    image: Option<&'a str>,
}

impl<'a> From<Option<&'a Gun>> for About<'a> {
    fn from(gun: Option<&'a Gun>) -> Self {
        Self {
            gun: gun.map(Gun::as_str),
            image: None,
        }
    }
}

impl<'a> From<&'a str> for About<'a> {
    fn from(gun: &'a str) -> Self {
        Self {
            gun: Some(gun),
            image: None,
        }
    }
}

impl<'a> From<Image<'a>> for About<'a> {
    fn from(image: Image<'a>) -> Self {
        Self {
            gun: Some(image.gun.as_str()),
            image: Some(image.name),
        }
    }
}

/// The outcome of a check that found a right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The rule of the policy that allows it, or the audit-mode rule that would deny it if it were enforced; `None`
    /// without a policy.
    pub rule: Option<String>,
    /// Whether the right holds only for what the principal signs with its own key.
    pub own_key: bool,
}

/// A right that a principal does not have.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct Denied {
    /// The principal's name.
    pub principal: String,
    /// The right that is missing, as policies name it.
    pub right: String,
    /// The repository; `None` for a right over all repositories.
    pub gun: Option<Gun>,
    /// The rule of the policy that denies it; `None` if no rule allows it.
    pub rule: Option<String>,
    /// Why the client is anonymous: with an identity it may have the right.
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

/// Decides which principal may do what.
#[derive(Debug, Clone)]
pub struct Access {
    policy: Option<Policy>,
    openness: Openness,
}

/// Which identities the listeners ask clients for.
#[derive(Debug, Clone, Copy)]
pub struct Openness {
    /// Whether at least one listener asks for a certificate or a password.
    pub identity_asked_for: bool,
    /// Whether at least one listener asks for neither, so that anonymous requests are answered there.
    pub anonymous_heard: bool,
}

impl Access {
    /// The access rules for a server with these listeners.
    pub fn new(policy: Option<Policy>, openness: Openness) -> Self {
        Self { policy, openness }
    }

    /// Whether an anonymous client may do anything at all.
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

    /// Grants an action on a repository of images.
    ///
    /// # Errors
    /// When the principal may not do it.
    pub fn authorize_image<K: SingleRight>(
        &self,
        principal: Principal,
        image: Image<'_>,
    ) -> Result<Grant<K>, Denied> {
        let allowed = self.check_image(&principal, &K::RIGHT, image)?;
        Ok(Grant::new(principal, image.gun.clone(), allowed.rule, Vec::new()))
    }

    /// Checks that a principal has a right to a repository of images.
    ///
    /// # Errors
    /// When it has not.
    pub fn check_image(
        &self,
        principal: &Principal,
        right: &Right,
        image: Image<'_>,
    ) -> Result<Allowed, Denied> {
        self.check_about(principal, right, Some(image.gun), image.into())
    }

    /// Whether the rules give a principal a right to a repository of images that its request is not about. A policy on
    /// trial gives nothing away here, and neither does a token: it was issued for what the request is about.
    pub fn holds(&self, principal: &Principal, action: &Action, image: Image<'_>) -> bool {
        match &self.policy {
            Some(policy) => {
                let asking = Asking {
                    principal: known(principal),
                    groups: principal.groups(),
                    action,
                    gun: Some(image.gun.as_str()),
                    image: Some(image.name),
                };
                policy.decide(&asking).allowed
            }
            None => {
                let right = Right::To(action.clone());
                let by_token = matches!(principal.method(), Method::Token | Method::OwnToken);
                !by_token && self.without_policy(principal, &right).permitted
            }
        }
    }

    /// Whether the rules let a principal push images to a repository, or sign what is in it.
    pub fn makes(&self, principal: &Principal, image: Image<'_>) -> bool {
        let signs = |policy: &Policy| {
            policy.may_push_something(known(principal), principal.groups(), image.gun.as_str())
        };
        self.holds(principal, &Action::Push(None), image) || self.policy.as_ref().is_some_and(signs)
    }

    /// Whether a principal may see that a repository of images exists.
    pub fn shows_image(&self, principal: &Principal, image: Image<'_>) -> bool {
        self.shows_about(principal, image.into())
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
                // The server makes every timestamp itself, so one in an upload is ignored.
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

    /// Checks that a principal which publishes something may send a snapshot along; it only lists the other documents.
    fn check_snapshot(&self, principal: &Principal, gun: &Gun) -> Result<Allowed, Denied> {
        let right = Right::To(Action::Push(Some(RoleName::Snapshot)));
        let verdict = self.verdict(principal, &right, gun.as_str());
        if verdict.permitted || verdict.rule.is_some() {
            return self.check(principal, &right, Some(gun));
        }
        let (known, groups) = (known(principal), principal.groups());
        let own_key = self.policy.as_ref().is_some_and(|policy| {
            policy.always_requires_own_key(known, groups, gun.as_str(), &RoleName::Snapshot)
        });
        Ok(Allowed { rule: None, own_key })
    }

    /// Checks that a principal may create a repository, which its first publish does.
    ///
    /// # Errors
    /// When it may not.
    pub fn check_init(&self, grant: &Grant<Publish>) -> Result<(), Denied> {
        self.check(&grant.principal, &Right::To(Action::Init), Some(&grant.gun))
            .map(drop)
    }

    /// Grants reading the changes of one GUN or, without a GUN, of all. A principal that may pull a GUN could derive
    /// its changes anyway, so it may read them unless a rule denies it.
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
        Ok(ChangesGrant {
            principal: principal.clone(),
            gun,
            actors,
            rule,
        })
    }

    /// Grants seeing the server's configuration and state.
    ///
    /// # Errors
    /// When the principal may not.
    pub fn authorize_administration(&self, principal: &Principal) -> Result<Administration, Denied> {
        let Allowed { rule, .. } = self.check(principal, &Right::To(Action::Admin), None)?;
        Ok(Administration { rule })
    }

    /// The policy; `None` if there is none.
    pub fn policy(&self) -> Option<&Policy> {
        self.policy.as_ref()
    }

    /// Whether there is a policy.
    pub fn has_policy(&self) -> bool {
        self.policy.is_some()
    }

    /// Grants changing who has access. Other than elsewhere, a policy has to allow it: without one every client with a
    /// certificate could lock out the others, and a policy or rule on trial would carry out what it denies.
    ///
    /// # Errors
    /// When no policy allows it to the principal.
    pub fn authorize_access_changes(&self, principal: &Principal) -> Result<AccessChanges, Denied> {
        let named = known(principal).unwrap_or_default();
        if principal.method() != Method::Anonymous && self.is_administrator(named, principal.groups()) {
            let Allowed { rule, .. } = self.check(principal, &Right::To(Action::Admin), None)?;
            return Ok(AccessChanges {
                principal: principal.clone(),
                rule,
            });
        }
        Err(Self::denied(principal, &Right::To(Action::Admin), None, None))
    }

    /// Grants having a certificate issued for oneself. A policy has to allow it, and the principal has to have shown a
    /// certificate or a password: a token, which somebody may have overheard, would become a login for months.
    ///
    /// # Errors
    /// When no policy allows it to the principal, or it came with less.
    pub fn authorize_bundle(&self, principal: &Principal) -> Result<OwnBundle, Denied> {
        let right = Right::To(Action::Bundle);
        let shown = shows_itself(principal);
        let asking = Asking {
            principal: known(principal),
            groups: principal.groups(),
            action: &Action::Bundle,
            gun: None,
            image: None,
        };
        let verdict = self.policy.as_ref().map(|policy| policy.decide(&asking));
        match verdict {
            Some(verdict) if shown && verdict.allowed => Ok(OwnBundle {
                principal: principal.clone(),
                rule: verdict.rule,
            }),
            verdict => Err(Self::denied(
                principal,
                &right,
                None,
                verdict.and_then(|verdict| verdict.rule),
            )),
        }
    }

    /// Grants having an attestation recorded. Other programs will believe a signature because of it, so whoever asks has to
    /// have shown a certificate or a password: a token was granted for something else, and nobody is not to be named.
    ///
    /// # Errors
    /// When the principal may not, or came with less.
    pub fn authorize_attest(&self, principal: Principal, gun: Gun) -> Result<Grant<Attest>, Denied> {
        let right = Right::To(Action::Attest);
        if !shows_itself(&principal) {
            return Err(Self::denied(&principal, &right, Some(&gun), None));
        }
        let allowed = self.check(&principal, &right, Some(&gun))?;
        Ok(Grant::new(principal, gun, allowed.rule, Vec::new()))
    }

    /// Whether the policy, as far as it is enforced, makes a principal of this name in these groups an administrator.
    pub fn is_administrator(&self, name: &str, groups: &[String]) -> bool {
        let asking = Asking {
            principal: Some(name),
            groups,
            action: &Action::Admin,
            gun: None,
            image: None,
        };
        self.policy
            .as_ref()
            .is_some_and(|policy| policy.decide(&asking).allowed)
    }

    /// The principals that rules which allow administration call by their names.
    pub fn named_administrators(&self) -> Vec<&str> {
        self.policy
            .as_ref()
            .map(|policy| policy.named_for(&Action::Admin))
            .unwrap_or_default()
    }

    /// Checks for `action`, which the right to `instead` includes unless a rule denies `action`.
    fn check_either(
        &self,
        principal: &Principal,
        action: Action,
        instead: Action,
        gun: &Gun,
    ) -> Result<Allowed, Denied> {
        let right = Right::To(action);
        let verdict = self.verdict(principal, &right, gun.as_str());
        if verdict.permitted || verdict.rule.is_some() {
            return self.check(principal, &right, Some(gun));
        }
        self.check(principal, &Right::To(instead), Some(gun))
    }

    /// Checks that a client may learn that this is a trust server: it has an identity, or an anonymous client may do
    /// something here.
    ///
    /// # Errors
    /// When the client has no identity and anonymous clients may do nothing.
    pub fn ping(&self, principal: &Principal) -> Result<(), IdentityError> {
        match principal.refusal() {
            Some(IdentityError::NoCertificate) if self.admits_anonymous() => Ok(()),
            _ => self.identified(principal).map(drop),
        }
    }

    /// Checks that a client may ask for a token: it has an identity, is not asked for one, or anonymous clients may do
    /// something here. What the token then grants is decided for each thing that it asks for.
    ///
    /// # Errors
    /// When it has no identity and needs one.
    pub fn hears(&self, principal: &Principal) -> Result<(), IdentityError> {
        if self.admits_anonymous() {
            return Ok(());
        }
        self.identified(principal).map(drop)
    }

    /// Checks that a client has an identity, or is not asked for one.
    ///
    /// # Errors
    /// When it has none and needs one.
    pub fn identified(&self, principal: &Principal) -> Result<Identified, IdentityError> {
        match (principal.method(), principal.refusal()) {
            (Method::Anonymous, Some(refusal)) => Err(refusal.clone()),
            _ => Ok(Identified {
                principal: principal.clone(),
            }),
        }
    }

    /// Checks that a principal has a right, and says under which condition.
    ///
    /// # Errors
    /// When it has not.
    pub fn check(&self, principal: &Principal, right: &Right, gun: Option<&Gun>) -> Result<Allowed, Denied> {
        self.check_about(principal, right, gun, gun.into())
    }

    fn check_about(
        &self,
        principal: &Principal,
        right: &Right,
        gun: Option<&Gun>,
        about: About<'_>,
    ) -> Result<Allowed, Denied> {
        let verdict = self.verdict(principal, right, about);
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
        Err(Self::denied(principal, right, gun, verdict.rule))
    }

    fn denied(principal: &Principal, right: &Right, gun: Option<&Gun>, rule: Option<String>) -> Denied {
        Denied {
            principal: principal.name().to_owned(),
            right: right.to_string(),
            gun: gun.cloned(),
            rule,
            anonymous: (principal.method() == Method::Anonymous)
                .then(|| {
                    principal
                        .refusal()
                        .cloned()
                        .unwrap_or(IdentityError::NoCertificate)
                })
                .map(Box::new),
        }
    }

    /// Whether a principal may see that a GUN exists: it may list or pull it, and no rule denies listing it.
    pub fn shows(&self, principal: &Principal, gun: &str) -> bool {
        self.shows_about(principal, gun.into())
    }

    /// Whether a principal may read a GUN, and no rule hides it from lists. A token grants what it was issued for, and gives
    /// nothing away here.
    pub fn reads(&self, principal: &Principal, gun: &str) -> bool {
        let verdict = |action| self.verdict(principal, &Right::To(action), gun);
        let list = verdict(Action::List);
        !matches!(principal.method(), Method::Token | Method::OwnToken)
            && (list.permitted || list.rule.is_none())
            && verdict(Action::Pull).permitted
    }

    /// Whether a principal may learn who made changes to a GUN.
    pub fn tells_actors(&self, principal: &Principal, gun: &str) -> bool {
        self.verdict(principal, &Right::To(Action::Changefeed), gun)
            .permitted
    }

    fn shows_about(&self, principal: &Principal, about: About<'_>) -> bool {
        let verdict = |action| self.verdict(principal, &Right::To(action), about);
        let list = verdict(Action::List);
        list.permitted || list.rule.is_none() && verdict(Action::Pull).permitted
    }

    /// Whether anonymous clients may read a GUN, so that shared caches may store its metadata.
    pub fn is_public(&self, gun: &Gun) -> bool {
        self.openness.anonymous_heard
            && self
                .verdict(
                    &Principal::anonymous(None, None),
                    &Right::To(Action::Pull),
                    gun.as_str(),
                )
                .permitted
    }

    fn verdict<'a>(&self, principal: &Principal, right: &Right, about: impl Into<About<'a>>) -> Answer {
        let About { gun, image } = about.into();
        let Some(policy) = &self.policy else {
            return self.without_policy(principal, right);
        };
        let known = known(principal);
        let asking = |action| Asking {
            principal: known,
            groups: principal.groups(),
            action,
            gun,
            image,
        };
        let verdict = match right {
            Right::To(action) => policy.decide(&asking(action)),
            Right::PushSomething => {
                let push = policy.decide(&asking(&Action::Push(None)));
                let may = gun.is_some_and(|gun| policy.may_push_something(known, principal.groups(), gun));
                Verdict { allowed: may, ..push }
            }
        };
        // What the token service granted needs no allowing rule as well, but a rule that denies it still does.
        let granted = principal.method() == Method::Token && verdict.rule.is_none();
        let allowed = verdict.allowed || granted;
        // A policy in audit mode must not let in a principal that would be refused without the policy.
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

    /// Decides without a policy. A principal with an identity may do everything, which is what a Notary configuration
    /// with client_ca_file means. If no listener asks for an identity, every client may do everything. If only some
    /// listeners ask, anonymous clients of the others may pull.
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

/// The name to ask the policy with; `None` for an anonymous principal.
fn known(principal: &Principal) -> Option<&str> {
    (principal.method() != Method::Anonymous).then(|| principal.name())
}

/// Whether a principal has shown who it is by more than a token, which somebody may have overheard.
fn shows_itself(principal: &Principal) -> bool {
    matches!(
        principal.method(),
        Method::Certificate | Method::ForwardedCertificate | Method::Password
    )
}

/// The decision about a right, with its reasons.
struct Answer {
    permitted: bool,
    /// Why the policy denies it, even if the policy or the rule is in audit mode.
    denied: Option<String>,
    enforced: bool,
    rule: Option<String>,
    own_key: bool,
}

#[cfg(test)]
mod tests;
