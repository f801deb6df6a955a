//! The stages of an update, each made only from the one before.

use std::collections::BTreeMap;

use crate::document::Document;
use crate::key::PublicKey;
use crate::metadata::{Envelope, RoleKeys};
use crate::role::RoleName;
use crate::signature::Signature;
use crate::signing::{SealError, SigningRequest};
use crate::version::Version;

use super::TimestampDraft;

/// A valid update whose snapshot, unless uploaded, still has to be signed.
#[derive(Debug, Clone)]
pub struct CheckedUpdate {
    /// Uploaded root, targets and delegations, in storing order.
    pub(super) documents: Vec<Document>,
    pub(super) snapshot: SnapshotSource,
    pub(super) timestamp: TimestampDraft,
    pub(super) signers: BTreeMap<RoleName, Vec<PublicKey>>,
    /// The keys by which uploaded targets and delegations were verified.
    pub(super) keys: BTreeMap<RoleName, RoleKeys>,
}

/// Where the snapshot of an update comes from.
#[derive(Debug, Clone)]
pub(super) enum SnapshotSource {
    Uploaded(Document),
    Made {
        request: SigningRequest,
        /// The stored snapshot, if the update can keep it.
        instead_of: Option<Document>,
    },
}

/// An update with its snapshot, whose timestamp still has to be signed.
#[derive(Debug, Clone)]
pub struct SnapshottedUpdate {
    documents: Vec<Document>,
    timestamp: SigningRequest,
}

/// A complete update, to be stored all or nothing.
#[derive(Debug, Clone)]
pub struct SignedUpdate {
    documents: Vec<Document>,
}

impl CheckedUpdate {
    /// A new snapshot and timestamp without anything uploaded.
    pub(crate) fn refresh(
        request: SigningRequest,
        instead_of: Option<Document>,
        timestamp: TimestampDraft,
    ) -> Self {
        let snapshot = SnapshotSource::Made { request, instead_of };
        Self {
            documents: Vec::new(),
            snapshot,
            timestamp,
            signers: BTreeMap::new(),
            keys: BTreeMap::new(),
        }
    }

    /// The uploaded documents, a snapshot among them.
    pub fn uploaded(&self) -> impl Iterator<Item = &Document> {
        let snapshot = match &self.snapshot {
            SnapshotSource::Uploaded(snapshot) => Some(snapshot),
            SnapshotSource::Made { .. } => None,
        };
        self.documents.iter().chain(snapshot)
    }

    /// The keys with a good signature on an uploaded delegation; none for anything else.
    pub fn signers(&self, role: &RoleName) -> &[PublicKey] {
        self.signers.get(role).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether the keys that verified an uploaded targets or delegation also verify another document of its role.
    /// Readers no longer accept a document that they do not verify.
    pub fn trusts(&self, role: &RoleName, bytes: &[u8]) -> bool {
        let verifies = |keys: &RoleKeys| {
            let document = Envelope::parse_slice(bytes);
            document.is_ok_and(|document| keys.verify(role, &document).is_ok())
        };
        self.keys.get(role).is_some_and(verifies)
    }

    /// Whether another document has the same contents as the uploaded one of its role, whatever its signatures.
    pub fn repeats(&self, role: &RoleName, bytes: &[u8]) -> bool {
        let message = |bytes: &[u8]| {
            let document = Envelope::parse_slice(bytes).ok()?;
            Some(document.message().clone())
        };
        let uploaded = self.documents.iter().find(|document| document.role == *role);
        uploaded.is_some_and(|uploaded| {
            let said = message(&uploaded.bytes);
            said.is_some() && message(bytes) == said
        })
    }

    /// The snapshot to be signed; `None` if the publisher uploaded one.
    pub fn snapshot_request(&self) -> Option<&SigningRequest> {
        match &self.snapshot {
            SnapshotSource::Uploaded(_) => None,
            SnapshotSource::Made { request, .. } => Some(request),
        }
    }

    /// The version of the timestamp that will name the snapshot, and the keys that may sign it.
    pub fn coming_timestamp(&self) -> (Version, Vec<PublicKey>) {
        self.timestamp.version_and_keys()
    }

    /// Completes the snapshot with its signatures. Pass none if there was nothing to sign.
    ///
    /// # Errors
    ///
    /// Fails when fewer keys signed than the threshold, or a signature is wrong or by another key.
    pub fn seal_snapshot(self, signatures: Vec<Signature>) -> Result<SnapshottedUpdate, SealError> {
        let snapshot = match self.snapshot {
            SnapshotSource::Uploaded(snapshot) => snapshot,
            SnapshotSource::Made { request, .. } => request.seal(&signatures)?,
        };
        let mut documents = self.documents;
        let timestamp = self.timestamp.request(&snapshot);
        documents.push(snapshot);
        Ok(SnapshottedUpdate { documents, timestamp })
    }

    /// Goes on with the stored snapshot instead of a new one. `None` when that is not possible: in a publish, or
    /// when the stored snapshot has expired.
    ///
    /// For a snapshot that is about to expire but can only be renewed by the publisher, who holds its key.
    pub fn keep_snapshot(self) -> Option<SnapshottedUpdate> {
        match self.snapshot {
            SnapshotSource::Made {
                instead_of: Some(stored),
                ..
            } => Some(SnapshottedUpdate::of_stored(&stored, self.timestamp)),
            _ => None,
        }
    }
}

impl SnapshottedUpdate {
    /// A new timestamp for a snapshot that is already stored.
    pub(crate) fn of_stored(snapshot: &Document, timestamp: TimestampDraft) -> Self {
        Self {
            documents: Vec::new(),
            timestamp: timestamp.request(snapshot),
        }
    }

    /// The timestamp to be signed.
    pub fn timestamp_request(&self) -> &SigningRequest {
        &self.timestamp
    }

    /// Completes the timestamp with its signatures.
    ///
    /// # Errors
    ///
    /// Fails when fewer keys signed than the threshold, or a signature is wrong or by another key.
    pub fn seal_timestamp(self, signatures: Vec<Signature>) -> Result<SignedUpdate, SealError> {
        let mut documents = self.documents;
        documents.push(self.timestamp.seal(&signatures)?);
        Ok(SignedUpdate { documents })
    }
}

impl SignedUpdate {
    /// What to store, in this order: root, targets and delegations by depth and bytes, snapshot, timestamp. Only
    /// what is new: the timestamp is always there and always last.
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// The documents, in the same order.
    pub fn into_documents(self) -> Vec<Document> {
        self.documents
    }
}
