//! A repository's documents in one piece, for a client that verifies all of them: gates, and jobs that build.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use diesel::prelude::*;
use platform::database::{DbConnection, exact};
use serde::{Deserialize, Serialize};
use tuf::{CurrentDocuments, Document, Gun, RoleName};

use super::{
    StoreError,
    current_set::ROLE_LIMIT,
    read::{self, Selector, Stored},
    schema::tuf_files,
};

/// The most bytes of documents in a bundle. It is built in memory, a third larger than its documents.
pub const BUNDLE_LIMIT: usize = 8 * 1024 * 1024;

/// The bundle, with every document in base64: readers compare the hashes of exactly these bytes.
#[derive(Serialize)]
struct Bundle<'a> {
    gun: &'a str,
    /// Every version, the first one first.
    roots: Vec<String>,
    timestamp: String,
    snapshot: String,
    /// Targets, and the delegations that can be reached from it and that the snapshot names.
    targets: serde_json::Map<String, serde_json::Value>,
}

/// The same, as it is read again.
#[derive(Deserialize)]
struct Written {
    roots: Vec<String>,
    timestamp: String,
    snapshot: String,
    targets: BTreeMap<String, String>,
}

/// The current documents in a bundle of this server's own.
///
/// # Errors
/// When it is none, in words.
pub fn documents_of(bundle: &[u8]) -> Result<CurrentDocuments, String> {
    let bundle: Written = serde_json::from_slice(bundle).map_err(|cause| cause.to_string())?;
    let bytes = |text: &String| {
        STANDARD
            .decode(text)
            .map(Bytes::from)
            .map_err(|cause| cause.to_string())
    };
    let root = bundle.roots.last().ok_or("there is no root")?;
    let mut targets = BTreeMap::new();
    for (role, document) in &bundle.targets {
        targets.insert(role.clone(), bytes(document)?);
    }
    Ok(CurrentDocuments {
        root: bytes(root)?,
        timestamp: bytes(&bundle.timestamp)?,
        snapshot: bytes(&bundle.snapshot)?,
        targets,
    })
}

/// Counts what is put into a bundle.
#[derive(Default)]
struct Contents {
    bytes: usize,
}

impl Contents {
    fn put(&mut self, document: &Document) -> Result<String, StoreError> {
        self.bytes += document.bytes.len();
        if self.bytes > BUNDLE_LIMIT {
            return Err(StoreError::LargeBundle);
        }
        Ok(STANDARD.encode(&document.bytes))
    }
}

/// The bundle of a repository with these newest documents, as a document that changes whenever one of its own does.
///
/// # Errors
/// When the database fails, or the documents are too large for a bundle.
pub(super) fn read(
    connection: &mut DbConnection,
    gun: &Gun,
    timestamp: &Stored,
    snapshot: &Stored,
) -> Result<Stored, StoreError> {
    let mut contents = Contents::default();
    let mut roots = Vec::new();
    for version in root_versions(connection, gun)? {
        if let Some(root) = read::find(connection, gun, &RoleName::Root, &Selector::Row(version))? {
            roots.push(contents.put(&root.document)?);
        }
    }
    let bundle = Bundle {
        gun: gun.as_str(),
        roots,
        timestamp: contents.put(&timestamp.document)?,
        snapshot: contents.put(&snapshot.document)?,
        targets: targets(connection, gun, snapshot, &mut contents)?,
    };
    let bytes = serde_json::to_vec(&bundle).map_err(|cause| StoreError::Damaged {
        gun: gun.to_string(),
        role: RoleName::Timestamp.to_string(),
        version: timestamp.document.version.get(),
        reason: cause.to_string(),
    })?;
    Ok(Stored {
        document: Document::new(RoleName::Timestamp, timestamp.document.version, bytes),
        stored_at: timestamp.stored_at,
    })
}

fn root_versions(connection: &mut DbConnection, gun: &Gun) -> QueryResult<Vec<i32>> {
    tuf_files::table
        .filter(exact(tuf_files::gun, gun.as_str()))
        .filter(exact(tuf_files::role, RoleName::Root.as_str()))
        .filter(tuf_files::deleted_at.is_null())
        .order(tuf_files::version.asc())
        .select(tuf_files::version)
        .load(connection)
}

fn targets(
    connection: &mut DbConnection,
    gun: &Gun,
    snapshot: &Stored,
    contents: &mut Contents,
) -> Result<serde_json::Map<String, serde_json::Value>, StoreError> {
    let mut found = serde_json::Map::new();
    let mut seen = vec![RoleName::Targets];
    let mut next = 0;
    while let Some(role) = seen.get(next).cloned() {
        next += 1;
        let Some(stored) = read::current(connection, gun, &role, Some(snapshot))? else {
            continue;
        };
        let delegated = tuf::delegated_roles(&role, &stored.document.bytes).unwrap_or_default();
        for role in delegated {
            if !seen.contains(&role) && seen.len() < ROLE_LIMIT {
                seen.push(role);
            }
        }
        found.insert(role.to_string(), contents.put(&stored.document)?.into());
    }
    Ok(found)
}
