//! Reads documents.

use bytes::Bytes;
use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use platform::database::{DbConnection, exact, first_only, padded};
use tuf::{Checksum, Document, Gun, RoleName, Version};

use super::{MIGRATIONS, NewestTimestamp, Store, StoreError, bundle, schema::tuf_files};

/// How many versions of a role are read together, unless they are larger than this.
const TOGETHER: usize = 8;
const LARGE: usize = 256 * 1024;

/// A document and when it was stored.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The document.
    pub document: Document,
    /// When it was stored; `None` for rows of old databases that lack the time.
    pub stored_at: Option<DateTime<Utc>>,
}

/// The documents that decide whether a timestamp is still valid.
pub struct Chain {
    /// The highest root.
    pub root: Document,
    /// The snapshot that the timestamp names.
    pub snapshot: Document,
    /// The newest timestamp.
    pub timestamp: Document,
}

/// Names a document of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// The current document of a role.
    Current(RoleName),
    /// One version of a role's document.
    Version(RoleName, Version),
    /// The role's document with this SHA-256.
    Checksum(RoleName, Checksum),
    /// Root chain, timestamp, snapshot, targets and delegations in one piece.
    Bundle,
}

/// A document, and the state of its repository at the same moment.
#[derive(Debug)]
pub struct Found {
    /// The newest timestamp; `None` if there is none.
    pub newest: Option<NewestTimestamp>,
    /// The document; `None` if there is no such document.
    pub document: Option<Stored>,
    /// For what is of no use without the current timestamp and the snapshot that it names: these two.
    pub expiring: Option<[Document; 2]>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = tuf_files)]
struct Row {
    id: i32,
    created_at: Option<NaiveDateTime>,
    role: String,
    version: i32,
    data: Vec<u8>,
    sha256: Option<String>,
}

/// The error for a row that holds something else than a document.
pub(super) fn damaged(
    gun: &Gun,
    role: &RoleName,
    version: i32,
    reason: &impl std::fmt::Display,
) -> StoreError {
    StoreError::Damaged {
        gun: gun.to_string(),
        role: role.to_string(),
        version,
        reason: reason.to_string(),
    }
}

impl Row {
    fn into_stored(self, gun: &Gun) -> Result<Stored, StoreError> {
        let damaged = |reason: String| StoreError::Damaged {
            gun: gun.to_string(),
            role: self.role.clone(),
            version: self.version,
            reason,
        };
        let role = RoleName::parse(&self.role).map_err(|cause| damaged(cause.to_string()))?;
        let version = Version::new(i64::from(self.version)).map_err(|cause| damaged(cause.to_string()))?;
        // The checksum is computed, not read, so that a document is never served under a wrong checksum.
        let sha256 = Checksum::of(&self.data);
        Ok(Stored {
            document: Document {
                role,
                version,
                bytes: Bytes::from(self.data),
                sha256,
            },
            stored_at: self.created_at.map(|time| time.and_utc()),
        })
    }
}

/// Selects the newest version, or a certain one.
pub(super) enum Selector<'a> {
    Highest,
    Version(Version),
    /// As a row has it.
    Row(i32),
    Checksum(&'a Checksum),
}

fn find_row(
    connection: &mut DbConnection,
    gun: &Gun,
    role: &RoleName,
    selector: &Selector<'_>,
) -> QueryResult<Option<Row>> {
    let of_role = tuf_files::table
        .filter(exact(tuf_files::gun, gun.as_str()))
        .filter(exact(tuf_files::role, role.as_str()))
        .filter(tuf_files::deleted_at.is_null())
        .select(Row::as_select())
        .order(tuf_files::version.desc());
    let found = match selector {
        Selector::Highest => first_only(of_role).get_result(connection),
        Selector::Version(version) => {
            first_only(of_role.filter(tuf_files::version.eq(version.get()))).get_result(connection)
        }
        Selector::Row(version) => {
            first_only(of_role.filter(tuf_files::version.eq(version))).get_result(connection)
        }
        Selector::Checksum(checksum) => {
            first_only(of_role.filter(padded(tuf_files::sha256, checksum.as_hex()))).get_result(connection)
        }
    };
    found.optional()
}

