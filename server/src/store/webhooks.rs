//! How far each webhook was told of the changes, and what it could not be told.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use platform::database::{exact, first_only, is_conflict};

use super::{
    Change, Store, StoreError,
    schema::{undelivered_events, webhooks},
};

/// An event that a webhook could not be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// The ID of the change.
    pub change_id: i32,
    /// Why not, the last time.
    pub reason: String,
    /// When that was.
    pub failed_at: DateTime<Utc>,
}

#[derive(Insertable)]
#[diesel(table_name = webhooks)]
struct NewWebhook<'a> {
    name: &'a str,
    settled: i32,
    updated_at: NaiveDateTime,
}

#[derive(Insertable)]
#[diesel(table_name = undelivered_events)]
struct NewUndelivered<'a> {
    webhook: &'a str,
    change_id: i32,
    reason: &'a str,
    failed_at: NaiveDateTime,
}

impl Store {
    /// Up to which change a webhook was told everything; `None` if it was told nothing yet.
    ///
    /// # Errors
    /// When the database fails.
    pub fn webhook_settled(&self, name: &str) -> Result<Option<i32>, StoreError> {
        let row = webhooks::table
            .filter(exact(webhooks::name, name))
            .select(webhooks::settled);
        Ok(first_only(row)
            .get_result(&mut *self.database.reader()?)
            .optional()?)
    }

    /// Stores up to which change a webhook was told everything.
    ///
    /// # Errors
    /// When the database fails.
    pub fn settle_webhook(&self, name: &str, settled: i32, now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut connection = self.database.writer()?;
        let updated_at = connection.storable(now);
        let known = webhooks::table.filter(exact(webhooks::name, name));
        let changed = diesel::update(known)
            .set((webhooks::settled.eq(settled), webhooks::updated_at.eq(updated_at)))
            .execute(&mut *connection)?;
        if changed > 0 {
            return Ok(());
        }
        let row = NewWebhook {
            name,
            settled,
            updated_at,
        };
        match diesel::insert_into(webhooks::table)
            .values(&row)
            .execute(&mut *connection)
        {
            // MySQL counts no change when the values were the same.
            Err(cause) if !is_conflict(&cause) => Err(cause.into()),
            _ => Ok(()),
        }
    }

    /// Stores that a webhook could not be told of a change.
    ///
    /// # Errors
    /// When the database fails.
    pub fn add_undelivered(
        &self,
        webhook: &str,
        change_id: i32,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut connection = self.database.writer()?;
        let failed_at = connection.storable(now);
        let known = undelivered_events::table
            .filter(exact(undelivered_events::webhook, webhook))
            .filter(undelivered_events::change_id.eq(change_id));
        let changed = diesel::update(known)
            .set((
                undelivered_events::reason.eq(reason),
                undelivered_events::failed_at.eq(failed_at),
            ))
            .execute(&mut *connection)?;
        if changed > 0 {
            return Ok(());
        }
        let row = NewUndelivered {
            webhook,
            change_id,
            reason,
            failed_at,
        };
        match diesel::insert_into(undelivered_events::table)
            .values(&row)
            .execute(&mut *connection)
        {
            Err(cause) if !is_conflict(&cause) => Err(cause.into()),
            _ => Ok(()),
        }
    }

    /// What a webhook could not be told, oldest first, at most `count`.
    ///
    /// # Errors
    /// When the database fails.
    pub fn undelivered(&self, webhook: &str, count: u32) -> Result<Vec<Undelivered>, StoreError> {
        let rows: Vec<(i32, String, NaiveDateTime)> = undelivered_events::table
            .filter(exact(undelivered_events::webhook, webhook))
            .order(undelivered_events::change_id.asc())
            .limit(i64::from(count))
            .select((
                undelivered_events::change_id,
                undelivered_events::reason,
                undelivered_events::failed_at,
            ))
            .load(&mut *self.database.reader()?)?;
        let read = |(change_id, reason, failed_at): (i32, String, NaiveDateTime)| Undelivered {
            change_id,
            reason,
            failed_at: failed_at.and_utc(),
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// How many changes a webhook could not be told.
    ///
    /// # Errors
    /// When the database fails.
    pub fn count_undelivered(&self, webhook: &str) -> Result<i64, StoreError> {
        let count = undelivered_events::table
            .filter(exact(undelivered_events::webhook, webhook))
            .count();
        Ok(count.get_result(&mut *self.database.reader()?)?)
    }

    /// A webhook was told of a change after all. Returns false if that was not missing.
    ///
    /// # Errors
    /// When the database fails.
    pub fn remove_undelivered(&self, webhook: &str, change_id: i32) -> Result<bool, StoreError> {
        let mut connection = self.database.writer()?;
        let known = undelivered_events::table
            .filter(exact(undelivered_events::webhook, webhook))
            .filter(undelivered_events::change_id.eq(change_id));
        Ok(diesel::delete(known).execute(&mut *connection)? > 0)
    }

    /// The change with an ID; `None` if there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub fn change(&self, id: i32) -> Result<Option<Change>, StoreError> {
        Ok(self.changes_between(id, id, 1)?.into_iter().next())
    }
}
