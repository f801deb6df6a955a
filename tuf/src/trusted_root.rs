//! A root that has been validated. All other documents of a repository are verified starting from it.

use chrono::{DateTime, Utc};

use crate::certificate::{self, Dates};
use crate::gun::Gun;
use crate::metadata::{Counting, Envelope, KeyMap, MetadataError, RoleKeys, RootBody};
use crate::role::RoleName;

/// A root document whose structure, certificates and signatures have been checked.
#[derive(Debug, Clone)]
pub(crate) struct TrustedRoot {
    body: RootBody,
    /// The root role with only the certificates that are usable for the repository.
    signers: RoleKeys,
}

impl TrustedRoot {
    /// Loads a stored root. It was validated before it was stored, so its signatures are not verified again. Neither
    /// its own expiry nor that of its certificates matters, because they must not block its replacement.
    pub(crate) fn of_stored(gun: &Gun, document: &Envelope) -> Result<Self, MetadataError> {
        let mut root = Self::read(gun, document, Dates::Ignored)?;
        root.body.tolerate();
        root.signers.tolerate();
        Ok(root)
    }

    /// Loads a root for a reader, who counts every private key once whatever was stored before. Dates are not judged and
    /// signatures not verified.
    pub(crate) fn of_reader(gun: &Gun, document: &Envelope) -> Result<Self, MetadataError> {
        Self::read(gun, document, Dates::Ignored)
    }

    /// Validates a root to be published: structure, certificates, signatures by the previous root's certificates, and
    /// signatures by its own. The caller checks version and expiry.
    ///
    /// Without a previous root it is trusted on first use.
    pub(crate) fn validate(
        gun: &Gun,
        document: &Envelope,
        previous: Option<&Self>,
        now: DateTime<Utc>,
    ) -> Result<Self, MetadataError> {
        let mut root = Self::read(gun, document, Dates::CheckedAt(now))?;
        root.body.check_forms(previous.map(|previous| &previous.body))?;
        let before = previous.map(|previous| &previous.signers);
        root.signers
            .check_forms(&RoleName::Root, RoleName::Root.as_str(), before)?;
        if let Some(previous) = previous {
            let verified = previous.signers.verify(&RoleName::Root, document);
            verified.map_err(|_| MetadataError::PreviousRoot)?;
        }
        let verified = root.signers.verify(&RoleName::Root, document);
        verified.map_err(|_| MetadataError::RootIntegrity)?;
        Ok(root)
    }

    /// Whether enough of this root's keys signed a document: this root itself, or the one that follows it.
    pub(crate) fn signed(&self, document: &Envelope) -> Result<(), MetadataError> {
        self.signers.verify(&RoleName::Root, document)
    }

    /// The root role, with only the certificates that are usable for the repository.
    pub(crate) fn signers(&self) -> &RoleKeys {
        &self.signers
    }

    /// Whether a certificate of the root role is usable for the repository at this moment.
    pub(crate) fn has_certificate(gun: &Gun, document: &Envelope, moment: DateTime<Utc>) -> bool {
        Self::read(gun, document, Dates::CheckedAt(moment)).is_ok()
    }

    /// The last moment at which as many certificates of the root role are valid as have to sign; `None` if there never
    /// are.
    pub(crate) fn certificates_end(
        gun: &Gun,
        document: &Envelope,
    ) -> Result<Option<DateTime<Utc>>, MetadataError> {
        let body = RootBody::read(document)?;
        let listed = body.role(&RoleName::Root)?;
        let mut ends: Vec<DateTime<Utc>> = listed
            .keys
            .values()
            .filter_map(|key| certificate::root_key_end(gun, key))
            .collect();
        ends.sort_unstable_by(|one, other| other.cmp(one));
        let needed = usize::try_from(listed.threshold).unwrap_or(usize::MAX).max(1);
        Ok(ends.get(needed - 1).copied())
    }

    fn read(gun: &Gun, document: &Envelope, dates: Dates) -> Result<Self, MetadataError> {
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
            counting: Counting::Keys,
        };
        Ok(Self { body, signers })
    }

    /// The roles whose thresholds can be met only by counting a private key more than once.
    pub(crate) fn counting_twice(&self) -> impl Iterator<Item = &RoleName> {
        self.body.counting_twice()
    }

    /// The keys of a base role.
    pub(crate) fn role(&self, name: &RoleName) -> Result<&RoleKeys, MetadataError> {
        self.body.role(name)
    }
}
