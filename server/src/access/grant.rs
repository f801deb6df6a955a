//! Grants: what a handler must be given before it does its work. A grant records who may do what, and by which rule.

use std::marker::PhantomData;

use tuf::{Gun, RoleName};

use super::{Denied, policy::Action};
use crate::identity::Principal;

/// Reading metadata.
#[derive(Debug)]
pub enum Pull {}
/// Publishing any role of a GUN: the grant that an upload needs before its documents are known.
#[derive(Debug)]
pub enum PublishAny {}
/// Publishing metadata.
#[derive(Debug)]
pub enum Publish {}
/// Reading the server's public keys for a GUN.
#[derive(Debug)]
pub enum ReadKey {}
/// Having the server make a new key for a GUN.
#[derive(Debug)]
pub enum RotateKey {}
/// Deleting a GUN.
#[derive(Debug)]
pub enum Delete {}
/// Pushing images to a repository of a registry. The right to publish some role is not enough.
#[derive(Debug)]
pub enum PushImage {}

/// Having an attestation recorded in the chain of a GUN.
#[derive(Debug)]
pub enum Attest {}

/// What a principal asks to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// One action of the policy.
    To(Action),
    /// Publishing anything, or creating the GUN.
    PushSomething,
}

/// An action that corresponds to exactly one right of the policy.
pub trait SingleRight {
    /// The right.
    const RIGHT: Right;
}

impl SingleRight for Pull {
    const RIGHT: Right = Right::To(Action::Pull);
}
impl SingleRight for PublishAny {
    const RIGHT: Right = Right::PushSomething;
}
impl SingleRight for ReadKey {
    const RIGHT: Right = Right::PushSomething;
}
impl SingleRight for RotateKey {
    const RIGHT: Right = Right::To(Action::RotateKey);
}
impl SingleRight for PushImage {
    const RIGHT: Right = Right::To(Action::Push(None));
}
impl SingleRight for Delete {
    const RIGHT: Right = Right::To(Action::Delete);
}

/// The right of a principal to do one thing with one GUN.
#[derive(Debug)]
pub struct Grant<A> {
    pub(super) principal: Principal,
    pub(super) gun: Gun,
    pub(super) rule: Option<String>,
    own_key: Vec<RoleName>,
    action: PhantomData<A>,
}

/// The right of a principal to read the changes of one GUN, or of all.
#[derive(Debug)]
pub struct ChangesGrant {
    pub(super) principal: Principal,
    pub(super) gun: Option<Gun>,
    pub(super) actors: Result<(), Denied>,
    pub(super) rule: Option<String>,
}

/// A principal that has an identity, or that no listener asks for one.
#[derive(Debug)]
pub struct Identified {
    pub(super) principal: Principal,
}

/// The right of a principal to see how the server is set up.
#[derive(Debug)]
pub struct Administration {
    pub(super) rule: Option<String>,
}

/// The right of a principal to change who has access: accounts, keys and the deny list.
#[derive(Debug)]
pub struct AccessChanges {
    pub(super) principal: Principal,
    pub(super) rule: Option<String>,
}

/// The right of a principal to have a certificate issued for itself.
#[derive(Debug)]
pub struct OwnBundle {
    pub(super) principal: Principal,
    pub(super) rule: Option<String>,
}

impl OwnBundle {
    /// The principal that it was granted to.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The rule of the policy that decided.
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }
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
    /// The roles that the principal must have signed with its own key.
    pub fn own_key(&self) -> &[RoleName] {
        &self.own_key
    }
}

impl ChangesGrant {
    /// The repository whose changes may be read; `None` means all repositories.
    pub fn gun(&self) -> Option<&Gun> {
        self.gun.as_ref()
    }

    /// The principal that it was granted to.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Checks that the principal may also see who made the changes; the right to pull is not enough for that.
    ///
    /// # Errors
    /// When it may not.
    pub fn actors(&self) -> Result<(), Denied> {
        self.actors.clone()
    }

    /// The rule of the policy that decided.
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }
}

impl Identified {
    /// The principal that was identified.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
}

impl Administration {
    /// The rule of the policy that decided.
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }
}

impl AccessChanges {
    /// The principal that it was granted to.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The rule of the policy that decided.
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }
}

impl<A> Grant<A> {
    pub(super) fn new(principal: Principal, gun: Gun, rule: Option<String>, own_key: Vec<RoleName>) -> Self {
        Self {
            principal,
            gun,
            rule,
            own_key,
            action: PhantomData,
        }
    }

    /// The principal to which this was granted.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The repository to which the grant applies.
    pub fn gun(&self) -> &Gun {
        &self.gun
    }

    /// The rule of the policy that decided.
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }
}
