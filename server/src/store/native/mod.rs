//! TUF 1.0 repositories: their files byte for byte, metadata that waits for signatures, and target files.
//!
//! A repository's row holds the version of its newest timestamp. Every change raises it from the version on which the
//! change is based, so of two changes at the same moment one fails.

mod lists;
mod targets;
mod waiting;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use platform::database::{DbConnection, exact, first_only};
use tuf::{Gun, KeyId};

use super::{
    Accounted, Actor, CommitError, Committed, Store, StoreError,
    audit::records,
    commit::GUN_LOCK,
    pending_keys,
    schema::{native_drafts, native_files, native_repositories, native_targets},
};
use crate::audit::{
    chain::Chain,
    record::{Change, Place, StoredDocument},
};

pub use targets::TargetStored;

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeFile {
    /// Its role, as metadata names it.
    pub role: String,
    /// Its version.
    pub version: i32,
    /// Its bytes, as they were signed.
    pub bytes: Vec<u8>,
}

/// What is known of a repository besides its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeRepository {
    /// Its name.
    pub name: String,
    /// The version of its newest timestamp.
    pub timestamp: i32,
    /// The version of the snapshot which that names.
    pub snapshot: i32,
    /// When the first of the two expires.
    pub expires_at: DateTime<Utc>,
    /// When it was deleted; `None` if it was not.
    pub deleted_at: Option<DateTime<Utc>>,
}

/// What a change of a repository stores.
#[derive(Debug)]
pub struct NativeChange<'a> {
    /// The version of the timestamp on which it is based; `None` for a new repository.
    pub base: Option<i32>,
    /// The new files, snapshot and timestamp among them.
    pub files: &'a [NativeFile],
    /// The version of the new timestamp.
    pub timestamp: i32,
    /// The version of the snapshot which that names.
    pub snapshot: i32,
    /// When the first of the two expires.
    pub expires_at: DateTime<Utc>,
    /// The keys of the signer that a root among the files names: from now on they do not wait for one.
    pub named_keys: Vec<KeyId>,
    /// Whose drafts are done with, because their file is among the new ones.
    pub finished: &'a [String],
    /// The action in the record, such as `tuf.publish`.
    pub action: &'static str,
}

type Row = (String, i32, i32, NaiveDateTime, Option<NaiveDateTime>);

fn repository((name, timestamp, snapshot, expires_at, deleted_at): Row) -> NativeRepository {
    NativeRepository {
        name,
        timestamp,
        snapshot,
        expires_at: expires_at.and_utc(),
        deleted_at: deleted_at.map(|time| time.and_utc()),
    }
}

fn find(connection: &mut DbConnection, name: &str) -> QueryResult<Option<NativeRepository>> {
    let row = native_repositories::table
        .filter(exact(native_repositories::name, name))
        .select((
            native_repositories::name,
            native_repositories::timestamp_version,
            native_repositories::snapshot_version,
            native_repositories::expires_at,
            native_repositories::deleted_at,
        ));
    let row: Option<Row> = first_only(row).get_result(connection).optional()?;
    Ok(row.map(repository))
}

fn chain_of(name: &Gun) -> Chain {
    Chain::Native(name.clone())
}

/// The chain and the lock of a repository have this name.
fn lock_of(name: &Gun) -> String {
    name.of_tuf_1().to_string()
}

