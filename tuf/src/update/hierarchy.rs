//! The tree of targets: each document is trusted through the one above it.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::certificate::delegation_weakness;
use crate::metadata::{Envelope, MetadataError, RoleKeys, TargetsBody};
use crate::role::RoleName;
use crate::trusted_root::TrustedRoot;
use crate::version::Version;

/// The targets documents that have been verified while checking one update.
pub(super) struct Hierarchy<'a> {
    root: &'a TrustedRoot,
    loaded: BTreeMap<RoleName, Loaded>,
}

struct Loaded {
    body: TargetsBody,
    bytes: Bytes,
}

impl<'a> Hierarchy<'a> {
    pub(super) fn new(root: &'a TrustedRoot) -> Self {
        Self {
            root,
            loaded: BTreeMap::new(),
        }
    }

    /// The documents verified so far, parents first.
    pub(super) fn loaded(&self) -> impl Iterator<Item = (&RoleName, &[u8])> {
        self.loaded
            .iter()
            .map(|(role, document)| (role, &*document.bytes))
    }

    /// Verifies an uploaded document: keys, structure, version, signatures, expiry, names.
    pub(super) fn load_uploaded(
        &mut self,
        role: &RoleName,
        document: &Envelope,
        bytes: &Bytes,
        now: DateTime<Utc>,
    ) -> Result<Version, MetadataError> {
        let body = self.verify(role, document)?;
        let version = document.version(role)?;
        document.check_expiry(role, now)?;
        body.check_names(role)?;
        self.insert(role, body, bytes);
        Ok(version)
    }

    /// Verifies a stored document. That it has expired does not matter.
    pub(super) fn load_stored(&mut self, role: &RoleName, bytes: &Bytes) -> Result<(), MetadataError> {
        let body = self.verify(role, &Envelope::parse(bytes)?)?;
        self.insert(role, body, bytes);
        Ok(())
    }

    fn verify(&self, role: &RoleName, document: &Envelope) -> Result<TargetsBody, MetadataError> {
        if *role == RoleName::Targets {
            let keys = self.root.role(role)?;
            let body = TargetsBody::read(role, document)?;
            keys.verify(role, document)?;
            body.check(role, document)?;
            return Ok(body);
        }
        let keys = self.delegated_keys(role)?;
        if let Some(weakness) = keys.keys.values().find_map(delegation_weakness) {
            return Err(MetadataError::WeakCertificate(weakness));
        }
        let body = TargetsBody::read(role, document)?;
        body.check(role, document)?;
        keys.verify(role, document)?;
        Ok(body)
    }

    /// The keys that the parent of a delegation declares for it.
    fn delegated_keys(&self, role: &RoleName) -> Result<&RoleKeys, MetadataError> {
        if !self.loaded.contains_key(&RoleName::Targets) {
            return Err(MetadataError::NoTargets);
        }
        let parent = role.parent().and_then(|parent| self.loaded.get(&parent));
        let declared = parent.and_then(|parent| parent.body.delegation(role));
        declared.ok_or_else(|| MetadataError::NoDelegation(role.clone()))
    }

    fn insert(&mut self, role: &RoleName, body: TargetsBody, bytes: &Bytes) {
        self.loaded.insert(
            role.clone(),
            Loaded {
                body,
                bytes: bytes.clone(),
            },
        );
    }
}
