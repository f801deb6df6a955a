//! What a repository's current documents sign, for a reader who already trusts the newest root.
//!
//! Unlike [`audit`](crate::audit()), which reports everything that is wrong, this stops at the first thing that a reader
//! would refuse.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::certificate::delegation_weakness;
use crate::document::Document;
use crate::gun::Gun;
use crate::metadata::{Envelope, FileMeta, MetadataError, SnapshotBody, TargetsBody, TimestampBody};
use crate::reading::{SignedTarget, signed_targets, usable_until};
use crate::role::RoleName;
use crate::trusted_root::TrustedRoot;

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
#[derive(Debug)]
pub struct VerifiedTargets {
    /// When the first of root, timestamp, snapshot and targets expires.
    pub usable_until: DateTime<Utc>,
    /// Targets and each delegation that readers accept.
    pub roles: Vec<VerifiedRole>,
}

/// A targets document that readers accept.
#[derive(Debug)]
pub struct VerifiedRole {
    /// Its role.
    pub role: RoleName,
    /// When it, or a document that delegates to it, expires.
    pub expires: DateTime<Utc>,
    /// The targets that it may name, and does.
    pub targets: Vec<SignedTarget>,
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

    let timestamp = Envelope::parse(&documents.timestamp)?;
    trusted
        .role(&RoleName::Timestamp)?
        .verify(&RoleName::Timestamp, &timestamp)?;
    let named = TimestampBody::read(&timestamp)?;

    let snapshot = named_document(&RoleName::Snapshot, &documents.snapshot, named.snapshot())?;
    trusted
        .role(&RoleName::Snapshot)?
        .verify(&RoleName::Snapshot, &snapshot)?;
    let listed = SnapshotBody::read(&snapshot)?;
    listed.check(&snapshot)?;
    named_document(&RoleName::Root, &documents.root, listed.meta(&RoleName::Root))?;

    let role = RoleName::Targets;
    let bytes = documents.targets.get(role.as_str());
    let bytes = bytes.ok_or(MetadataError::NoChecksum(RoleName::Targets))?;
    let document = named_document(&role, bytes, listed.meta(&role))?;
    trusted.role(&role)?.verify(&role, &document)?;
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
        roles: Vec::new(),
    };
    let body = read_targets(&role, &document)?;
    let mut parents = VecDeque::from([(role, bytes, body, scope)]);
    let mut known = BTreeSet::new();
    while let Some((role, bytes, body, scope)) = parents.pop_front() {
        let mut targets = signed_targets(&role, bytes)?;
        targets.retain(|target| scope.covers(&target.name));
        for name in body.delegations() {
            let Ok(child) = RoleName::parse(name) else {
                continue;
            };
            let (Some(bytes), Some(keys)) = (documents.targets.get(name), body.delegation(&child)) else {
                continue;
            };
            if !known.insert(name.to_owned())
                || keys.keys.values().any(|key| delegation_weakness(key).is_some())
            {
                continue;
            }
            let Ok(document) = named_document(&child, bytes, listed.meta(&child)) else {
                continue;
            };
            let read = keys
                .verify(&child, &document)
                .and_then(|()| read_targets(&child, &document));
            if let Ok(read) = read {
                let mut scope = scope.clone();
                scope.expires = scope.expires.min(document.expires());
                scope.paths.push(body.paths(&child).to_vec());
                parents.push_back((child, bytes, read, scope));
            }
        }
        found.roles.push(VerifiedRole {
            role,
            expires: scope.expires,
            targets,
        });
    }
    Ok(found)
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

fn read_targets(role: &RoleName, document: &Envelope) -> Result<TargetsBody, MetadataError> {
    let mut body = TargetsBody::read(role, document)?;
    body.check(role, document)?;
    body.tolerate();
    Ok(body)
}
