//! What was verified of a repository before.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tuf::{Gun, VerifiedDocument, VerifiedRoot};

use crate::anchor::Anchor;

/// How many roots are remembered by their hashes, to tell an old root from one of a repository that was made anew.
const ROOTS: usize = 256;

/// How many documents of a role are remembered, each the last of one set of signers.
const GENERATIONS: usize = 8;

/// How many digests are remembered that are no longer signed.
pub(crate) const FORMER: usize = 4_096;

/// What was verified of a repository, for the caller to keep until the next time. Without it neither an older version nor
/// a repository that was made anew could be told from the right one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    gun: String,
    /// The anchor that was met: another one has to be met anew.
    pub(crate) anchor: String,
    /// The newest root, in base64.
    root: String,
    /// The SHA-256 of roots by version.
    pub(crate) roots: BTreeMap<i32, String>,
    pub(crate) timestamp: Vec<SeenDocument>,
    pub(crate) snapshot: Vec<SeenDocument>,
    pub(crate) targets: Vec<SeenDocument>,
    pub(crate) delegations: BTreeMap<String, Vec<SeenDocument>>,
    pub(crate) history: Vec<SignedOnce>,
}

/// A document that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeenDocument {
    pub(crate) version: i32,
    pub(crate) sha256: String,
    /// The private keys that signed it, by the identity that all their forms have in common.
    pub(crate) signers: BTreeSet<String>,
}

/// A digest that a role named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignedOnce {
    pub(crate) role: String,
    pub(crate) tag: String,
    pub(crate) digest: String,
    pub(crate) last_seen: DateTime<Utc>,
    /// As in [`SeenDocument`].
    pub(crate) signers: BTreeSet<String>,
    /// Whether the role gave up the tag since, instead of giving it another digest.
    pub(crate) revoked: bool,
}

impl Seen {
    pub(crate) fn new(gun: &Gun, anchor: String, root: &VerifiedRoot) -> Self {
        Self {
            gun: gun.to_string(),
            anchor,
            root: BASE64.encode(root.bytes()),
            roots: BTreeMap::new(),
            timestamp: Vec::new(),
            snapshot: Vec::new(),
            targets: Vec::new(),
            delegations: BTreeMap::new(),
            history: Vec::new(),
        }
    }

    /// The repository.
    pub fn gun(&self) -> &str {
        &self.gun
    }

    /// The newest root that was accepted; `None` if what was kept is damaged.
    pub fn root(&self) -> Option<Bytes> {
        BASE64.decode(&self.root).ok().map(Bytes::from)
    }

    /// Whether this is the anchor that was met. If not, it has to be met anew, for which every root is needed, from the first
    /// that is known.
    pub fn was_verified_from(&self, anchor: &Anchor) -> bool {
        self.anchor == anchor.fingerprint()
    }

    pub(crate) fn set_root(&mut self, line: &[VerifiedRoot]) {
        for root in line {
            self.roots.insert(root.version().get(), root.sha256().as_hex());
            self.root = BASE64.encode(root.bytes());
        }
        while self.roots.len() > ROOTS {
            self.roots.pop_first();
        }
    }
}

impl SeenDocument {
    pub(crate) fn of(document: &VerifiedDocument) -> Self {
        Self {
            version: document.version.get(),
            sha256: document.sha256.as_hex(),
            signers: document
                .signers
                .iter()
                .filter_map(tuf::PublicKey::identity)
                .map(hex::encode)
                .collect(),
        }
    }
}

/// Remembers a document that was accepted. Of documents by the same signers only the last is needed.
pub(crate) fn remember(seen: &mut Vec<SeenDocument>, document: &VerifiedDocument) {
    let new = SeenDocument::of(document);
    seen.retain(|old| old.signers != new.signers);
    seen.push(new);
    if seen.len() > GENERATIONS {
        seen.remove(0);
    }
}
