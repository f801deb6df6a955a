//! Targets documents: `targets` itself and every delegation.

use std::collections::BTreeSet;

use super::fields::Fields;
use super::role_keys::read_keys;
use super::{Envelope, FileMeta, MetadataError, RoleKeys};
use crate::role::{DelegationName, RoleName};

/// The contents of a targets document that the server needs: its delegations, and the names of targets.
#[derive(Debug, Clone)]
pub(crate) struct TargetsBody {
    delegations: Vec<Delegation>,
    /// The first name of a target, or path prefix of a delegation, that [`TargetsBody::check_names`] refuses.
    unprintable: Option<String>,
}

/// A delegation as its parent declares it.
#[derive(Debug, Clone)]
struct Delegation {
    name: String,
    keys: RoleKeys,
    /// What the names of its targets may begin with.
    paths: Vec<String>,
}

impl TargetsBody {
    /// Reads a targets document. Its targets are not checked beyond the kind of their fields.
    pub(crate) fn read(role: &RoleName, document: &Envelope) -> Result<Self, MetadataError> {
        let signed = document.signed(role)?;
        let mut body = Self {
            delegations: Vec::new(),
            unprintable: None,
        };
        for (name, target) in signed.map("targets")? {
            FileMeta::check_fields(target, "document.signed.targets")?;
            body.note_name(name);
        }
        if let Some(fields) = signed.object("delegations", "document.signed.delegations")? {
            let keys = read_keys(&fields)?;
            let mut names = BTreeSet::new();
            for element in fields.list("roles")? {
                let entry = Fields::of(element, "document.signed.delegations.roles")?;
                let paths = entry.strings("paths")?;
                for path in &paths {
                    body.note_name(path);
                }
                let name = entry.string("name")?.to_owned();
                // Of two delegations with the same name some readers take the first, some the last, and some follow
                // both.
                if !names.insert(name.clone()) {
                    return Err(fields.wrong("roles", "a list that declares each role once"));
                }
                body.delegations.push(Delegation {
                    name,
                    keys: RoleKeys::read(&entry, &keys)?,
                    paths: paths.into_iter().map(str::to_owned).collect(),
                });
            }
        }
        Ok(body)
    }

    fn note_name(&mut self, name: &str) {
        if self.unprintable.is_none() && name.bytes().any(|b| b < 0x20) {
            self.unprintable = Some(name.to_owned());
        }
    }

    /// Checks the structure: type, version, and for every delegation a valid name of a direct child, a threshold
    /// of at least 1 and a key for every key ID.
    pub(crate) fn check(&self, role: &RoleName, document: &Envelope) -> Result<(), MetadataError> {
        document.check_type(role, "Targets", "version cannot be less than one")?;
        for delegation in &self.delegations {
            let name = &delegation.name;
            if !DelegationName::parse(name).is_ok_and(|child| child.parent() == *role) {
                return Err(MetadataError::structure(
                    role,
                    format!("delegation role {name} invalid"),
                ));
            }
            delegation.keys.check(role, name)?;
        }
        Ok(())
    }

    /// Takes the keys of every delegation as they stand in a stored document.
    pub(crate) fn tolerate(&mut self) {
        for delegation in &mut self.delegations {
            delegation.keys.tolerate();
        }
    }

    /// Checks that the thresholds of a new document can be met by counting each private key once, unless `before`, the
    /// stored one, declares the same.
    pub(crate) fn check_forms(
        &mut self,
        role: &RoleName,
        before: Option<&Self>,
    ) -> Result<(), MetadataError> {
        for delegation in &mut self.delegations {
            let same_name = |other: &&Delegation| other.name == delegation.name;
            let before = before.and_then(|before| before.delegations.iter().find(same_name));
            let before = before.map(|before| &before.keys);
            delegation.keys.check_forms(role, &delegation.name, before)?;
        }
        Ok(())
    }

    /// The delegations whose thresholds can be met only by counting a private key more than once.
    pub(crate) fn counting_twice(&self) -> impl Iterator<Item = &str> {
        let twice = self
            .delegations
            .iter()
            .filter(|delegation| delegation.keys.counts_twice());
        twice.map(|delegation| delegation.name.as_str())
    }

    /// The keys of the delegation with this name.
    pub(crate) fn delegation(&self, name: &RoleName) -> Option<&RoleKeys> {
        let declared = self
            .delegations
            .iter()
            .find(|delegation| delegation.name == name.as_str());
        declared.map(|delegation| &delegation.keys)
    }

    /// What the names of the targets of the delegation with this name may begin with.
    pub(crate) fn paths(&self, name: &RoleName) -> &[String] {
        let declared = self
            .delegations
            .iter()
            .find(|delegation| delegation.name == name.as_str());
        declared.map_or(&[], |delegation| &delegation.paths)
    }

    /// The names that are delegated to, as written.
    pub(crate) fn delegations(&self) -> impl Iterator<Item = &str> {
        self.delegations.iter().map(|delegation| delegation.name.as_str())
    }

    /// Checks that no name of a target or path of a delegation holds a control character. Notary can verify such a
    /// document but not write it, and a terminal would act on such a name.
    pub(crate) fn check_names(&self, role: &RoleName) -> Result<(), MetadataError> {
        match &self.unprintable {
            Some(name) => Err(MetadataError::UnprintableName {
                role: role.clone(),
                name: name.clone(),
            }),
            None => Ok(()),
        }
    }
}
