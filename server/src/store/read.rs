//! Reads documents.

use bytes::Bytes;
use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use platform::database::{DbConnection, exact, padded};
use tuf::{Checksum, Document, Gun, RoleName, Version};

use super::{MIGRATIONS, Store, StoreError, schema::tuf_files};

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

/// The documents that decide whether a timestamp can be served as it is.
pub struct TimestampAndSnapshot {
    /// The newest timestamp.
    pub timestamp: Stored,
    /// The snapshot that it names.
    pub snapshot: Stored,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = tuf_files)]
struct Row {
    created_at: Option<NaiveDateTime>,
    role: String,
    version: i32,
    data: Vec<u8>,
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
    Checksum(&'a Checksum),
}

pub(super) fn find(
    connection: &mut DbConnection,
    gun: &Gun,
    role: &RoleName,
    selector: &Selector<'_>,
) -> Result<Option<Stored>, StoreError> {
    let mut query = tuf_files::table
        .filter(exact(tuf_files::gun, gun.as_str()))
        .filter(exact(tuf_files::role, role.as_str()))
        .filter(tuf_files::deleted_at.is_null())
        .select(Row::as_select())
        .order(tuf_files::version.desc())
        .into_boxed();
    match selector {
        Selector::Highest => {}
        Selector::Version(version) => query = query.filter(tuf_files::version.eq(version.get())),
        Selector::Checksum(checksum) => query = query.filter(padded(tuf_files::sha256, checksum.as_hex())),
    }
    query
        .first(connection)
        .optional()?
        .map(|row| row.into_stored(gun))
        .transpose()
}

/// The snapshot that the newest timestamp names; `None` if there is no such document.
pub(super) fn current_snapshot(
    connection: &mut DbConnection,
    gun: &Gun,
) -> Result<Option<Stored>, StoreError> {
    let Some(timestamp) = find(connection, gun, &RoleName::Timestamp, &Selector::Highest)? else {
        return Ok(None);
    };
    match tuf::named_snapshot(&timestamp.document.bytes) {
        Ok(checksum) => find(
            connection,
            gun,
            &RoleName::Snapshot,
            &Selector::Checksum(&checksum),
        ),
        Err(_) => Ok(None),
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

    /// One version of a role's document.
    ///
    /// # Errors
    /// When the database fails.
    pub fn by_version(
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

    /// The document of this GUN and role with this SHA-256.
    ///
    /// # Errors
    /// When the database fails.
    pub fn by_checksum(
        &self,
        gun: &Gun,
        role: &RoleName,
        checksum: &Checksum,
    ) -> Result<Option<Stored>, StoreError> {
        find(
            &mut *self.database.reader()?,
            gun,
            role,
            &Selector::Checksum(checksum),
        )
    }

    /// The newest timestamp and the snapshot that it names.
    ///
    /// # Errors
    /// When the database fails.
    pub fn timestamp_and_snapshot(&self, gun: &Gun) -> Result<Option<TimestampAndSnapshot>, StoreError> {
        self.at_one_moment(|connection| {
            let Some(timestamp) = find(connection, gun, &RoleName::Timestamp, &Selector::Highest)? else {
                return Ok(None);
            };
            let Ok(checksum) = tuf::named_snapshot(&timestamp.document.bytes) else {
                return Ok(None);
            };
            let snapshot = find(
                connection,
                gun,
                &RoleName::Snapshot,
                &Selector::Checksum(&checksum),
            )?;
            Ok(snapshot.map(|snapshot| TimestampAndSnapshot { timestamp, snapshot }))
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
