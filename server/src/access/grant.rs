//! Grants: what a handler has to be given before it does its work, and what it says about who was granted what.

use std::marker::PhantomData;

use tuf::{Gun, RoleName};

use super::{Denied, policy::Action};
use crate::identity::Principal;

/// Reading metadata.
#[derive(Debug)]
pub enum Pull {}
/// Publishing some role of a GUN: what an upload needs before its documents are known.
#[derive(Debug)]
pub enum PublishAny {}
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

/// An action that one right of the policy allows.
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
    pub(super) gun: Option<Gun>,
    pub(super) actors: Result<(), Denied>,
    pub(super) rule: Option<String>,
}

/// Somebody who has an identity, or who is not asked for one.
#[derive(Debug)]
pub struct Identified {
    pub(super) principal: Principal,
}

/// The right of a principal to see how the server is set up.
#[derive(Debug)]
pub struct Administration {
    pub(super) rule: Option<String>,
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
    /// The roles that the principal has to have signed itself.
    pub fn own_key(&self) -> &[RoleName] {
        &self.own_key
    }
}

impl ChangesGrant {
    /// The repository whose changes may be read; all of them without one.
    pub fn gun(&self) -> Option<&Gun> {
        self.gun.as_ref()
    }

    /// Whether the principal may also know who made the changes: reading a repository is not enough for that.
    ///
    /// # Errors
    /// When not.
    pub fn actors(&self) -> Result<(), Denied> {
        self.actors.clone()
    }

    /// The rule of the policy that decided.
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }
}

impl Identified {
    /// Who it is.
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

    /// Who was granted it.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The repository it is about.
    pub fn gun(&self) -> &Gun {
        &self.gun
    }

    /// The rule of the policy that decided.
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }
}
