//! Inspects everything that is stored, GUN by GUN, without changing it.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use diesel::{dsl::count, helper_types::IntoBoxed, prelude::*};
use platform::database::{Database, DbConnection, Location, MultiBackend, exact, first_only, padded};
use tuf::{Checksum, Document, Finding, Gun, RoleName, Severity, Version};

use super::{Store, StoreError, Stored, schema::tuf_files};

/// The result of auditing one GUN.
#[derive(Debug)]
pub struct Audited {
    /// The findings, in the order of the chain of trust.
    pub findings: Vec<Finding>,
    /// The highest root.
    pub root: Option<Document>,
}

/// One row as it is stored.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = tuf_files)]
pub(super) struct Row {
    pub(super) created_at: Option<NaiveDateTime>,
    pub(super) role: String,
    pub(super) version: i32,
    pub(super) data: Vec<u8>,
}

impl Row {
    pub(super) fn stored(self, gun: &Gun) -> Result<Stored, StoreError> {
        let damaged = |reason: String| StoreError::Damaged {
            gun: gun.to_string(),
            role: self.role.clone(),
            version: self.version,
            reason,
        };
        let role = RoleName::parse(&self.role).map_err(|cause| damaged(cause.to_string()))?;
        let version = Version::new(i64::from(self.version)).map_err(|cause| damaged(cause.to_string()))?;
        Ok(Stored {
            document: Document::new(role, version, self.data),
            stored_at: self.created_at.map(|time| time.and_utc()),
        })
    }

    fn document(self, gun: &Gun) -> Result<Document, StoreError> {
        self.stored(gun).map(|stored| stored.document)
    }
}

/// The rows of a GUN.
pub(super) fn rows_of(gun: &Gun) -> IntoBoxed<'static, tuf_files::table, MultiBackend> {
    tuf_files::table
        .filter(exact(tuf_files::gun, gun.as_str()))
        .filter(tuf_files::deleted_at.is_null())
        .into_boxed()
}

impl Store {
    /// Opens an existing database for reading only: it is neither created nor migrated.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_read_only(location: &Location) -> Result<Self, StoreError> {
        Ok(Self::over(Database::open_read_only(location)?))
    }

    /// How many GUNs have documents.
    ///
    /// # Errors
    /// When the database fails.
    pub fn count_guns(&self) -> Result<i64, StoreError> {
        Ok(tuf_files::table
            .filter(tuf_files::deleted_at.is_null())
            .select(count(tuf_files::gun).aggregate_distinct())
            .get_result(&mut *self.database.reader()?)?)
    }

    /// At most `count` GUNs after `after`, in order, that have any document. The names are as stored, so this server
    /// may not serve them.
    ///
    /// # Errors
    /// When the database fails.
    pub fn every_gun(&self, after: &str, count: u32) -> Result<Vec<String>, StoreError> {
        let guns = tuf_files::table
            .filter(tuf_files::deleted_at.is_null())
            .filter(tuf_files::gun.gt(after))
            .select(tuf_files::gun)
            .distinct()
            .order(tuf_files::gun.asc())
            .limit(i64::from(count));
        Ok(guns.load(&mut *self.database.reader()?)?)
    }

    /// Whether any document of a GUN is stored.
    ///
    /// # Errors
    /// When the database fails.
    pub fn has(&self, gun: &Gun) -> Result<bool, StoreError> {
        let found: Option<i32> = first_only(rows_of(gun).select(tuf_files::id))
            .get_result(&mut *self.database.reader()?)
            .optional()?;
        Ok(found.is_some())
    }

    /// How many documents lack the checksum by which clients ask for them. Such rows come from old databases whose
    /// column was never filled in.
    ///
    /// # Errors
    /// When the database fails.
    pub fn count_without_checksum(&self) -> Result<i64, StoreError> {
        Ok(tuf_files::table
            .filter(tuf_files::deleted_at.is_null())
            .filter(tuf_files::sha256.is_null())
            .count()
            .get_result(&mut *self.database.reader()?)?)
    }

    /// Verifies every root and all current documents of a GUN at one moment of the database. Also reports what expires
    /// within `soon`.
    ///
    /// # Errors
    /// When the database fails, or a row does not hold a document.
    pub fn audit(&self, gun: &Gun, now: DateTime<Utc>, soon: TimeDelta) -> Result<Audited, StoreError> {
        let mut connection = self.database.reader()?;
        connection.transaction(|connection| audit(connection, gun, now, soon))
    }

    /// Passes the number of documents of a GUN to `begin`, then each document to `take`, all at one moment of the
    /// database and in the order in which they were stored.
    ///
    /// # Errors
    /// When the database fails, a row does not hold a document, or `begin` or `take` fail.
    pub fn each_document<E: From<StoreError> + From<diesel::result::Error>>(
        &self,
        gun: &Gun,
        begin: impl FnOnce(usize) -> Result<(), E>,
        mut take: impl FnMut(Stored) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut connection = self.database.reader().map_err(StoreError::from)?;
        connection.transaction(|connection| {
            let rows: Vec<i32> = rows_of(gun)
                .select(tuf_files::id)
                .order(tuf_files::id)
                .load(connection)?;
            begin(rows.len())?;
            // One at a time: a repository with a long history may be larger than the memory.
            for id in rows {
                let row: Row =
                    first_only(tuf_files::table.find(id).select(Row::as_select())).get_result(connection)?;
                take(row.stored(gun)?)?;
            }
            Ok(())
        })
    }

    /// Every document of a GUN, current or not, that two programs may read differently, and where.
    ///
    /// # Errors
    /// When the database fails, or a row does not hold a document.
    pub fn ambiguous(&self, gun: &Gun) -> Result<Vec<Finding>, StoreError> {
        let mut found = Vec::new();
        self.each_document(
            gun,
            |_| Ok(()),
            |Stored { document, .. }| {
                if let Err(reason) = tuf::has_one_meaning(&document.role, &document.bytes) {
                    found.push(Finding {
                        role: document.role,
                        version: Some(document.version),
                        severity: Severity::Broken,
                        sentence: format!("it can be read in more than one way: {reason}"),
                    });
                }
                Ok::<_, StoreError>(())
            },
        )?;
        Ok(found)
    }

    /// The timestamp with the highest version.
    ///
    /// # Errors
    /// When the database fails, or the row does not hold a document.
    pub fn newest_timestamp(&self, gun: &Gun) -> Result<Option<Document>, StoreError> {
        newest_timestamp(&mut *self.database.reader()?, gun)
    }
}

