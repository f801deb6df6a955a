//! Changes what is stored, atomically.

use std::{collections::BTreeSet, fs, os::unix::fs::MetadataExt};

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use platform::database::{DbConnection, Statement, exact, first_only, is_conflict, locked};
use tuf::{Checksum, Document, Gun, RoleName, Version};

use super::{
    NewestTimestamp, Store, StoreError, audit,
    pending_keys::{self, Named},
    rows::{self, NewChange},
    schema::{pull_counts, tuf_files},
    set_aside,
    standing::Standing,
};
use crate::audit::{
    chain::Chain,
    record::{Change, Place, StoredDocument, Who},
};

/// The name of the lock for publishing to a GUN and deleting it.
pub(super) const GUN_LOCK: &str = "gun";

/// Who makes a change, for the record.
#[derive(Debug, Clone, Default)]
pub struct Actor {
    /// The principal's name.
    pub principal: String,
    /// The subject of the client's certificate.
    pub certificate_subject: Option<String>,
    /// Its issuer.
    pub certificate_issuer: Option<String>,
    /// Its serial number, in hex.
    pub certificate_serial: Option<String>,
    /// The client's address.
    pub peer_address: Option<String>,
    /// The ID of the request that makes the change.
    pub request_id: Option<String>,
    /// All that is known about it, if that is more than its name.
    pub who: Option<Box<Who>>,
}

impl Actor {
    /// The operator who runs a command of this program; `command` is its name in parentheses.
    pub fn command(command: &str) -> Self {
        // The owner of the process according to the kernel; environment variables can be set by anyone.
        let os_uid = fs::metadata("/proc/self").ok().map(|process| process.uid());
        Self {
            principal: command.to_owned(),
            who: Some(Box::new(Who {
                principal: command.to_owned(),
                os_uid,
                ..Who::default()
            })),
            ..Self::default()
        }
    }

    pub(super) fn who(&self) -> Who {
        self.who.as_deref().cloned().unwrap_or_else(|| Who {
            principal: self.principal.clone(),
            ..Who::default()
        })
    }
}

/// What a publish stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The documents.
    pub documents: Vec<StoredDocument>,
    /// Where the table of changes holds the record, if the table is enabled.
    pub place: Option<Place>,
    /// The row of the new timestamp, if there is one and the engine tells its ID.
    pub newest: Option<NewestTimestamp>,
}

/// The state of a GUN on which an update is based: its newest timestamp, which names everything else. It includes the
/// checksum, because a GUN that was deleted and created again has the same versions again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    pub(super) version: Version,
    pub(super) sha256: Checksum,
    /// The root, if it was in memory instead of being read with the timestamp: it must be the stored one.
    pub(super) kept_root: Option<Checksum>,
}

impl Base {
    /// The state with this timestamp.
    pub fn of(timestamp: &Document) -> Self {
        Self {
            version: timestamp.version,
            sha256: timestamp.sha256,
            kept_root: None,
        }
    }

    /// The state whose root was in memory.
    #[must_use]
    pub fn with_kept_root(mut self, root: Option<&Document>) -> Self {
        self.kept_root = root.map(|root| root.sha256);
        self
    }
}

/// Why nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The GUN was changed since its state was read.
    #[error("somebody else published first")]
    Conflict,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<diesel::result::Error> for CommitError {
    fn from(cause: diesel::result::Error) -> Self {
        if is_conflict(&cause) {
            Self::Conflict
        } else {
            Self::Store(cause.into())
        }
    }
}

/// The highest version of a role. It cannot change until the transaction ends.
pub(super) fn highest_version(
    connection: &mut DbConnection,
    gun: &Gun,
    role: &RoleName,
) -> QueryResult<Option<i32>> {
    let newest = tuf_files::table
        .filter(exact(tuf_files::gun, gun.as_str()))
        .filter(exact(tuf_files::role, role.as_str()))
        .filter(tuf_files::deleted_at.is_null())
        .select(tuf_files::version)
        .order(tuf_files::version.desc());
    locked(first_only(newest)).get_result(connection).optional()
}

