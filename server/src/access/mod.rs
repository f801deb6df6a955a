//! What a principal may do. A grant is the only way to the handlers' work, and names what was granted.

use std::marker::PhantomData;

use tuf::{Gun, RoleName};

use crate::identity::{IdentityError, Method, Principal};

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

/// What a policy is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// Reading metadata.
    Pull,
    /// Publishing a role.
    Push(RoleName),
    /// Publishing anything, or creating the GUN.
    PushSomething,
    /// Creating a GUN by its first publish.
    Init,
    /// Having a new server key made.
    RotateKey,
    /// Deleting a GUN.
    Delete,
    /// Seeing the GUN in lists.
    List,
    /// Reading the changes of a GUN, or of all.
    Changefeed,
    /// Seeing the server's settings.
    Admin,
}

/// A sort of grant that needs just one right.
pub trait Kind {
    /// The right.
    const RIGHT: Right;
}

impl Kind for Pull {
    const RIGHT: Right = Right::Pull;
}
impl Kind for Send {
    const RIGHT: Right = Right::PushSomething;
}
impl Kind for ReadKey {
    const RIGHT: Right = Right::PushSomething;
}
impl Kind for RotateKey {
    const RIGHT: Right = Right::RotateKey;
}
impl Kind for Delete {
    const RIGHT: Right = Right::Delete;
}

/// The right of a principal to do one thing with one GUN.
#[derive(Debug)]
pub struct Grant<Action> {
    principal: Principal,
    gun: Gun,
    action: PhantomData<Action>,
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
    certificates_asked_for: bool,
}

impl Access {
    /// Rules for a server; `certificates_asked_for` says whether any of its listeners asks for them.
    pub fn new(certificates_asked_for: bool) -> Self {
        Self {
            certificates_asked_for,
        }
    }

    /// Whether somebody without an identity may do something somewhere.
    pub fn admits_anonymous(&self) -> bool {
        !self.certificates_asked_for
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
            self.check(&principal, &Right::Init, Some(&gun))?;
        }
        // Snapshot and timestamp only say what the others are; whoever changes nothing else may renew them.
        for role in roles {
            if !matches!(role, RoleName::Snapshot | RoleName::Timestamp) {
                self.check(&principal, &Right::Push(role.clone()), Some(&gun))?;
            }
        }
        Ok(Grant {
            principal,
            gun,
            action: PhantomData,
        })
    }

    /// Grants reading the changes of one GUN, which whoever may read the GUN can put together anyway.
    ///
    /// # Errors
    /// When the principal may neither pull nor read changes.
    pub fn authorize_changes(&self, principal: Principal, gun: Gun) -> Result<Grant<ReadChanges>, Denied> {
        self.check(&principal, &Right::Changefeed, Some(&gun))
            .or_else(|_| self.check(&principal, &Right::Pull, Some(&gun)))?;
        Ok(Grant {
            principal,
            gun,
            action: PhantomData,
        })
    }

    /// Whether somebody may know that this is a trust server that will hear them.
    ///
    /// # Errors
    /// When they have no identity and can do nothing without one.
    pub fn ping(&self, principal: &Principal) -> Result<(), IdentityError> {
        if self.admits_anonymous() {
            return Ok(());
        }
        self.identified(principal)
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
        self.check(&principal, &Right::Changefeed, None)?;
        Ok(CatalogGrant {
            _principal: principal,
        })
    }

    /// Whether a principal has a right.
    ///
    /// # Errors
    /// When it has not.
    pub fn check(&self, principal: &Principal, right: &Right, gun: Option<&Gun>) -> Result<(), Denied> {
        // Without a policy whoever has an identity may do everything, which is what a Notary configuration
        // with client_ca_file means; and if nobody is asked for one, everybody may. Where some are asked
        // and others are not, the others read.
        let open = principal.method() != Method::Anonymous
            || principal.refusal().is_none() && (!self.certificates_asked_for || *right == Right::Pull);
        if open {
            return Ok(());
        }
        Err(Denied {
            principal: principal.name().to_owned(),
            right: right.to_string(),
            gun: gun.cloned(),
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
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pull => f.write_str("pull"),
            Self::Push(role) => write!(f, "push:{role}"),
            Self::PushSomething => f.write_str("push"),
            Self::Init => f.write_str("init"),
            Self::RotateKey => f.write_str("rotate-key"),
            Self::Delete => f.write_str("delete"),
            Self::List => f.write_str("list"),
            Self::Changefeed => f.write_str("changefeed"),
            Self::Admin => f.write_str("admin"),
        }
    }
}

impl<Action> Grant<Action> {
    /// Who was granted it.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The repository it is about.
    pub fn gun(&self) -> &Gun {
        &self.gun
    }
}
