//! Leases, by which several servers on one database share the renewals: at any time, only one of them works on a GUN.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use platform::database::{exact, is_conflict};
use tuf::RoleName;

use super::{
    Store, StoreError,
    schema::{refresh_leases, tuf_files},
};

#[derive(Insertable)]
#[diesel(table_name = refresh_leases)]
struct NewLease<'a> {
    gun: &'a str,
    holder: &'a str,
    held_until: NaiveDateTime,
}

impl Store {
    /// At most `count` GUNs after `after`, in order, that have a timestamp.
    ///
    /// # Errors
    /// When the database fails.
    pub fn guns(&self, after: &str, count: u32) -> Result<Vec<String>, StoreError> {
        let guns = tuf_files::table
            .filter(tuf_files::role.eq(RoleName::Timestamp.as_str()))
            .filter(tuf_files::deleted_at.is_null())
            .filter(tuf_files::gun.gt(after))
            .select(tuf_files::gun)
            .distinct()
            .order(tuf_files::gun.asc())
            .limit(i64::from(count));
        Ok(guns.load(&mut *self.database.reader()?)?)
    }

    /// At most `count` GUNs after `after`, in order, that have no timestamp made after `made_before`.
    ///
    /// # Errors
    /// When the database fails.
    pub fn guns_without_timestamp_since(
        &self,
        made_before: DateTime<Utc>,
        after: &str,
        count: u32,
    ) -> Result<Vec<String>, StoreError> {
        let made_before = made_before.naive_utc();
        let newer = diesel::alias!(tuf_files as newer);
        let newer_of_same = newer
            .filter(newer.field(tuf_files::gun).eq(tuf_files::gun))
            .filter(newer.field(tuf_files::role).eq(RoleName::Timestamp.as_str()))
            .filter(newer.field(tuf_files::deleted_at).is_null())
            .filter(newer.field(tuf_files::created_at).ge(made_before));
        let guns = tuf_files::table
            .filter(tuf_files::role.eq(RoleName::Timestamp.as_str()))
            .filter(tuf_files::deleted_at.is_null())
            .filter(tuf_files::gun.gt(after))
            // Rows of old databases may lack the time at which they were made.
            .filter(
                tuf_files::created_at
                    .lt(made_before)
                    .or(tuf_files::created_at.is_null()),
            )
            .filter(diesel::dsl::not(diesel::dsl::exists(newer_of_same)))
            .select(tuf_files::gun)
            .distinct()
            .order(tuf_files::gun.asc())
            .limit(i64::from(count));
        Ok(guns.load(&mut *self.database.reader()?)?)
    }

    /// Takes the lease of a GUN, or of something whose name is none, until `until`; returns false if another server holds
    /// it.
    ///
    /// # Errors
    /// When the database fails.
    pub fn take_lease(
        &self,
        gun: &str,
        holder: &str,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut connection = self.database.writer()?;
        let (now, until) = (connection.storable(now), connection.storable(until));
        let free = refresh_leases::table
            .filter(exact(refresh_leases::gun, gun))
            .filter(
                refresh_leases::holder
                    .eq(holder)
                    .or(refresh_leases::held_until.lt(now)),
            );
        let taken = diesel::update(free)
            .set((
                refresh_leases::holder.eq(holder),
                refresh_leases::held_until.eq(until),
            ))
            .execute(&mut *connection);
        match taken {
            Ok(0) => {}
            Ok(_) => return Ok(true),
            Err(cause) if is_conflict(&cause) => return Ok(false),
            Err(other) => return Err(other.into()),
        }
        let lease = NewLease {
            gun,
            holder,
            held_until: until,
        };
        match diesel::insert_into(refresh_leases::table)
            .values(&lease)
            .execute(&mut *connection)
        {
            Ok(_) => Ok(true),
            Err(cause) if is_conflict(&cause) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }
}