pub(super) fn find(
    connection: &mut DbConnection,
    gun: &Gun,
    role: &RoleName,
    selector: &Selector<'_>,
) -> Result<Option<Stored>, StoreError> {
    find_row(connection, gun, role, selector)?
        .map(|row| row.into_stored(gun))
        .transpose()
}

/// The newest timestamp, with its row.
fn find_newest(
    connection: &mut DbConnection,
    gun: &Gun,
) -> Result<Option<(NewestTimestamp, Stored)>, StoreError> {
    find_row(connection, gun, &RoleName::Timestamp, &Selector::Highest)?
        .map(|row| {
            let newest = NewestTimestamp {
                id: row.id,
                version: row.version,
                // PostgreSQL pads this column with spaces.
                sha256: row.sha256.as_deref().unwrap_or_default().trim_end().to_owned(),
            };
            Ok((newest, row.into_stored(gun)?))
        })
        .transpose()
}

/// The snapshot that the newest timestamp names; `None` if there is no such document.
pub(super) fn current_snapshot(
    connection: &mut DbConnection,
    gun: &Gun,
) -> Result<Option<Stored>, StoreError> {
    let timestamp = find(connection, gun, &RoleName::Timestamp, &Selector::Highest)?;
    named_snapshot(connection, gun, timestamp.as_ref())
}

/// The snapshot that a timestamp names; `None` if there is no such document.
pub(super) fn named_snapshot(
    connection: &mut DbConnection,
    gun: &Gun,
    timestamp: Option<&Stored>,
) -> Result<Option<Stored>, StoreError> {
    let named = timestamp.and_then(|timestamp| tuf::named_snapshot(&timestamp.document.bytes).ok());
    match named {
        Some(checksum) => find(
            connection,
            gun,
            &RoleName::Snapshot,
            &Selector::Checksum(&checksum),
        ),
        None => Ok(None),
    }
}

pub(super) fn current(
    connection: &mut DbConnection,
    gun: &Gun,
    role: &RoleName,
    snapshot: Option<&Stored>,
) -> Result<Option<Stored>, StoreError> {
    match role {
        // The trust in a GUN must not depend on what its snapshot key signs: see the fix list of the contract, "trust
        // reset through a broken link".
        RoleName::Root | RoleName::Timestamp => find(connection, gun, role, &Selector::Highest),
        RoleName::Snapshot => Ok(snapshot.cloned()),
        RoleName::Targets | RoleName::Delegation(_) => {
            let Some(snapshot) = snapshot else { return Ok(None) };
            match tuf::named_in_snapshot(&snapshot.document.bytes, role) {
                Ok(Some(checksum)) => find(connection, gun, role, &Selector::Checksum(&checksum)),
                Ok(None) | Err(_) => Ok(None),
            }
        }
    }
}

