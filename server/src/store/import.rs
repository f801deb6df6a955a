//! Imports a repository with its history, atomically.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use diesel::prelude::*;
use platform::database::{DbConnection, exact, first_only, is_conflict};
use tuf::{Document, Finding, Gun, KeyId, MetadataError, RoleName, Severity, Version};

use super::{Actor, Store, StoreError, Stored, commit, inventory, pending_keys, schema::tuf_files};
use crate::audit::{
    chain::Chain,
    record::{Change, StoredDocument},
};

/// The outcome of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// How many documents are new.
    pub added: usize,
    /// How many documents were stored before.
    pub known: usize,
}

/// Why nothing of a repository was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Another document of the same role and version is stored.
    #[error(
        "another {role} version {version} is stored here; it is another repository, or both were published to"
    )]
    Different {
        /// The role.
        role: RoleName,
        /// The version.
        version: Version,
    },
    /// The imported history does not contain the state that is stored here.
    #[error(
        "what is stored here is not an earlier state of the import (which does not contain timestamp version {0}): both \
         were published to, or the import is older"
    )]
    Diverged(Version),
    /// A document, current or not, that two programs may read differently.
    #[error("{role} version {version} can be read in more than one way: {reason}")]
    Ambiguous {
        /// The role.
        role: RoleName,
        /// The version.
        version: Version,
        /// Where it is ambiguous.
        reason: MetadataError,
    },
    /// Documents are stored without a timestamp, and the import does not contain all of them.
    #[error("what is stored here is damaged and not part of the import; delete the repository here first")]
    Remains,
    /// The history or the current state cannot be trusted.
    #[error("it is broken: {}", .0.iter().map(describe).collect::<Vec<_>>().join("; "))]
    Broken(Vec<Finding>),
    /// The newest root names a key that the signer made for another repository or role.
    #[error(
        "its root names the {role} key {id}, which the signer made for another repository or another role"
    )]
    KeyOfAnother {
        /// The role that it is named for.
        role: RoleName,
        /// The key.
        id: KeyId,
    },
    /// It cannot be determined for which repository the keys were made.
    #[error("the signer did not answer for which repository it made the keys that the root names: {0}")]
    Signer(String),
    /// The import cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn describe(finding: &Finding) -> String {
    match finding.version {
        Some(version) => format!("{} version {version}: {}", finding.role, finding.sentence),
        None => format!("{}: {}", finding.role, finding.sentence),
    }
}

impl From<diesel::result::Error> for ImportError {
    fn from(cause: diesel::result::Error) -> Self {
        // Another program is storing the same at this moment, or a row that is marked as deleted has the same version.
        if is_conflict(&cause) {
            return Self::Unreadable("the repository was changed meanwhile; import it again".into());
        }
        Self::Store(cause.into())
    }
}

#[derive(Insertable)]
#[diesel(table_name = tuf_files)]
struct NewRow<'a> {
    created_at: Option<NaiveDateTime>,
    updated_at: Option<NaiveDateTime>,
    gun: &'a str,
    role: &'a str,
    version: i32,
    data: &'a [u8],
    sha256: String,
}

impl Store {
    /// Stores those documents of a repository that are not stored yet, with the times at which they were stored
    /// originally.
    ///
    /// What is stored already must be an earlier state of the same history. All documents together must pass the
    /// audit: every root after the first is signed by the one before, and everything current is signed and named
    /// correctly.
    ///
    /// `judge` has the final decision about the newest root.
    ///
    /// # Errors
    /// When they do not, when an item of `documents` is an error, or when the database fails. Then nothing is stored.
    pub fn import(
        &self,
        gun: &Gun,
        documents: impl IntoIterator<Item = Result<Stored, ImportError>>,
        judge: impl Fn(&Document) -> Result<(), ImportError>,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Imported, ImportError> {
        let mut connection = self.database.writer().map_err(StoreError::from)?;
        connection.write_transaction_for(commit::GUN_LOCK, gun.as_str(), |connection| {
            // Locks the GUN, so that no publish happens meanwhile.
            commit::highest_version(connection, gun, &RoleName::Timestamp)?;
            let stored: i64 = inventory::rows_of(gun).count().get_result(connection)?;
            let before = inventory::newest_timestamp(connection, gun)?;
            let mut imported = Imported { added: 0, known: 0 };
            let mut added = Vec::new();
            let mut follows = false;
            for item in documents {
                let item = item?;
                if insert(connection, gun, &item)? {
                    imported.added += 1;
                    let is_root = item.document.role == RoleName::Root;
                    if is_root && !pending_keys::named_by(connection, &item.document)?.take(connection)? {
                        tracing::warn!(
                            repo.gun = %gun,
                            "a root that is imported names a key of the server's that is being deleted"
                        );
                    }
                    added.push(StoredDocument {
                        role: item.document.role.to_string(),
                        version: item.document.version.get(),
                        sha256: item.document.sha256.as_hex(),
                    });
                } else {
                    imported.known += 1;
                    follows |= before.as_ref() == Some(&item.document);
                }
            }
            if imported.added == 0 {
                return Ok(imported);
            }
            match &before {
                Some(before) if !follows => return Err(ImportError::Diverged(before.version)),
                None if i64::try_from(imported.known).is_ok_and(|known| known < stored) => {
                    return Err(ImportError::Remains);
                }
                _ => {}
            }
            let audited = inventory::audit(connection, gun, now, TimeDelta::zero())?;
            let mut findings = audited.findings;
            findings.retain(|finding| finding.severity == Severity::Broken);
            if !findings.is_empty() {
                return Err(ImportError::Broken(findings));
            }
            if let Some(root) = &audited.root {
                judge(root)?;
            }
            let newest = inventory::newest_timestamp(connection, gun)?;
            let change_id = match newest.filter(|newest| before.as_ref() != Some(newest)) {
                Some(newest) => Some(commit::record_timestamp(connection, gun, &newest, actor, now)?),
                None => None,
            };
            let change = Change {
                action: "import".to_owned(),
                gun: Some(gun.to_string()),
                detail: Some(format!("{} new documents", imported.added)),
                change_id,
                documents: added,
                ..Change::default()
            };
            let chain = Chain::Gun(gun.clone());
            let end = self.end(connection, &chain)?;
            self.note(connection, &chain, end, actor, change, now)?;
            Ok(imported)
        })
    }
}

/// Stores a document; returns false if it was stored before.
fn insert(connection: &mut DbConnection, gun: &Gun, item: &Stored) -> Result<bool, ImportError> {
    let Document {
        role,
        version,
        bytes,
        sha256,
    } = &item.document;
    let there = inventory::rows_of(gun)
        .filter(exact(tuf_files::role, role.as_str()))
        .filter(tuf_files::version.eq(version.get()))
        .select(tuf_files::data);
    let there: Option<Vec<u8>> = first_only(there).get_result(connection).optional()?;
    match there {
        Some(there) if there == bytes.as_ref() => return Ok(false),
        Some(_) => {
            return Err(ImportError::Different {
                role: role.clone(),
                version: *version,
            });
        }
        None => {}
    }
    tuf::has_one_meaning(role, bytes).map_err(|reason| ImportError::Ambiguous {
        role: role.clone(),
        version: *version,
        reason,
    })?;
    let stored_at = item.stored_at.map(|time| connection.storable(time));
    diesel::insert_into(tuf_files::table)
        .values(NewRow {
            created_at: stored_at,
            updated_at: stored_at,
            gun: gun.as_str(),
            role: role.as_str(),
            version: version.get(),
            data: bytes,
            sha256: sha256.as_hex(),
        })
        .execute(connection)?;
    Ok(true)
}
