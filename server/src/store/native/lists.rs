//! Which repositories there are, and what happened to one.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use platform::database::exact;
use tuf::Gun;

use super::{NativeRepository, Row, chain_of, repository};
use crate::{
    audit::record::ChangeRecord,
    store::{
        Store, StoreError,
        schema::{audit_log, native_drafts, native_files, native_repositories},
    },
};

impl Store {
    /// The names of all repositories, deleted ones too.
    ///
    /// # Errors
    /// When the database fails.
    pub fn native_names(&self) -> Result<Vec<String>, StoreError> {
        Ok(native_repositories::table
            .select(native_repositories::name)
            .order(native_repositories::name.asc())
            .load(&mut *self.database.reader()?)?)
    }

    /// The newest `count` roots of a repository, with their versions, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn native_newest_roots(&self, name: &Gun, count: usize) -> Result<Vec<(i32, Vec<u8>)>, StoreError> {
        Ok(native_files::table
            .filter(exact(native_files::repository, name.as_str()))
            .filter(exact(native_files::role, "root"))
            .order(native_files::version.desc())
            .limit(i64::try_from(count).unwrap_or(i64::MAX))
            .select((native_files::version, native_files::data))
            .load(&mut *self.database.reader()?)?)
    }

    /// The repository of every file that waits for signatures: as often as files wait in it.
    ///
    /// # Errors
    /// When the database fails.
    pub fn native_waiting(&self) -> Result<Vec<String>, StoreError> {
        Ok(native_drafts::table
            .order(native_drafts::repository.asc())
            .select(native_drafts::repository)
            .load(&mut *self.database.reader()?)?)
    }

    /// At most `count` repositories after `after`, in order, that were not deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub fn native_repositories(&self, after: &str, count: u32) -> Result<Vec<NativeRepository>, StoreError> {
        let rows: Vec<Row> = native_repositories::table
            .filter(native_repositories::deleted_at.is_null())
            .filter(native_repositories::name.gt(after))
            .order(native_repositories::name.asc())
            .limit(i64::from(count))
            .select((
                native_repositories::name,
                native_repositories::timestamp_version,
                native_repositories::snapshot_version,
                native_repositories::expires_at,
                native_repositories::deleted_at,
            ))
            .load(&mut *self.database.reader()?)?;
        Ok(rows.into_iter().map(repository).collect())
    }

    /// The names of all repositories that were not deleted, in order, and the versions of their timestamps: whatever of a
    /// repository changes raises that.
    ///
    /// # Errors
    /// When the database fails.
    pub fn native_versions(&self) -> Result<Vec<(String, i32)>, StoreError> {
        Ok(native_repositories::table
            .filter(native_repositories::deleted_at.is_null())
            .order(native_repositories::name.asc())
            .select((native_repositories::name, native_repositories::timestamp_version))
            .load(&mut *self.database.reader()?)?)
    }

    /// The last `count` records of a repository, newest first; what cannot be read is left out. There are none without the
    /// audit's table.
    ///
    /// # Errors
    /// When the database fails.
    pub fn native_history(&self, name: &Gun, count: u32) -> Result<Vec<ChangeRecord>, StoreError> {
        let rows: Vec<String> = audit_log::table
            .filter(audit_log::chain.eq(chain_of(name).name()))
            .order(audit_log::sequence.desc())
            .limit(i64::from(count))
            .select(audit_log::record)
            .load(&mut *self.database.reader()?)?;
        let read = rows.iter().filter_map(|record| serde_json::from_str(record).ok());
        Ok(read.collect())
    }

    /// At most `count` names of repositories after `after`, in order, whose timestamp or snapshot expires before `end`.
    ///
    /// # Errors
    /// When the database fails.
    pub fn native_expiring(
        &self,
        end: DateTime<Utc>,
        after: &str,
        count: u32,
    ) -> Result<Vec<String>, StoreError> {
        let mut connection = self.database.reader()?;
        let end = connection.storable(end);
        Ok(native_repositories::table
            .filter(native_repositories::deleted_at.is_null())
            .filter(native_repositories::expires_at.lt(end))
            .filter(native_repositories::name.gt(after))
            .order(native_repositories::name.asc())
            .limit(i64::from(count))
            .select(native_repositories::name)
            .load(&mut *connection)?)
    }
}
