//! Asks the database whether what is in memory is still current, for many requests at once.

use diesel::{
    pg::{Pg, PgConnection},
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Array, BigInt, Integer, Nullable, Text},
};
use platform::database::{DbConnection, MultiBackend, Pooled};

use super::{Security, Store, StoreError, security};

/// The row of the newest timestamp of a GUN. While it is the newest, nothing of the GUN has changed: every publish,
/// renewal and import adds one, and a deletion removes it. Its ID tells a GUN that was deleted and made again from
/// the one before.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NewestTimestamp {
    /// The row's ID.
    pub id: i32,
    /// The timestamp's version.
    pub version: i32,
    /// The SHA-256 stored with it, in hex; empty in rows of old databases that lack it.
    pub sha256: String,
}

/// An answer of the database, at one moment.
#[derive(Debug)]
pub struct Confirmation {
    /// The number of the last change to accounts, keys and denials.
    pub epoch: i64,
    /// For each GUN asked about, in the same order, its newest timestamp; `None` if it has none.
    pub newest: Vec<Option<NewestTimestamp>>,
}

/// A connection that is kept for confirmations.
pub struct Confirmer {
    connection: Pooled,
    /// SQLite's number of the last commit by another connection, and the answers given since.
    version: Option<i64>,
}

/// The position of a GUN (-1 for the row of the epoch), row ID or epoch, version, SHA-256.
type Answer = (i32, i64, i32, Option<String>);

/// One SELECT for each GUN and one for the epoch. The engines do not agree on how a list is bound, so the number of
/// GUNs is part of the text; it is rounded up, so that few texts are prepared.
struct ForEach<'a> {
    guns: &'a [&'a str],
}

impl QueryId for ForEach<'_> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for ForEach<'_> {
    type SqlType = (Integer, BigInt, Integer, Nullable<Text>);
}

impl diesel::RunQueryDsl<DbConnection> for ForEach<'_> {}

impl QueryFragment<MultiBackend> for ForEach<'_> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        // MySQL's columns of Notary's tables compare without regard to case; the second comparison is exact.
        let exactly = matches!(pass.backend(), MultiBackend::Mysql(_));
        pass.push_sql("SELECT -1, epoch, 0, NULL FROM security_epoch WHERE id = 1");
        for position in 0..self.guns.len().next_power_of_two() {
            let Some(gun) = self.guns.get(position).or(self.guns.last()) else {
                break;
            };
            pass.push_sql(&format!(
                " UNION ALL SELECT * FROM (SELECT {position}, id, version, sha256 FROM tuf_files WHERE gun = "
            ));
            pass.push_bind_param::<Text, str>(gun)?;
            if exactly {
                pass.push_sql(" AND gun = BINARY ");
                pass.push_bind_param::<Text, str>(gun)?;
            }
            pass.push_sql(&format!(
                " AND role = 'timestamp' AND deleted_at IS NULL ORDER BY version DESC LIMIT 1) AS t{position}"
            ));
        }
        Ok(())
    }
}

/// The same for PostgreSQL: one text for any number of GUNs.
struct ForAll<'a> {
    guns: &'a [&'a str],
}

impl QueryId for ForAll<'_> {
    type QueryId = ForAll<'static>;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for ForAll<'_> {
    type SqlType = (Integer, BigInt, Integer, Nullable<Text>);
}

impl diesel::RunQueryDsl<PgConnection> for ForAll<'_> {}

impl QueryFragment<Pg> for ForAll<'_> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        pass.push_sql(
            "SELECT -1, epoch, 0, NULL::text FROM security_epoch WHERE id = 1 \
             UNION ALL SELECT asked.position::int - 1, newest.id::bigint, newest.version, newest.sha256::text \
             FROM unnest(",
        );
        pass.push_bind_param::<Array<Text>, _>(&self.guns)?;
        pass.push_sql(
            ") WITH ORDINALITY AS asked (gun, position) CROSS JOIN LATERAL \
             (SELECT id, version, sha256 FROM tuf_files WHERE tuf_files.gun = asked.gun \
             AND role = 'timestamp' AND deleted_at IS NULL ORDER BY version DESC LIMIT 1) AS newest",
        );
        Ok(())
    }
}

/// The number of the last commit by another connection (SQLite only). It is kept prepared, unlike a plain SQL text.
#[derive(QueryId)]
struct DataVersion;

impl Query for DataVersion {
    type SqlType = BigInt;
}

impl diesel::RunQueryDsl<DbConnection> for DataVersion {}

impl QueryFragment<MultiBackend> for DataVersion {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        pass.push_sql("PRAGMA data_version");
        Ok(())
    }
}

fn confirm(connection: &mut DbConnection, guns: &[&str]) -> QueryResult<Confirmation> {
    let answers: Vec<Answer> = match connection {
        // Without a GUN the plain statement is enough.
        DbConnection::Postgres(postgres) if !guns.is_empty() => ForAll { guns }.load(postgres)?,
        _ => ForEach { guns }.load(connection)?,
    };
    let mut epoch = None;
    let mut newest = vec![None; guns.len()];
    for (position, id, version, sha256) in answers {
        let Ok(position) = usize::try_from(position) else {
            epoch = Some(id);
            continue;
        };
        if let Some(place) = newest.get_mut(position) {
            *place = Some(NewestTimestamp {
                id: i32::try_from(id)
                    .map_err(|cause| diesel::result::Error::DeserializationError(cause.into()))?,
                version,
                // PostgreSQL pads this column with spaces.
                sha256: sha256.unwrap_or_default().trim_end().to_owned(),
            });
        }
    }
    Ok(Confirmation {
        // Without the row nothing can be confirmed.
        epoch: epoch.ok_or(diesel::result::Error::NotFound)?,
        newest,
    })
}

impl Confirmer {
    /// Whether nothing at all was committed since the last call that returned false. Only SQLite can tell; for the
    /// other engines it is always false.
    ///
    /// # Errors
    /// When the database fails.
    pub fn nothing_changed(&mut self) -> Result<bool, StoreError> {
        if !matches!(*self.connection, DbConnection::Sqlite(_)) {
            return Ok(false);
        }
        let now: i64 = DataVersion.get_result(&mut *self.connection)?;
        let same = self.version == Some(now);
        self.version = Some(now);
        Ok(same)
    }

    /// Asks about these GUNs, and about accounts, keys and denials.
    ///
    /// # Errors
    /// When the database fails.
    pub fn confirm(&mut self, guns: &[&str]) -> Result<Confirmation, StoreError> {
        Ok(confirm(&mut self.connection, guns)?)
    }

    /// Accounts, keys and denials as they are now.
    ///
    /// # Errors
    /// When the database fails.
    pub fn security(&mut self) -> Result<Security, StoreError> {
        Ok(self.connection.transaction(security::load)?)
    }
}

impl Store {
    /// A connection for confirmations.
    ///
    /// # Errors
    /// When the database does not answer, or no connection becomes free in time.
    pub fn confirmer(&self) -> Result<Confirmer, StoreError> {
        Ok(Confirmer {
            connection: self.database.reader()?,
            version: None,
        })
    }

    /// Whether confirmations on one connection can tell that nothing was committed by others: with SQLite in a file.
    /// A database in memory has one connection for everything, which does not see its own commits there.
    pub fn tells_of_commits(&self) -> bool {
        self.database.tells_of_commits()
    }
}
