//! Changing what is stored: all of it or nothing.

use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};
use diesel::{dsl::max, prelude::*, result::DatabaseErrorKind};
use tuf::{Document, Gun, RoleName, Version};

use super::{
    Store, StoreError,
    schema::{change_actors, changefeed, tuf_files},
};

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
}

/// Why nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Somebody else changed the GUN since its state was read.
    #[error("somebody else published first")]
    Conflict,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<diesel::result::Error> for CommitError {
    fn from(cause: diesel::result::Error) -> Self {
        match cause {
            diesel::result::Error::DatabaseError(
                DatabaseErrorKind::UniqueViolation | DatabaseErrorKind::SerializationFailure,
                _,
            ) => Self::Conflict,
            other => Self::Store(other.into()),
        }
    }
}

#[derive(Insertable)]
#[diesel(table_name = tuf_files)]
struct NewFile<'a> {
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
    gun: &'a str,
    role: &'a str,
    version: i32,
    data: &'a [u8],
    sha256: &'a str,
}

#[derive(Insertable)]
#[diesel(table_name = changefeed)]
struct NewChange<'a> {
    created_at: NaiveDateTime,
    gun: &'a str,
    version: i32,
    sha256: &'a str,
    category: &'a str,
}

#[derive(Insertable)]
#[diesel(table_name = change_actors)]
struct NewActor<'a> {
    change_id: i32,
    principal: &'a str,
    certificate_subject: Option<&'a str>,
    certificate_issuer: Option<&'a str>,
    certificate_serial: Option<&'a str>,
    peer_address: Option<&'a str>,
}

fn highest_version(
    connection: &mut SqliteConnection,
    gun: &Gun,
    role: &RoleName,
) -> QueryResult<Option<i32>> {
    tuf_files::table
        .filter(tuf_files::gun.eq(gun.as_str()))
        .filter(tuf_files::role.eq(role.as_str()))
        .filter(tuf_files::deleted_at.is_null())
        .select(max(tuf_files::version))
        .first(connection)
}

fn record(connection: &mut SqliteConnection, change: &NewChange<'_>, actor: &Actor) -> QueryResult<()> {
    let change_id: i32 = diesel::insert_into(changefeed::table)
        .values(change)
        .returning(changefeed::id)
        .get_result(connection)?;
    diesel::insert_into(change_actors::table)
        .values(NewActor {
            change_id,
            principal: &actor.principal,
            certificate_subject: actor.certificate_subject.as_deref(),
            certificate_issuer: actor.certificate_issuer.as_deref(),
            certificate_serial: actor.certificate_serial.as_deref(),
            peer_address: actor.peer_address.as_deref(),
        })
        .execute(connection)
        .map(drop)
}

/// Puts a new timestamp that was stored in another way than by a publish into the changefeed.
pub(super) fn record_timestamp(
    connection: &mut SqliteConnection,
    gun: &Gun,
    timestamp: &Document,
    actor: &Actor,
    now: DateTime<Utc>,
) -> QueryResult<()> {
    let change = NewChange {
        created_at: now.naive_utc().trunc_subsecs(6),
        gun: gun.as_str(),
        version: timestamp.version.get(),
        sha256: &timestamp.sha256.as_hex(),
        category: "update",
    };
    record(connection, &change, actor)
}

impl Store {
    /// Stores the documents of one update together.
    ///
    /// `base` is the version of the timestamp that the update was made from, `None` for a new GUN. If the
    /// GUN has moved on since (also if it was deleted), or a role already has such a version, nothing is
    /// stored.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when the update comes too late, or when the database fails.
    pub fn commit(
        &self,
        gun: &Gun,
        base: Option<Version>,
        documents: &[Document],
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), CommitError> {
        let now = now.naive_utc().trunc_subsecs(6);
        let mut connection = self.database.writer().map_err(StoreError::from)?;
        connection.immediate_transaction(|connection| {
            let newest = highest_version(connection, gun, &RoleName::Timestamp)?;
            if newest != base.map(Version::get) {
                return Err(CommitError::Conflict);
            }
            for document in documents {
                let version = document.version.get();
                if highest_version(connection, gun, &document.role)?.is_some_and(|stored| stored >= version) {
                    return Err(CommitError::Conflict);
                }
                let sha256 = document.sha256.as_hex();
                diesel::insert_into(tuf_files::table)
                    .values(NewFile {
                        created_at: now,
                        updated_at: now,
                        gun: gun.as_str(),
                        role: document.role.as_str(),
                        version,
                        data: &document.bytes,
                        sha256: &sha256,
                    })
                    .execute(connection)?;
                if document.role == RoleName::Timestamp {
                    let change = NewChange {
                        created_at: now,
                        gun: gun.as_str(),
                        version,
                        sha256: &sha256,
                        category: "update",
                    };
                    record(connection, &change, actor)?;
                }
            }
            Ok(())
        })
    }

    /// Removes every document of exactly this GUN; true if there was any.
    ///
    /// # Errors
    /// When the database fails.
    pub fn delete(&self, gun: &Gun, actor: &Actor, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let mut connection = self.database.writer()?;
        connection.immediate_transaction(|connection| {
            let removed = diesel::delete(tuf_files::table.filter(tuf_files::gun.eq(gun.as_str())))
                .execute(connection)?;
            if removed > 0 {
                let change = NewChange {
                    created_at: now.naive_utc().trunc_subsecs(6),
                    gun: gun.as_str(),
                    version: 0,
                    sha256: "",
                    category: "deletion",
                };
                record(connection, &change, actor)?;
            }
            Ok(removed > 0)
        })
    }
}
