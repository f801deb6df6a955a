//! One signed file.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;
use tuf::{Checksum, KeyId, Version};

use crate::body::Body;
use crate::envelope::Envelope;
use crate::interop::Tough;
use crate::key::PublicKey;
use crate::name::RepositoryName;
use crate::refusal::{Delegator, Refusal};
use crate::role::Role;
use crate::signers::Signers;

/// One signed file, byte for byte as received, which every client reads alike. Whether it is signed by those who may is
/// for [`check()`](crate::check()) to say.
///
/// A copy shares its contents.
#[derive(Clone)]
pub struct Metadata(Arc<Inner>);

struct Inner {
    role: Role,
    bytes: Bytes,
    sha256: Checksum,
    envelope: Envelope,
    body: Body,
    tough: Tough,
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Metadata({} {}, {})",
            self.role(),
            self.version(),
            self.sha256()
        )
    }
}

impl Metadata {
    /// Reads a file of a role.
    ///
    /// # Errors
    /// Refuses what any of the clients would refuse, or read otherwise than another: see `docs/tuf-profile.md`.
    pub fn parse(role: &Role, bytes: Bytes) -> Result<Self, Refusal> {
        let read = Self::parse_unsigned(role, bytes)?;
        if read.0.envelope.signatures.is_empty() {
            return Err(crate::fields::refuse(
                role,
                "signatures",
                "there is none: sign it",
            ));
        }
        Ok(read)
    }

    /// As [`Metadata::parse`], of a file that may have no signature yet.
    pub(crate) fn parse_unsigned(role: &Role, bytes: Bytes) -> Result<Self, Refusal> {
        let envelope = Envelope::read(role, &bytes)?;
        let body = Body::read(role, &envelope.signed)?;
        let tough = Tough::read(role, &bytes, &envelope.message)?;
        Ok(Self(Arc::new(Inner {
            role: role.clone(),
            sha256: Checksum::of(&bytes),
            bytes,
            envelope,
            body,
            tough,
        })))
    }

    /// The role that a file states in `_type`. [`Role::Targets`] also stands for every delegated role, whose files state
    /// the same; `None` for a type that is none of the four.
    ///
    /// # Errors
    /// Refuses what is not JSON with one meaning, of at most 5,000,000 bytes.
    pub fn stated_role(bytes: &[u8]) -> Result<Option<Role>, Refusal> {
        let envelope = Envelope::read(&Role::Targets, &Bytes::copy_from_slice(bytes))?;
        let stated = envelope.signed.get("_type").and_then(Value::as_str);
        Ok(stated
            .and_then(|text| Role::parse(text).ok())
            .filter(|role| !matches!(role, Role::Delegated(_))))
    }

    /// Its role.
    pub fn role(&self) -> &Role {
        &self.0.role
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.0.body.version
    }

    /// When it ends, in whole seconds.
    pub fn expires(&self) -> DateTime<Utc> {
        self.0.body.expires
    }

    /// The file, byte for byte as it was received.
    pub fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// The SHA-256 of the file.
    pub fn sha256(&self) -> Checksum {
        self.0.sha256
    }

    /// The length of the file in bytes.
    pub fn length(&self) -> usize {
        self.0.bytes.len()
    }

    /// The repository that the signed member [`REPOSITORY_MEMBER`](crate::REPOSITORY_MEMBER) names, if it is there.
    pub fn repository(&self) -> Option<&str> {
        self.0.body.repository.as_deref()
    }

    /// Refuses a file that names another repository. One that names none belongs to any.
    ///
    /// # Errors
    /// [`Refusal::OtherRepository`].
    pub fn check_repository(&self, asked: &RepositoryName) -> Result<(), Refusal> {
        match self.repository() {
            Some(stated) if stated != asked.as_str() => Err(Refusal::OtherRepository {
                role: self.role().clone(),
                stated: stated.to_owned(),
                asked: asked.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// The key IDs of the signatures in the file, whether they count or not.
    pub fn signature_ids(&self) -> Vec<KeyId> {
        self.0.envelope.signature_ids().cloned().collect()
    }

    /// The keys with a good signature on this file, of those that it names itself for a top-level role, as a root does for its
    /// own; none if it is no root.
    pub fn signed_by(&self, role: &Role) -> Vec<PublicKey> {
        let signers = self.root_signers(role);
        let signed = signers.map(|signers| signers.signed(self.envelope()));
        signed.into_iter().flatten().cloned().collect()
    }

    /// Whether enough of these keys signed this file.
    pub fn is_signed_by(&self, signers: &Signers) -> bool {
        signers.enough(self.envelope()).is_ok()
    }

    /// Which of these keys have a good signature on the file.
    pub fn good_signers<'a>(&self, signers: &'a Signers) -> Vec<&'a PublicKey> {
        signers.signed(self.envelope())
    }

    /// Who signs a top-level role, if this is a root.
    pub fn root_signers(&self, role: &Role) -> Option<&Signers> {
        self.0.body.root()?.signers(role)
    }

    /// The roles that this file delegates to and who signs them, in the order in which clients visit them; none unless it
    /// lists targets.
    pub fn delegations(&self) -> impl Iterator<Item = (&Role, &Signers)> {
        let delegations = self.0.body.targets().map(|body| body.delegations.as_slice());
        delegations
            .unwrap_or_default()
            .iter()
            .map(|delegation| (&delegation.role, &delegation.signers))
    }

    /// The names of the targets that this file lists, in order; none unless it lists targets.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        let targets = self.0.body.targets().into_iter().flat_map(|body| &body.targets);
        targets.map(String::as_str)
    }

    /// The signed value.
    pub fn signed(&self) -> &serde_json::Map<String, Value> {
        &self.0.envelope.signed
    }

    pub(crate) fn body(&self) -> &Body {
        &self.0.body
    }

    pub(crate) fn envelope(&self) -> &Envelope {
        &self.0.envelope
    }

    /// Whether enough of the keys that another file names for it signed it: first by our own verification, then by
    /// tough's.
    pub(crate) fn check_signed(&self, signers: &Signers, delegator: &Self) -> Result<(), Refusal> {
        signers
            .enough(self.envelope())
            .map_err(|have| Refusal::Threshold {
                role: self.role().clone(),
                by: delegator.as_delegator(),
                have,
                needed: signers.threshold(),
            })?;
        self.0.tough.verify(self.role(), &delegator.0.tough)
    }

    pub(crate) fn as_delegator(&self) -> Delegator {
        match self.role() {
            Role::Root => Delegator::Root(self.version()),
            role => Delegator::Role(role.clone()),
        }
    }
}
