//! Records for which repository and role the server handed out a key, for signers that do not report it.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use platform::database::{first_only, is_conflict};
use tuf::{Gun, KeyId, RoleName};

use super::{Store, StoreError, schema::server_keys};

#[derive(Insertable)]
#[diesel(table_name = server_keys)]
struct NewRow<'a> {
    key_id: &'a str,
    gun: &'a str,
    role: &'a str,
    created_at: NaiveDateTime,
}

impl Store {
    /// Records for what a key was handed out. An existing record is not changed.
    ///
    /// # Errors
    /// When the database fails.
    pub fn remember_server_key(
        &self,
        id: &KeyId,
        gun: &Gun,
        role: &RoleName,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        if self.server_key(id)?.is_some() {
            return Ok(());
        }
        let mut connection = self.database.writer()?;
        let row = NewRow {
            key_id: id.as_str(),
            gun: gun.as_str(),
            role: role.as_str(),
            created_at: connection.storable(now),
        };
        match diesel::insert_into(server_keys::table)
            .values(&row)
            .execute(&mut *connection)
        {
            // Another client asked for it at the same moment.
            Err(cause) if is_conflict(&cause) => Ok(()),
            outcome => Ok(outcome.map(drop)?),
        }
    }

    /// The GUN and role for which a key was handed out, if recorded.
    ///
    /// # Errors
    /// When the database fails.
    pub fn server_key(&self, id: &KeyId) -> Result<Option<(String, String)>, StoreError> {
        let row = server_keys::table
            .find(id.as_str())
            .select((server_keys::gun, server_keys::role));
        Ok(first_only(row)
            .get_result(&mut *self.database.reader()?)
            .optional()?)
    }
}