impl Store {
    /// Runs several reads at one moment of the database.
    pub(super) fn at_one_moment<T>(
        &self,
        read: impl FnOnce(&mut DbConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.database.reader()?.transaction(|connection| read(connection))
    }

    /// The current document of a role: what the newest timestamp and its snapshot name.
    ///
    /// # Errors
    /// When the database fails.
    pub fn current(&self, gun: &Gun, role: &RoleName) -> Result<Option<Stored>, StoreError> {
        self.at_one_moment(|connection| {
            let snapshot = match role {
                RoleName::Root | RoleName::Timestamp => None,
                _ => current_snapshot(connection, gun)?,
            };
            current(connection, gun, role, snapshot.as_ref())
        })
    }

    /// A document of a repository, and its newest timestamp at the same moment.
    ///
    /// # Errors
    /// When the database fails.
    pub fn document(&self, gun: &Gun, wanted: &Wanted) -> Result<Found, StoreError> {
        self.at_one_moment(|connection| {
            let (newest, timestamp) = find_newest(connection, gun)?.unzip();
            let (document, expiring) = match wanted {
                Wanted::Current(RoleName::Timestamp | RoleName::Snapshot) | Wanted::Bundle => {
                    let snapshot = named_snapshot(connection, gun, timestamp.as_ref())?;
                    let both = timestamp.zip(snapshot);
                    let expiring = both.as_ref().map(|(timestamp, snapshot)| {
                        [timestamp, snapshot].map(|stored| stored.document.clone())
                    });
                    let document = match (wanted, both) {
                        (_, None) => None,
                        (Wanted::Bundle, Some((timestamp, snapshot))) => {
                            Some(bundle::read(connection, gun, &timestamp, &snapshot)?)
                        }
                        (Wanted::Current(RoleName::Snapshot), Some((_, snapshot))) => Some(snapshot),
                        (_, Some((timestamp, _))) => Some(timestamp),
                    };
                    (document, expiring)
                }
                Wanted::Current(role) => {
                    let snapshot = match role {
                        RoleName::Root => None,
                        _ => named_snapshot(connection, gun, timestamp.as_ref())?,
                    };
                    (current(connection, gun, role, snapshot.as_ref())?, None)
                }
                Wanted::Version(role, version) => {
                    (find(connection, gun, role, &Selector::Version(*version))?, None)
                }
                Wanted::Checksum(role, checksum) => {
                    (find(connection, gun, role, &Selector::Checksum(checksum))?, None)
                }
            };
            Ok(Found {
                newest,
                document,
                expiring,
            })
        })
    }

    /// The documents that decide about the freshness of a GUN; `None` if it was never published.
    ///
    /// # Errors
    /// When the database fails.
    pub fn chain(&self, gun: &Gun) -> Result<Option<Chain>, StoreError> {
        self.at_one_moment(|connection| {
            let root = find(connection, gun, &RoleName::Root, &Selector::Highest)?;
            let timestamp = find(connection, gun, &RoleName::Timestamp, &Selector::Highest)?;
            let snapshot = current_snapshot(connection, gun)?;
            Ok(match (root, snapshot, timestamp) {
                (Some(root), Some(snapshot), Some(timestamp)) => Some(Chain {
                    root: root.document,
                    snapshot: snapshot.document,
                    timestamp: timestamp.document,
                }),
                _ => None,
            })
        })
    }

    /// The highest stored root; `None` if the GUN has none.
    ///
    /// # Errors
    /// When the database fails.
    pub fn highest_root(&self, gun: &Gun) -> Result<Option<Document>, StoreError> {
        self.current(gun, &RoleName::Root)
            .map(|found| found.map(|stored| stored.document))
    }

    /// The documents of a role, the highest version first: at most `count`, and no further ones once `budget` bytes were
    /// read, from which what was read is taken.
    ///
    /// # Errors
    /// When the database fails.
    pub fn versions(
        &self,
        gun: &Gun,
        role: &RoleName,
        count: usize,
        budget: &mut usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut connection = self.database.reader()?;
        let mut found: Vec<Stored> = Vec::new();
        let mut below = i32::MAX;
        while found.len() < count && *budget > 0 {
            // Large documents one by one, so that little more is read than the budget allows.
            let is_large = found.last().is_some_and(|last| last.document.bytes.len() > LARGE);
            let together = if is_large {
                1
            } else {
                TOGETHER.min(count - found.len())
            };
            let rows: Vec<Row> = tuf_files::table
                .filter(exact(tuf_files::gun, gun.as_str()))
                .filter(exact(tuf_files::role, role.as_str()))
                .filter(tuf_files::deleted_at.is_null())
                .filter(tuf_files::version.lt(below))
                .select(Row::as_select())
                .order(tuf_files::version.desc())
                .limit(i64::try_from(together).unwrap_or(1))
                .load(&mut *connection)?;
            let Some(last) = rows.last() else { break };
            below = last.version;
            for row in rows {
                *budget = budget.saturating_sub(row.data.len());
                found.push(row.into_stored(gun)?);
            }
        }
        Ok(found)
    }

    /// One version of a role's document.
    ///
    /// # Errors
    /// When the database fails.
    pub fn version(
        &self,
        gun: &Gun,
        role: &RoleName,
        version: Version,
    ) -> Result<Option<Stored>, StoreError> {
        find(
            &mut *self.database.reader()?,
            gun,
            role,
            &Selector::Version(version),
        )
    }

    /// Checks that the tables can be read.
    ///
    /// # Errors
    /// When they cannot.
    pub fn check(&self) -> Result<(), StoreError> {
        let mut connection = self.database.reader()?;
        tuf_files::table
            .select(tuf_files::id)
            .first::<i32>(&mut *connection)
            .optional()?;
        drop(connection);
        Ok(self.database.can_write(&MIGRATIONS)?)
    }
}
