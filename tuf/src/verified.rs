//! What a repository's current documents sign, for a reader who already trusts the newest root.
//!
//! Unlike [`audit`](crate::audit()), which reports everything that is wrong, this stops at the first thing that a reader
//! would refuse.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::certificate::delegation_weakness;
use crate::checksum::Checksum;
use crate::document::Document;
use crate::gun::Gun;
use crate::key::PublicKey;
use crate::metadata::{
    Envelope, FileMeta, MetadataError, RoleKeys, SnapshotBody, TargetsBody, TimestampBody,
};
use crate::reading::{SignedTarget, signed_targets, usable_until};
use crate::role::RoleName;
use crate::trusted_root::TrustedRoot;
use crate::verified_root::VerifiedRoot;
use crate::version::Version;

/// The current documents of a repository, as they were at one moment.
#[derive(Debug)]
pub struct CurrentDocuments {
    /// The newest root.
    pub root: Bytes,
    /// The timestamp.
    pub timestamp: Bytes,
    /// The snapshot.
    pub snapshot: Bytes,
    /// Targets and delegations.
    pub targets: BTreeMap<String, Bytes>,
}

/// What the documents sign, after all of them were verified.
#[derive(Debug, Clone)]
pub struct VerifiedTargets {
    /// When the first of root, timestamp, snapshot and targets expires.
    pub usable_until: DateTime<Utc>,
    /// The timestamp.
    pub timestamp: VerifiedDocument,
    /// The snapshot.
    pub snapshot: VerifiedDocument,
    /// Targets and each delegation that readers accept, parents first.
    pub roles: Vec<VerifiedRole>,
    /// The delegations that an accepted role declares and that readers do not accept.
    pub left_out: Vec<LeftOut>,
}

/// A document that is signed by enough of the keys declared for it.
#[derive(Debug, Clone)]
pub struct VerifiedDocument {
    /// Its version.
    pub version: Version,
    /// When it expires, whatever leads to it.
    pub expires: DateTime<Utc>,
    /// The SHA-256 of its bytes.
    pub sha256: Checksum,
    /// The keys that are declared for it, by key ID.
    pub declared: Vec<PublicKey>,
    /// How many of them have to sign.
    pub threshold: i64,
    /// Those with a good signature on it. Only [`VerifiedRoot::verify`] looks at all signatures; elsewhere this is empty.
    pub signers: Vec<PublicKey>,
}

/// A targets document that readers accept.
#[derive(Debug, Clone)]
pub struct VerifiedRole {
    /// Its role.
    pub role: RoleName,
    /// The document.
    pub document: VerifiedDocument,
    /// When it, or a document that delegates to it, expires.
    pub expires: DateTime<Utc>,
    /// What the names of its targets may begin with, as the role that delegates to it declares; empty for targets itself.
    pub paths: Vec<String>,
    /// The targets that it may name, and does.
    pub targets: Vec<SignedTarget>,
}

/// A delegation that readers do not accept, with all below it.
#[derive(Debug, Clone)]
pub struct LeftOut {
    /// Its role.
    pub role: RoleName,
    /// The keys that are declared for it, by key ID.
    pub declared: Vec<PublicKey>,
    /// How many of them have to sign.
    pub threshold: i64,
    /// Why.
    pub cause: LeftOutCause,
}

/// Why a delegation is left out.
#[derive(Debug, Clone, PartialEq)]
pub enum LeftOutCause {
    /// It was never published: the snapshot does not name it.
    Unpublished,
    /// The snapshot names it, but it is not among the documents.
    Missing,
    /// It is not a document that its keys signed.
    Refused(MetadataError),
}

/// How private keys are counted, and how many signatures are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// As much as is needed, and thresholds as stored documents were accepted with.
    Stored,
    /// All signatures, each private key once.
    Strict,
}

impl Reading {
    fn verify(
        self,
        keys: &RoleKeys,
        role: &RoleName,
        document: &Envelope,
    ) -> Result<Vec<PublicKey>, MetadataError> {
        match self {
            Self::Stored => keys.verify(role, document).map(|()| Vec::new()),
            Self::Strict => keys.verify_all(role, document),
        }
    }

    fn read_targets(self, role: &RoleName, document: &Envelope) -> Result<TargetsBody, MetadataError> {
        let mut body = TargetsBody::read(role, document)?;
        body.check(role, document)?;
        if self == Self::Stored {
            body.tolerate();
        }
        Ok(body)
    }

    fn document(
        self,
        role: &RoleName,
        keys: &RoleKeys,
        bytes: &Bytes,
        envelope: &Envelope,
    ) -> Result<VerifiedDocument, MetadataError> {
        let signers = self.verify(keys, role, envelope)?;
        Ok(VerifiedDocument {
            version: envelope.version(role)?,
            expires: envelope.expires(),
            sha256: Checksum::of(bytes),
            declared: keys.usable(),
            threshold: keys.threshold,
            signers,
        })
    }
}

/// What may be asked of a role: targets may name everything, a delegation what begins with one of its paths.
#[derive(Clone)]
struct Scope {
    expires: DateTime<Utc>,
    paths: Vec<Vec<String>>,
}

impl Scope {
    fn covers(&self, name: &str) -> bool {
        self.paths
            .iter()
            .all(|allowed| allowed.iter().any(|path| name.starts_with(path.as_str())))
    }
}

