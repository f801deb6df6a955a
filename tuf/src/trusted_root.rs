//! A root that has been validated, from which all other trust of a repository follows.

use crate::certificate::{self, Dates};
use crate::gun::Gun;
use crate::metadata::{Envelope, KeyMap, MetadataError, RoleKeys, RootBody};
use crate::role::RoleName;

/// A root document whose structure, certificates and signatures have been checked.
#[derive(Debug, Clone)]
pub(crate) struct TrustedRoot {
    body: RootBody,
    /// The root role with only the certificates that are usable for the repository.
    signers: RoleKeys,
}

impl TrustedRoot {
    /// Validates a root: structure, certificates, signatures by the previous root's certificates, signatures by its
    /// own. Version and expiry are the caller's to check.
    ///
    /// Without a previous root it is trusted on first use.
    pub(crate) fn load(
        gun: &Gun,
        document: &Envelope,
        previous: Option<&Self>,
        dates: Dates,
    ) -> Result<Self, MetadataError> {
        let body = RootBody::read(document)?;
        let listed = body.role(&RoleName::Root)?;
        let usable = |(id, key)| certificate::root_key(gun, key, dates).map(|key| (String::clone(id), key));
        let keys: KeyMap = listed.keys.iter().filter_map(usable).collect();
        if keys.is_empty() {
            return Err(MetadataError::NoCertificate);
        }
        let signers = RoleKeys {
            key_ids: listed.key_ids.clone(),
            threshold: listed.threshold,
            keys,
        };

        if let Some(previous) = previous {
            let verified = previous.signers.verify(&RoleName::Root, document);
            verified.map_err(|e| texted(e, MetadataError::PreviousRoot))?;
        }
        let verified = signers.verify(&RoleName::Root, document);
        verified.map_err(|e| texted(e, MetadataError::RootIntegrity))?;
        Ok(Self { body, signers })
    }

    /// The keys of a base role.
    pub(crate) fn role(&self, name: &RoleName) -> Result<&RoleKeys, MetadataError> {
        self.body.role(name)
    }
}

/// All that can be wrong with a root's signatures is told in one text, except that there is nothing to sign.
fn texted(error: MetadataError, text: MetadataError) -> MetadataError {
    match error {
        canonical @ MetadataError::Canonical(_) => canonical,
        _ => text,
    }
}