/// On MySQL, prevents a Notary server from deleting or replacing the state on which the update is based; false if that
/// has happened since it was read. Updating a row to its own values locks it there; [`locked`] says why it is not read with
/// a lock.
fn hold_base(connection: &mut DbConnection, gun: &Gun, base: Option<&Base>) -> QueryResult<bool> {
    let Some(base) = base.filter(|_| matches!(connection, DbConnection::Mysql(_))) else {
        return Ok(true);
    };
    let sha256 = base.sha256.as_hex();
    let hold: Statement<'_> = Statement::new("UPDATE tuf_files SET version = version WHERE ")
        .exact("gun", gun.as_str())
        .sql(" AND ")
        .exact("role", RoleName::Timestamp.as_str())
        .sql(" AND deleted_at IS NULL AND version = ")
        .integer(base.version.get())
        .sql(" AND SHA2(data, 256) = ")
        .text(&sha256);
    // Counts the rows that were found, whether or not they changed.
    Ok(hold.execute(connection)? > 0)
}

/// On MySQL, makes a deletion and a publish that are under way on two nodes of a Galera cluster a conflict, of which one
/// fails. Without it they change different rows, and both would succeed: what was published would be left without a
/// root. The deletion takes the version that the publish gives to its timestamp; the row is deleted with the others.
fn exclude_publishes(connection: &mut DbConnection, gun: &Gun, now: NaiveDateTime) -> QueryResult<()> {
    if !matches!(connection, DbConnection::Mysql(_)) {
        return Ok(());
    }
    let newest = tuf_files::table
        .filter(exact(tuf_files::gun, gun.as_str()))
        .filter(exact(tuf_files::role, RoleName::Timestamp.as_str()))
        .select(tuf_files::version)
        .order(tuf_files::version.desc());
    let newest: Option<i32> = first_only(newest).get_result(connection).optional()?;
    let Some(next) = newest.and_then(|newest| newest.checked_add(1)) else {
        return Ok(());
    };
    let insert: Statement<'_> = Statement::new(
        "INSERT INTO tuf_files (created_at, updated_at, gun, role, version, data, sha256) VALUES (",
    )
    .time(now)
    .sql(", ")
    .time(now)
    .sql(", ")
    .text(gun.as_str())
    .sql(", 'timestamp', ")
    .integer(next)
    .sql(", '', '')");
    insert.execute(connection).map(drop)
}

/// Adds a changefeed entry for a new timestamp that was not stored by a publish.
pub(super) fn record_timestamp(
    connection: &mut DbConnection,
    gun: &Gun,
    timestamp: &Document,
    actor: &Actor,
    now: DateTime<Utc>,
) -> QueryResult<i32> {
    let change = NewChange {
        created_at: connection.storable(now),
        gun: gun.as_str(),
        version: timestamp.version.get(),
        sha256: &timestamp.sha256.as_hex(),
        category: "update",
    };
    rows::record_change(connection, &change, actor)
}

fn stored(document: &Document) -> StoredDocument {
    StoredDocument {
        role: document.role.to_string(),
        version: document.version.get(),
        sha256: document.sha256.as_hex(),
    }
}