impl Store {
    /// What is known of a repository, also if it was deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub fn native_repository(&self, name: &Gun) -> Result<Option<NativeRepository>, StoreError> {
        Ok(find(&mut *self.database.reader()?, name.as_str())?)
    }

    /// One file of a repository that was not deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub fn native_file(&self, name: &Gun, role: &str, version: i32) -> Result<Option<Vec<u8>>, StoreError> {
        self.at_one_moment(|connection| {
            if find(connection, name.as_str())?.is_none_or(|found| found.deleted_at.is_some()) {
                return Ok(None);
            }
            Ok(file(connection, name.as_str(), role, version)?)
        })
    }

    /// The newest timestamp of a repository that was not deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub fn native_timestamp(&self, name: &Gun) -> Result<Option<(NativeRepository, Vec<u8>)>, StoreError> {
        self.at_one_moment(|connection| {
            let Some(found) = find(connection, name.as_str())?.filter(|found| found.deleted_at.is_none())
            else {
                return Ok(None);
            };
            let bytes = file(connection, name.as_str(), "timestamp", found.timestamp)?;
            Ok(bytes.map(|bytes| (found, bytes)))
        })
    }

    /// The newest root, snapshot and timestamp of a repository (also of a deleted one), and the files of the given roles and
    /// versions, which `named` finds in the snapshot. All at one moment.
    ///
    /// # Errors
    /// When the database fails.
    pub fn native_current(
        &self,
        name: &Gun,
        named: impl FnOnce(&[u8]) -> Vec<(String, i32)>,
    ) -> Result<Option<(NativeRepository, Vec<NativeFile>)>, StoreError> {
        self.at_one_moment(|connection| {
            let Some(found) = find(connection, name.as_str())? else {
                return Ok(None);
            };
            let mut files = Vec::new();
            let mut add = |connection: &mut DbConnection, role: String, version: i32| {
                let bytes =
                    file(connection, name.as_str(), &role, version)?.ok_or_else(|| StoreError::Damaged {
                        gun: name.to_string(),
                        role: role.clone(),
                        version,
                        reason: "it is not stored".to_owned(),
                    })?;
                files.push(NativeFile { role, version, bytes });
                Ok::<_, StoreError>(())
            };
            let root = native_files::table
                .filter(exact(native_files::repository, name.as_str()))
                .filter(exact(native_files::role, "root"))
                .select(diesel::dsl::max(native_files::version));
            let root: Option<i32> = root.get_result(connection)?;
            if let Some(version) = root {
                add(connection, "root".to_owned(), version)?;
            }
            add(connection, "snapshot".to_owned(), found.snapshot)?;
            add(connection, "timestamp".to_owned(), found.timestamp)?;
            let snapshot = file(connection, name.as_str(), "snapshot", found.snapshot)?.unwrap_or_default();
            for (role, version) in named(&snapshot) {
                add(connection, role, version)?;
            }
            Ok(Some((found, files)))
        })
    }

    /// Every root of a repository, with its version, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub fn native_roots(&self, name: &Gun) -> Result<Vec<(i32, Vec<u8>)>, StoreError> {
        Ok(native_files::table
            .filter(exact(native_files::repository, name.as_str()))
            .filter(exact(native_files::role, "root"))
            .order(native_files::version.asc())
            .select((native_files::version, native_files::data))
            .load(&mut *self.database.reader()?)?)
    }

    /// The files of a repository, also of a deleted one, and its records. No change to such a repository has an entry in the
    /// changefeed.
    ///
    /// # Errors
    /// When the database fails.
    pub fn native_accounted(&self, name: &Gun) -> Result<Accounted, StoreError> {
        self.at_one_moment(|connection| {
            let stored: Vec<(String, i32, Vec<u8>)> = native_files::table
                .filter(exact(native_files::repository, name.as_str()))
                .select((native_files::role, native_files::version, native_files::data))
                .load(connection)?;
            let documents = stored
                .into_iter()
                .map(|(role, version, bytes)| stored_as(&NativeFile { role, version, bytes }));
            Ok(Accounted {
                records: records(connection, &chain_of(name))?,
                documents: documents.collect(),
                changed_by_others: false,
                deleted_by_others: false,
            })
        })
    }

    /// Stores the files of a change together, with its record.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when the repository was changed since its state was read, or when the database fails.
    pub fn commit_native(
        &self,
        name: &Gun,
        change: &NativeChange<'_>,
        actor: &Actor,
        at: DateTime<Utc>,
    ) -> Result<Committed, CommitError> {
        let mut connection = self.database.writer().map_err(StoreError::from)?;
        let now = connection.storable(at);
        let expires_at = connection.storable(change.expires_at);
        connection.write_transaction_for(GUN_LOCK, &lock_of(name), |connection| {
            let end = self.end(connection, &chain_of(name))?;
            let taken = pending_keys::among(connection, change.named_keys.clone())?;
            if taken.any_swept() {
                return Err(CommitError::Conflict);
            }
            let moved = match change.base {
                Some(base) => diesel::update(
                    native_repositories::table
                        .filter(exact(native_repositories::name, name.as_str()))
                        .filter(native_repositories::timestamp_version.eq(base)),
                )
                .set((
                    native_repositories::timestamp_version.eq(change.timestamp),
                    native_repositories::snapshot_version.eq(change.snapshot),
                    native_repositories::expires_at.eq(expires_at),
                    native_repositories::deleted_at.eq(None::<NaiveDateTime>),
                ))
                .execute(connection)?,
                None => diesel::insert_into(native_repositories::table)
                    .values((
                        native_repositories::name.eq(name.as_str()),
                        native_repositories::timestamp_version.eq(change.timestamp),
                        native_repositories::snapshot_version.eq(change.snapshot),
                        native_repositories::expires_at.eq(expires_at),
                        native_repositories::created_at.eq(now),
                    ))
                    .execute(connection)?,
            };
            if moved != 1 || !taken.take(connection)? {
                return Err(CommitError::Conflict);
            }
            for file in change.files {
                diesel::insert_into(native_files::table)
                    .values((
                        native_files::repository.eq(name.as_str()),
                        native_files::role.eq(&file.role),
                        native_files::version.eq(file.version),
                        native_files::data.eq(&file.bytes),
                        native_files::created_at.eq(now),
                    ))
                    .execute(connection)?;
            }
            for role in change.finished {
                diesel::delete(
                    native_drafts::table
                        .filter(exact(native_drafts::repository, name.as_str()))
                        .filter(exact(native_drafts::role, role.as_str())),
                )
                .execute(connection)?;
            }
            let documents: Vec<StoredDocument> = change.files.iter().map(stored_as).collect();
            let record = Change {
                action: change.action.to_owned(),
                gun: Some(name.to_string()),
                documents: documents.clone(),
                ..Change::default()
            };
            let place = self.note(connection, &chain_of(name), end, actor, record, at)?;
            Ok(Committed {
                documents,
                place,
                newest: None,
            })
        })
    }

    /// Records a change to a repository outside of this database, such as a new key at the signer.
    ///
    /// # Errors
    /// When the database fails.
    pub fn record_native_change(
        &self,
        name: &Gun,
        actor: &Actor,
        change: Change,
        now: DateTime<Utc>,
    ) -> Result<Option<Place>, StoreError> {
        let mut connection = self.database.writer()?;
        Ok(
            connection.repeated_transaction_for(GUN_LOCK, &lock_of(name), |connection| {
                let end = self.end(connection, &chain_of(name))?;
                self.note(connection, &chain_of(name), end, actor, change.clone(), now)
            })?,
        )
    }

    /// Deletes a repository: nothing of it is served any more. Its metadata stays, because the next publish under its name
    /// has to go on where it ended. Returns `None` if there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub fn delete_native(
        &self,
        name: &Gun,
        actor: &Actor,
        at: DateTime<Utc>,
    ) -> Result<Option<Committed>, StoreError> {
        let mut connection = self.database.writer()?;
        let now = connection.storable(at);
        Ok(
            connection.repeated_transaction_for(GUN_LOCK, &lock_of(name), |connection| {
                let end = self.end(connection, &chain_of(name))?;
                let marked = diesel::update(
                    native_repositories::table
                        .filter(exact(native_repositories::name, name.as_str()))
                        .filter(native_repositories::deleted_at.is_null()),
                )
                .set(native_repositories::deleted_at.eq(Some(now)))
                .execute(connection)?;
                if marked == 0 {
                    return Ok(None);
                }
                diesel::delete(native_drafts::table.filter(exact(native_drafts::repository, name.as_str())))
                    .execute(connection)?;
                diesel::delete(
                    native_targets::table.filter(exact(native_targets::repository, name.as_str())),
                )
                .execute(connection)?;
                let change = Change {
                    action: "tuf.delete".to_owned(),
                    gun: Some(name.to_string()),
                    ..Change::default()
                };
                let place = self.note(connection, &chain_of(name), end, actor, change, at)?;
                Ok(Some(Committed {
                    documents: Vec::new(),
                    place,
                    newest: None,
                }))
            })?,
        )
    }
}

fn file(connection: &mut DbConnection, name: &str, role: &str, version: i32) -> QueryResult<Option<Vec<u8>>> {
    let row = native_files::table
        .filter(exact(native_files::repository, name))
        .filter(exact(native_files::role, role))
        .filter(native_files::version.eq(version))
        .select(native_files::data);
    first_only(row).get_result(connection).optional()
}

fn stored_as(file: &NativeFile) -> StoredDocument {
    StoredDocument {
        role: file.role.clone(),
        version: file.version,
        sha256: hex::encode(openssl::sha::sha256(&file.bytes)),
    }
}