/// Verifies the signatures, thresholds and hashes of all documents, from the root on. Dates are returned, not judged.
///
/// A delegation that is missing, or not signed by the keys that its parent declares, is left out, as readers do.
///
/// # Errors
/// When root, timestamp, snapshot or targets would be refused.
pub fn verified_targets(gun: &Gun, documents: &CurrentDocuments) -> Result<VerifiedTargets, MetadataError> {
    let root = Envelope::parse(&documents.root)?;
    let trusted = TrustedRoot::of_stored(gun, &root)?;
    trusted.signed(&root)?;
    let (root_end, _) = usable_until(gun, &RoleName::Root, &documents.root)?;
    walk(&trusted, root_end, documents, Reading::Stored)
}

impl VerifiedRoot {
    /// Verifies the signatures, thresholds and hashes of all documents under this root, which must be the one among
    /// them. Every private key counts once. Dates are returned, not judged.
    ///
    /// A delegation that is missing, or not signed by the keys that its parent declares, is left out, as readers do.
    ///
    /// # Errors
    /// When timestamp, snapshot or targets would be refused, or name another root.
    pub fn verify(&self, documents: &CurrentDocuments) -> Result<VerifiedTargets, MetadataError> {
        if documents.root != *self.bytes() {
            let problem = "the documents are those of another root";
            return Err(MetadataError::structure(&RoleName::Root, problem));
        }
        walk(self.trusted(), self.usable_until(), documents, Reading::Strict)
    }
}

fn walk(
    trusted: &TrustedRoot,
    root_end: DateTime<Utc>,
    documents: &CurrentDocuments,
    reading: Reading,
) -> Result<VerifiedTargets, MetadataError> {
    let role = RoleName::Timestamp;
    let timestamp = Envelope::parse(&documents.timestamp)?;
    let verified_timestamp =
        reading.document(&role, trusted.role(&role)?, &documents.timestamp, &timestamp)?;
    let named = TimestampBody::read(&timestamp)?;

    let role = RoleName::Snapshot;
    let snapshot = named_document(&role, &documents.snapshot, named.snapshot())?;
    let verified_snapshot = reading.document(&role, trusted.role(&role)?, &documents.snapshot, &snapshot)?;
    let listed = SnapshotBody::read(&snapshot)?;
    listed.check(&snapshot)?;
    named_document(&RoleName::Root, &documents.root, listed.meta(&RoleName::Root))?;

    let role = RoleName::Targets;
    let bytes = documents.targets.get(role.as_str());
    let bytes = bytes.ok_or(MetadataError::NoChecksum(RoleName::Targets))?;
    let document = named_document(&role, bytes, listed.meta(&role))?;
    let verified = reading.document(&role, trusted.role(&role)?, bytes, &document)?;
    let ends = [
        root_end,
        timestamp.expires(),
        snapshot.expires(),
        document.expires(),
    ];
    let usable_until = ends.into_iter().min().unwrap_or(root_end);
    let scope = Scope {
        expires: usable_until,
        paths: Vec::new(),
    };
    let mut found = VerifiedTargets {
        usable_until,
        timestamp: verified_timestamp,
        snapshot: verified_snapshot,
        roles: Vec::new(),
        left_out: Vec::new(),
    };
    let body = reading.read_targets(&role, &document)?;
    let mut parents = VecDeque::from([(role, bytes, body, scope, verified)]);
    let mut known = BTreeSet::new();
    while let Some((role, bytes, body, scope, document)) = parents.pop_front() {
        let mut targets = signed_targets(&role, bytes)?;
        targets.retain(|target| scope.covers(&target.name));
        for name in body.delegations() {
            let Ok(child) = RoleName::parse(name) else {
                continue;
            };
            let Some(keys) = body.delegation(&child) else {
                continue;
            };
            if !known.insert(name.to_owned()) {
                continue;
            }
            let read = match documents.targets.get(name) {
                _ if listed.meta(&child).is_none() => Err(LeftOutCause::Unpublished),
                None => Err(LeftOutCause::Missing),
                Some(bytes) => read_delegation(&child, keys, bytes, listed.meta(&child), reading)
                    .map(|read| (bytes, read))
                    .map_err(LeftOutCause::Refused),
            };
            match read {
                Ok((bytes, (body_of_child, verified))) => {
                    let mut scope = scope.clone();
                    scope.expires = scope.expires.min(verified.expires);
                    scope.paths.push(body.paths(&child).to_vec());
                    parents.push_back((child, bytes, body_of_child, scope, verified));
                }
                Err(cause) => found.left_out.push(LeftOut {
                    role: child,
                    declared: keys.usable(),
                    threshold: keys.threshold,
                    cause,
                }),
            }
        }
        found.roles.push(VerifiedRole {
            role,
            document,
            expires: scope.expires,
            paths: scope.paths.last().cloned().unwrap_or_default(),
            targets,
        });
    }
    Ok(found)
}

fn read_delegation(
    role: &RoleName,
    keys: &RoleKeys,
    bytes: &Bytes,
    meta: Option<&FileMeta>,
    reading: Reading,
) -> Result<(TargetsBody, VerifiedDocument), MetadataError> {
    if let Some(weakness) = keys.keys.values().find_map(delegation_weakness) {
        return Err(MetadataError::WeakCertificate(weakness));
    }
    let document = named_document(role, bytes, meta)?;
    let verified = reading.document(role, keys, bytes, &document)?;
    Ok((reading.read_targets(role, &document)?, verified))
}

/// Reads a document that has all of the hashes by which it is named.
fn named_document(
    role: &RoleName,
    bytes: &Bytes,
    meta: Option<&FileMeta>,
) -> Result<Envelope, MetadataError> {
    let envelope = Envelope::parse(bytes)?;
    let document = Document::new(role.clone(), envelope.version(role)?, bytes.clone());
    FileMeta::verify(meta, &document)?;
    Ok(envelope)
}
