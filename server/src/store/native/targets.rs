//! Target files of TUF 1.0 repositories, by the SHA-256 of their content.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use platform::database::{exact, first_only, is_conflict};
use tuf::Gun;

use super::{chain_of, find, lock_of};
use crate::{
    audit::record::Change,
    store::{
        Actor, Store, StoreError,
        commit::GUN_LOCK,
        schema::{native_drafts, native_targets},
    },
};

/// What became of a target file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetStored {
    /// It is new.
    New,
    /// It was there before.
    Same,
    /// There is no such repository, and nothing of it waits for signatures.
    NoRepository,
    /// The repository holds as many files as it may.
    Full,
}

impl Store {
    /// A target file of a repository that was not deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub fn native_target(&self, name: &Gun, sha256: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.at_one_moment(|connection| {
            if find(connection, name.as_str())?.is_none_or(|found| found.deleted_at.is_some()) {
                return Ok(None);
            }
            let row = native_targets::table
                .filter(exact(native_targets::repository, name.as_str()))
                .filter(native_targets::sha256.eq(sha256))
                .select(native_targets::data);
            Ok(first_only(row).get_result(connection).optional()?)
        })
    }

    /// Stores a target file, of which a repository may hold `most`.
    ///
    /// # Errors
    /// When the database fails.
    pub fn add_native_target(
        &self,
        name: &Gun,
        (sha256, content): (&str, &[u8]),
        most: i64,
        actor: &Actor,
        at: DateTime<Utc>,
    ) -> Result<TargetStored, StoreError> {
        let mut connection = self.database.writer()?;
        let now = connection.storable(at);
        Ok(
            connection.repeated_transaction_for(GUN_LOCK, &lock_of(name), |connection| {
                let end = self.end(connection, &chain_of(name))?;
                let lives = find(connection, name.as_str())?.is_some_and(|found| found.deleted_at.is_none());
                let waiting: i64 = native_drafts::table
                    .filter(exact(native_drafts::repository, name.as_str()))
                    .count()
                    .get_result(connection)?;
                if !lives && waiting == 0 {
                    return Ok(TargetStored::NoRepository);
                }
                let of_repository =
                    native_targets::table.filter(exact(native_targets::repository, name.as_str()));
                let there: i64 = of_repository
                    .clone()
                    .filter(native_targets::sha256.eq(sha256))
                    .count()
                    .get_result(connection)?;
                if there > 0 {
                    return Ok(TargetStored::Same);
                }
                let count: i64 = of_repository.count().get_result(connection)?;
                if count >= most {
                    return Ok(TargetStored::Full);
                }
                let row = (
                    native_targets::repository.eq(name.as_str()),
                    native_targets::sha256.eq(sha256),
                    native_targets::data.eq(content),
                    native_targets::created_at.eq(now),
                );
                match diesel::insert_into(native_targets::table)
                    .values(row)
                    .execute(connection)
                {
                    Err(cause) if is_conflict(&cause) => return Ok(TargetStored::Same),
                    outcome => drop(outcome?),
                }
                let change = Change {
                    action: "tuf.target".to_owned(),
                    gun: Some(name.to_string()),
                    detail: Some(sha256.to_owned()),
                    ..Change::default()
                };
                self.note(connection, &chain_of(name), end, actor, change, at)?;
                Ok(TargetStored::New)
            })?,
        )
    }
}
