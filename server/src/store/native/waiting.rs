//! Metadata of TUF 1.0 repositories that waits for signatures: at most one file of each role.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use platform::database::{exact, first_only, is_conflict};
use tuf::Gun;

use super::{chain_of, lock_of};
use crate::{
    audit::record::{Change, Place},
    store::{Actor, CommitError, Store, StoreError, commit::GUN_LOCK, schema::native_drafts},
};

impl Store {
    /// What waits for signatures in a repository: role and bytes, in the order of their names.
    ///
    /// # Errors
    /// When the database fails.
    pub fn native_drafts(&self, name: &Gun) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        Ok(native_drafts::table
            .filter(exact(native_drafts::repository, name.as_str()))
            .order(native_drafts::role.asc())
            .select((native_drafts::role, native_drafts::data))
            .load(&mut *self.database.reader()?)?)
    }

    /// The file of one role that waits for signatures.
    ///
    /// # Errors
    /// When the database fails.
    pub fn native_draft(&self, name: &Gun, role: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let row = native_drafts::table
            .filter(exact(native_drafts::repository, name.as_str()))
            .filter(exact(native_drafts::role, role))
            .select(native_drafts::data);
        Ok(first_only(row)
            .get_result(&mut *self.database.reader()?)
            .optional()?)
    }

    /// Stores a file that waits for signatures, in place of `before`; `None` if none waited.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when another file waits meanwhile, or when the database fails.
    pub fn put_native_draft(
        &self,
        name: &Gun,
        (role, before, after): (&str, Option<&[u8]>, &[u8]),
        actor: &Actor,
        at: DateTime<Utc>,
    ) -> Result<Option<Place>, CommitError> {
        let mut connection = self.database.writer().map_err(StoreError::from)?;
        let now = connection.storable(at);
        connection.write_transaction_for(GUN_LOCK, &lock_of(name), |connection| {
            let end = self.end(connection, &chain_of(name))?;
            let row = native_drafts::table
                .filter(exact(native_drafts::repository, name.as_str()))
                .filter(exact(native_drafts::role, role));
            let there: Option<Vec<u8>> = first_only(row.clone().select(native_drafts::data))
                .get_result(connection)
                .optional()?;
            if there.as_deref() != before {
                return Err(CommitError::Conflict);
            }
            if before.is_some() {
                diesel::update(row)
                    .set((native_drafts::data.eq(after), native_drafts::updated_at.eq(now)))
                    .execute(connection)?;
            } else {
                let row = (
                    native_drafts::repository.eq(name.as_str()),
                    native_drafts::role.eq(role),
                    native_drafts::data.eq(after),
                    native_drafts::updated_at.eq(now),
                );
                match diesel::insert_into(native_drafts::table)
                    .values(row)
                    .execute(connection)
                {
                    Err(cause) if is_conflict(&cause) => return Err(CommitError::Conflict),
                    outcome => drop(outcome?),
                }
            }
            let change = Change {
                action: "tuf.sign".to_owned(),
                gun: Some(name.to_string()),
                subject: Some(role.to_owned()),
                detail: Some(hex::encode(openssl::sha::sha256(after))),
                ..Change::default()
            };
            Ok(self.note(connection, &chain_of(name), end, actor, change, at)?)
        })
    }

    /// Removes a file that waits for signatures; false if none does.
    ///
    /// # Errors
    /// When the database fails.
    pub fn drop_native_draft(
        &self,
        name: &Gun,
        role: &str,
        actor: &Actor,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut connection = self.database.writer()?;
        Ok(
            connection.repeated_transaction_for(GUN_LOCK, &lock_of(name), |connection| {
                let end = self.end(connection, &chain_of(name))?;
                let row = native_drafts::table
                    .filter(exact(native_drafts::repository, name.as_str()))
                    .filter(exact(native_drafts::role, role));
                if diesel::delete(row).execute(connection)? == 0 {
                    return Ok(false);
                }
                let change = Change {
                    action: "tuf.unsign".to_owned(),
                    gun: Some(name.to_string()),
                    subject: Some(role.to_owned()),
                    ..Change::default()
                };
                self.note(connection, &chain_of(name), end, actor, change, at)?;
                Ok(true)
            })?,
        )
    }
}
