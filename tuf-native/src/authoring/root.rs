//! The content of a root.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use tuf::Version;

use crate::authoring::{bind, draft, extensions, key_ids, key_map, next};
use crate::draft::Draft;
use crate::fields::write_time;
use crate::metadata::Metadata;
use crate::name::RepositoryName;
use crate::online::SPEC_VERSION;
use crate::refusal::Refusal;
use crate::role::Role;
use crate::signers::Signers;
use crate::trusted::OnlineKeys;

/// The content of a root, to be edited and written.
#[derive(Debug, Clone)]
pub struct RootContent {
    /// Its version.
    pub version: Version,
    /// When it ends; fractions of seconds are dropped.
    pub expires: DateTime<Utc>,
    /// Who signs roots.
    pub root: Signers,
    /// Who signs targets.
    pub targets: Signers,
    /// Who signs snapshots: the server.
    pub snapshot: Signers,
    /// Who signs timestamps: the server.
    pub timestamp: Signers,
    /// Further signed members, whose names begin with `x-`.
    pub extensions: Map<String, Value>,
}

impl RootContent {
    /// The first root of a repository.
    pub fn first(
        repository: &RepositoryName,
        root: Signers,
        targets: Signers,
        online: &OnlineKeys,
        expires: DateTime<Utc>,
    ) -> Self {
        let mut extensions = Map::new();
        bind(&mut extensions, repository);
        Self {
            version: Version::FIRST,
            expires,
            root,
            targets,
            snapshot: Signers::new(vec![online.snapshot.clone()], 1),
            timestamp: Signers::new(vec![online.timestamp.clone()], 1),
            extensions,
        }
    }

    /// The root that follows another, with the same content but for version and date; `None` if it is no root.
    ///
    /// # Errors
    /// When there is no version above it.
    pub fn following(root: &Metadata, expires: DateTime<Utc>) -> Result<Option<Self>, Refusal> {
        let signers = |role| root.root_signers(&role).cloned();
        let (Some(of_root), Some(targets), Some(snapshot), Some(timestamp)) = (
            signers(Role::Root),
            signers(Role::Targets),
            signers(Role::Snapshot),
            signers(Role::Timestamp),
        ) else {
            return Ok(None);
        };
        Ok(Some(Self {
            version: next(&Role::Root, root.version())?,
            expires,
            root: of_root,
            targets,
            snapshot,
            timestamp,
            extensions: extensions(root.signed()),
        }))
    }

    /// Names the server's keys for snapshot and timestamp.
    pub fn use_online_keys(&mut self, online: &OnlineKeys) {
        self.snapshot = Signers::new(vec![online.snapshot.clone()], 1);
        self.timestamp = Signers::new(vec![online.timestamp.clone()], 1);
    }

    /// Writes it, without signatures.
    ///
    /// # Errors
    /// When the content is not what clients read alike: a threshold above the number of keys, for example.
    pub fn draft(&self) -> Result<Draft, Refusal> {
        let all = [&self.root, &self.targets, &self.snapshot, &self.timestamp];
        let role = |signers: &Signers| json!({"keyids": key_ids(signers), "threshold": signers.threshold()});
        let signed = json!({
            "_type": "root",
            "consistent_snapshot": true,
            "expires": write_time(self.expires),
            "keys": key_map(all.into_iter().flat_map(|signers| signers.keys())),
            "roles": {
                "root": role(&self.root),
                "snapshot": role(&self.snapshot),
                "targets": role(&self.targets),
                "timestamp": role(&self.timestamp),
            },
            "spec_version": SPEC_VERSION,
            "version": self.version.get(),
        });
        draft(&Role::Root, members(signed), &self.extensions)
    }
}

/// The members of an object.
pub(super) fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