/// The timestamp with the highest version.
pub(super) fn newest_timestamp(
    connection: &mut DbConnection,
    gun: &Gun,
) -> Result<Option<Document>, StoreError> {
    let row = rows_of(gun)
        .filter(exact(tuf_files::role, RoleName::Timestamp.as_str()))
        .order(tuf_files::version.desc())
        .select(Row::as_select());
    let row: Option<Row> = first_only(row).get_result(connection).optional()?;
    row.map(|row| row.document(gun)).transpose()
}

/// The root with the highest version.
pub(super) fn highest_root(connection: &mut DbConnection, gun: &Gun) -> Result<Option<Document>, StoreError> {
    let row = rows_of(gun)
        .filter(exact(tuf_files::role, RoleName::Root.as_str()))
        .order(tuf_files::version.desc())
        .select(Row::as_select());
    let row: Option<Row> = first_only(row).get_result(connection).optional()?;
    row.map(|row| row.document(gun)).transpose()
}

/// Verifies every root and all current documents of a GUN. Must be called within a transaction.
pub(super) fn audit(
    connection: &mut DbConnection,
    gun: &Gun,
    now: DateTime<Utc>,
    soon: TimeDelta,
) -> Result<Audited, StoreError> {
    let roots: Vec<Row> = rows_of(gun)
        .filter(exact(tuf_files::role, RoleName::Root.as_str()))
        .order(tuf_files::version)
        .select(Row::as_select())
        .load(connection)?;
    let roots = roots.into_iter().map(|row| row.document(gun));
    let mut roots = roots.collect::<Result<Vec<_>, _>>()?;
    let timestamp = newest_timestamp(connection, gun)?;
    let find = |role: &RoleName, checksum: &Checksum| {
        let found = rows_of(gun)
            .filter(exact(tuf_files::role, role.as_str()))
            .filter(padded(tuf_files::sha256, checksum.as_hex()))
            .order(tuf_files::version.desc())
            .select(Row::as_select());
        let found: Option<Row> = first_only(found).get_result(connection).optional()?;
        found.map(|row| row.document(gun)).transpose()
    };
    let findings = tuf::audit(gun, &roots, timestamp.as_ref(), find, now, soon)?;
    Ok(Audited {
        findings,
        root: roots.pop(),
    })
}
