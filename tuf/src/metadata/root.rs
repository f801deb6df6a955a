//! The root document.

use std::collections::BTreeMap;

use super::fields::Fields;
use super::role_keys::read_keys;
use super::{Envelope, MetadataError, RoleKeys};
use crate::role::RoleName;

/// The contents of a root document: the keys and thresholds of the base roles. Other roles in it are ignored.
#[derive(Debug, Clone)]
pub(crate) struct RootBody {
    roles: BTreeMap<RoleName, RoleKeys>,
}

impl RootBody {
    /// Reads a root document and checks its structure: the type, a version of at least 1, the four base roles,
    /// each with a threshold of at least 1 and a key for every key ID.
    pub(crate) fn read(document: &Envelope) -> Result<Self, MetadataError> {
        let signed = document.signed(&RoleName::Root)?;
        signed.boolean("consistent_snapshot")?;
        let keys = read_keys(&signed)?;
        let mut roles = BTreeMap::new();
        for (name, value) in signed.map("roles")? {
            let role = RoleKeys::read(&Fields::of(value, "document.signed.roles")?, &keys)?;
            if let Some(name) = RoleName::BASE.into_iter().find(|base| base.as_str() == name) {
                roles.insert(name, role);
            }
        }

        document.check_type(&RoleName::Root, "Root", "version cannot be less than 1")?;
        for name in RoleName::BASE {
            match roles.get(&name) {
                Some(role) => role.check(&RoleName::Root, name.as_str())?,
                None => {
                    let problem = format!("missing {name} role specification");
                    return Err(MetadataError::structure(&RoleName::Root, problem));
                }
            }
        }
        Ok(Self { roles })
    }

    /// Takes the keys of every role as they stand in a stored root.
    pub(crate) fn tolerate(&mut self) {
        self.roles.values_mut().for_each(RoleKeys::tolerate);
    }

    /// Checks that the thresholds of a new root can be met by counting each private key once, unless `before` declares
    /// the same.
    pub(crate) fn check_forms(&mut self, before: Option<&Self>) -> Result<(), MetadataError> {
        for (name, role) in &mut self.roles {
            let before = before.and_then(|before| before.roles.get(name));
            role.check_forms(&RoleName::Root, name.as_str(), before)?;
        }
        Ok(())
    }

    /// The roles whose thresholds can be met only by counting a private key more than once.
    pub(crate) fn counting_twice(&self) -> impl Iterator<Item = &RoleName> {
        let roles = self.roles.iter().filter(|(_, role)| role.counts_twice());
        roles.map(|(name, _)| name)
    }

    /// The keys of a base role.
    pub(crate) fn role(&self, name: &RoleName) -> Result<&RoleKeys, MetadataError> {
        self.roles
            .get(name)
            .ok_or_else(|| MetadataError::NoRole(name.clone()))
    }
}