impl Store {
    /// Stores the documents of one update together.
    ///
    /// `base` is the state on which the update is based, `None` for a new GUN. Nothing is stored if the GUN has
    /// changed since (or was deleted), or if a role already has such a version. In the roles of `replaced`, stored
    /// documents with such a version are set aside instead.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when the GUN has changed meanwhile, or when the database fails.
    pub fn commit(
        &self,
        gun: &Gun,
        base: Option<&Base>,
        documents: &[Document],
        replaced: &BTreeSet<RoleName>,
        actor: &Actor,
        at: DateTime<Utc>,
    ) -> Result<Committed, CommitError> {
        let mut connection = self.database.writer().map_err(StoreError::from)?;
        let now = connection.storable(at);
        let chain = self.audit_table.then(|| Chain::Gun(gun.clone()).name());
        connection.write_transaction_for(GUN_LOCK, gun.as_str(), |connection| {
            // Everything is read before anything is locked: what holds locks can be ended by a transaction of another
            // node of a cluster, and the client library does not survive that while it reads an answer (see `locked`).
            let mut conflicting = Vec::new();
            for document in documents
                .iter()
                .filter(|document| replaced.contains(&document.role))
            {
                let (role, version) = (&document.role, document.version.get());
                conflicting.extend(set_aside::conflicting(connection, gun, role, version)?);
            }
            let standing = Standing::read(connection, gun, documents, chain.as_deref(), base)?;
            if !standing.admits(base, documents, replaced) {
                return Err(CommitError::Conflict);
            }
            let root = documents.iter().find(|document| document.role == RoleName::Root);
            let taken = match root {
                Some(root) => pending_keys::named_by(connection, root)?,
                None => Named::default(),
            };
            if taken.any_swept() || !hold_base(connection, gun, base)? {
                return Err(CommitError::Conflict);
            }
            let aside = set_aside::set_aside(connection, conflicting, now)?;
            let row = rows::insert_files(connection, gun, documents, now)?;
            if !taken.take(connection)? {
                return Err(CommitError::Conflict);
            }
            let timestamp = documents
                .iter()
                .find(|document| document.role == RoleName::Timestamp);
            let change_id = match timestamp {
                Some(timestamp) => Some(record_timestamp(connection, gun, timestamp, actor, at)?),
                None => None,
            };
            let stored: Vec<StoredDocument> = documents.iter().map(stored).collect();
            let change = Change {
                action: "publish".to_owned(),
                gun: Some(gun.to_string()),
                change_id,
                documents: stored.clone(),
                set_aside: aside,
                ..Change::default()
            };
            let place = match chain {
                Some(chain) => Some(audit::append_after(
                    connection,
                    chain,
                    standing.end,
                    actor,
                    change,
                    at,
                )?),
                None => None,
            };
            let newest = timestamp.zip(row).map(|(timestamp, id)| NewestTimestamp {
                id,
                version: timestamp.version.get(),
                sha256: timestamp.sha256.as_hex(),
            });
            Ok(Committed {
                documents: stored,
                place,
                newest,
            })
        })
    }

    /// Removes every document of exactly this GUN; returns `None` if there was none.
    ///
    /// # Errors
    /// When the database fails.
    pub fn delete(
        &self,
        gun: &Gun,
        actor: &Actor,
        at: DateTime<Utc>,
    ) -> Result<Option<Committed>, StoreError> {
        let mut connection = self.database.writer()?;
        let now = connection.storable(at);
        Ok(
            connection.repeated_transaction_for(GUN_LOCK, gun.as_str(), |connection| {
                let chain = Chain::Gun(gun.clone());
                // Read before anything is locked, as in `commit`.
                let end = self.end(connection, &chain)?;
                exclude_publishes(connection, gun, now)?;
                let removed = diesel::delete(tuf_files::table.filter(exact(tuf_files::gun, gun.as_str())))
                    .execute(connection)?;
                if removed == 0 {
                    return Ok(None);
                }
                diesel::delete(pull_counts::table.filter(exact(pull_counts::gun, gun.as_str())))
                    .execute(connection)?;
                let change = NewChange {
                    created_at: now,
                    gun: gun.as_str(),
                    version: 0,
                    sha256: "",
                    category: "deletion",
                };
                let change = Change {
                    action: "delete".to_owned(),
                    gun: Some(gun.to_string()),
                    change_id: Some(rows::record_change(connection, &change, actor)?),
                    ..Change::default()
                };
                let place = self.note(connection, &chain, end, actor, change, at)?;
                Ok(Some(Committed {
                    documents: Vec::new(),
                    place,
                    newest: None,
                }))
            })?,
        )
    }
}
