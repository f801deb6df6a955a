//! What a principal may do. A grant is the only way to the handlers' work, and names what was granted.

pub mod policy;

use std::marker::PhantomData;

use tuf::Gun;

use crate::identity::Principal;

/// Reading metadata.
#[derive(Debug)]
pub enum Pull {}
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

/// Grants an action. There is no policy yet: whoever has an identity may do everything, which is what a
/// Notary configuration with `client_ca_file` means.
pub fn authorize<Action>(principal: Principal, gun: Gun) -> Grant<Action> {
    Grant {
        principal,
        gun,
        action: PhantomData,
    }
}

/// Grants reading the changes of every GUN.
pub fn authorize_catalog(principal: Principal) -> CatalogGrant {
    CatalogGrant {
        _principal: principal,
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
