//! The tree of targets: each document is trusted through the one above it.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::certificate::delegation_weakness;
use crate::document::Document;
use crate::key::PublicKey;
use crate::metadata::{Envelope, MetadataError, RoleKeys, TargetsBody};
use crate::role::RoleName;
use crate::trusted_root::TrustedRoot;
use crate::upload::Part;

use super::Current;

/// The targets documents that have been verified while checking one update.
pub(super) struct Hierarchy<'a> {
    root: &'a TrustedRoot,
    loaded: BTreeMap<RoleName, Loaded>,
    signers: BTreeMap<RoleName, Vec<PublicKey>>,
}

struct Loaded {
    body: Arc<TargetsBody>,
    document: Document,
}

impl<'a> Hierarchy<'a> {
    pub(super) fn new(root: &'a TrustedRoot) -> Self {
        Self {
            root,
            loaded: BTreeMap::new(),
            signers: BTreeMap::new(),
        }
    }

    pub(super) fn is_loaded(&self, role: &RoleName) -> bool {
        self.loaded.contains_key(role)
    }

    /// The keys that signed the uploaded delegations.
    pub(super) fn into_signers(self) -> BTreeMap<RoleName, Vec<PublicKey>> {
        self.signers
    }

    /// The documents verified so far, parents first.
    pub(super) fn loaded(&self) -> impl Iterator<Item = &Document> {
        self.loaded.values().map(|loaded| &loaded.document)
    }

    /// Verifies an uploaded document: keys, structure, version, signatures, expiry, names. `stored` is the current
    /// document of its role.
    pub(super) fn load_uploaded(
        &mut self,
        role: &RoleName,
        part: &Part,
        stored: Option<&Document>,
        now: DateTime<Utc>,
    ) -> Result<(), MetadataError> {
        let mut body = self.verify(role, &part.document, || part.targets(role))?;
        if body.counting_twice().next().is_some() {
            // A document that cannot be read declares no delegations.
            let stored = stored.and_then(|stored| {
                let document = Envelope::parse(&stored.bytes).ok()?;
                TargetsBody::read(role, &document).ok()
            });
            Arc::make_mut(&mut body).check_forms(role, stored.as_ref())?;
        }
        let version = part.document.version(role)?;
        part.document.check_expiry(role, now)?;
        body.check_names(role)?;
        if matches!(role, RoleName::Delegation(_)) {
            let signers = self.delegated_keys(role)?.signers(&part.document)?;
            self.signers.insert(role.clone(), signers);
        }
        self.insert(body, part.to_document(role, version));
        Ok(())
    }

    /// Verifies a stored document. That it has expired does not matter.
    pub(super) fn load_stored(&mut self, stored: &Document) -> Result<(), MetadataError> {
        let mut body = self.verified(stored)?;
        Arc::make_mut(&mut body).tolerate();
        self.insert(body, stored.clone());
        Ok(())
    }

    /// Whether a stored document verifies, without loading it.
    pub(super) fn verify_stored(&self, stored: &Document) -> Result<(), MetadataError> {
        self.verified(stored).map(drop)
    }

    fn verified(&self, stored: &Document) -> Result<Arc<TargetsBody>, MetadataError> {
        let (role, document) = (&stored.role, Envelope::parse(&stored.bytes)?);
        self.verify(role, &document, || {
            TargetsBody::read(role, &document).map(Arc::new)
        })
    }

    /// Whether the current document of a role is stored, and readers of this update find and verify it.
    pub(super) fn trusts_current(&self, role: &RoleName, current: &Current) -> bool {
        let mut line = Self::new(self.root);
        let mut above = role.ancestors();
        above.push(role.clone());
        above.into_iter().all(|role| match self.loaded.get(&role) {
            Some(loaded) => {
                line.insert(loaded.body.clone(), loaded.document.clone());
                true
            }
            None => {
                let stored = current.targets.get(&role);
                stored.is_some_and(|stored| line.load_stored(stored).is_ok())
            }
        })
    }

    /// `read` reads the contents, whose mistakes are told in their turn.
    fn verify(
        &self,
        role: &RoleName,
        document: &Envelope,
        read: impl FnOnce() -> Result<Arc<TargetsBody>, MetadataError>,
    ) -> Result<Arc<TargetsBody>, MetadataError> {
        if *role == RoleName::Targets {
            let keys = self.root.role(role)?;
            let body = read()?;
            keys.verify(role, document)?;
            body.check(role, document)?;
            return Ok(body);
        }
        let keys = self.delegated_keys(role)?;
        if let Some(weakness) = keys.keys.values().find_map(delegation_weakness) {
            return Err(MetadataError::WeakCertificate(weakness));
        }
        let body = read()?;
        body.check(role, document)?;
        keys.verify(role, document)?;
        Ok(body)
    }

    /// The keys that root declares for targets, or a parent for a delegation.
    pub(super) fn keys(&self, role: &RoleName) -> Result<&RoleKeys, MetadataError> {
        match role {
            RoleName::Targets => self.root.role(role),
            role => self.delegated_keys(role),
        }
    }

    /// The keys that the parent of a delegation declares for it.
    fn delegated_keys(&self, role: &RoleName) -> Result<&RoleKeys, MetadataError> {
        if !self.is_loaded(&RoleName::Targets) {
            return Err(MetadataError::NoTargets);
        }
        let parent = role.parent().and_then(|parent| self.loaded.get(&parent));
        let declared = parent.and_then(|parent| parent.body.delegation(role));
        declared.ok_or_else(|| MetadataError::NoDelegation(role.clone()))
    }

    fn insert(&mut self, body: Arc<TargetsBody>, document: Document) {
        self.loaded
            .insert(document.role.clone(), Loaded { body, document });
    }
}
