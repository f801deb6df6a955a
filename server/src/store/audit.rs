//! The table of changes: rows are added in the transaction of the change they record, and never changed.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use platform::database::DbConnection;
use tuf::Gun;

use super::{
    Actor, Store, StoreError,
    commit::GUN_LOCK,
    schema::{audit_log, change_actors, changefeed},
};
use crate::audit::{
    chain::{self, Chain},
    record::{Change, ChangeRecord, Place},
};

/// Writers of a chain that is not a repository's exclude each other under this name.
pub(super) const AUDIT_LOCK: &str = "audit";

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = audit_log)]
pub struct AuditRow {
    /// Its place in the table.
    pub id: i32,
    /// Its chain.
    pub chain: String,
    /// Its place in the chain, from 1.
    pub sequence: i32,
    /// The record, as it was hashed.
    pub record: String,
    /// SHA-256, in hex.
    pub hash: String,
}

/// An entry of the changefeed that this program made.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct MadeChange {
    /// Its place in the feed.
    pub id: i32,
    /// The repository.
    pub gun: String,
    /// Who is named as its maker.
    pub principal: String,
}

#[derive(Insertable)]
#[diesel(table_name = audit_log)]
struct NewRow<'a> {
    chain: &'a str,
    sequence: i32,
    record: &'a str,
    hash: &'a str,
}

/// The last place of a chain, and its hash.
fn end(connection: &mut DbConnection, chain: &str) -> QueryResult<Option<(i32, String)>> {
    audit_log::table
        .filter(audit_log::chain.eq(chain))
        .select((audit_log::sequence, audit_log::hash))
        .order(audit_log::sequence.desc())
        .first(connection)
        .optional()
}

/// Adds a record to its chain. To be called while nobody else can add to it: see [`Chain`].
pub(super) fn append(
    connection: &mut DbConnection,
    chain: &Chain,
    actor: &Actor,
    change: Change,
    now: DateTime<Utc>,
) -> QueryResult<Place> {
    let name = chain.name();
    let (sequence, previous) = end(connection, &name)?.unwrap_or_default();
    let sequence = sequence + 1;
    let record = ChangeRecord {
        chain: name.clone(),
        sequence,
        ts: now,
        request_id: actor.request_id.clone(),
        who: actor.who(),
        change,
    };
    let record = serde_json::to_string(&record)
        .map_err(|cause| diesel::result::Error::SerializationError(Box::new(cause)))?;
    let hash = chain::link(&previous, &record);
    diesel::insert_into(audit_log::table)
        .values(NewRow {
            chain: &name,
            sequence,
            record: &record,
            hash: &hash,
        })
        .execute(connection)?;
    Ok(Place {
        chain: name,
        sequence,
        hash,
    })
}

impl Store {
    /// Adds a record, if the table is kept.
    pub(super) fn note(
        &self,
        connection: &mut DbConnection,
        chain: &Chain,
        actor: &Actor,
        change: Change,
        now: DateTime<Utc>,
    ) -> QueryResult<Option<Place>> {
        if !self.audit_table {
            return Ok(None);
        }
        append(connection, chain, actor, change, now).map(Some)
    }

    /// Records what was done to a repository outside of this database, such as a new key at the signer.
    ///
    /// # Errors
    /// When the database fails.
    pub fn record_change(
        &self,
        gun: &Gun,
        actor: &Actor,
        change: Change,
        now: DateTime<Utc>,
    ) -> Result<Option<Place>, StoreError> {
        let mut connection = self.database.writer()?;
        let chain = Chain::Gun(gun.clone());
        Ok(
            connection.write_transaction_for(GUN_LOCK, gun.as_str(), |connection| {
                self.note(connection, &chain, actor, change, now)
            })?,
        )
    }

    /// The ends of those of the chains that have one.
    ///
    /// # Errors
    /// When the database fails.
    pub fn audit_ends(&self, chains: &[Chain]) -> Result<Vec<Place>, StoreError> {
        let mut connection = self.database.reader()?;
        let mut ends = Vec::new();
        for chain in chains.iter().map(Chain::name) {
            if let Some((sequence, hash)) = end(&mut connection, &chain)? {
                ends.push(Place {
                    chain,
                    sequence,
                    hash,
                });
            }
        }
        Ok(ends)
    }

    /// At most `count` rows after `after`, as they were added; of one chain, or of all.
    ///
    /// # Errors
    /// When the database fails.
    pub fn audit_rows(
        &self,
        chain: Option<&Chain>,
        after: i32,
        count: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let mut rows = audit_log::table
            .filter(audit_log::id.gt(after))
            .order(audit_log::id.asc())
            .limit(i64::from(count))
            .select(AuditRow::as_select())
            .into_boxed();
        if let Some(chain) = chain {
            rows = rows.filter(audit_log::chain.eq(chain.name()));
        }
        Ok(rows.load(&mut *self.database.reader()?)?)
    }

    /// At most `count` rows after the place `after`, chain by chain.
    ///
    /// # Errors
    /// When the database fails.
    pub fn audit_rows_by_chain(
        &self,
        (chain, sequence): (&str, i32),
        count: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let rows = audit_log::table
            .filter(
                audit_log::chain
                    .gt(chain)
                    .or(audit_log::chain.eq(chain).and(audit_log::sequence.gt(sequence))),
            )
            .order((audit_log::chain.asc(), audit_log::sequence.asc()))
            .limit(i64::from(count))
            .select(AuditRow::as_select());
        Ok(rows.load(&mut *self.database.reader()?)?)
    }

    /// The row at a place.
    ///
    /// # Errors
    /// When the database fails.
    pub fn audit_row(&self, chain: &str, sequence: i32) -> Result<Option<AuditRow>, StoreError> {
        let row = audit_log::table
            .filter(audit_log::chain.eq(chain))
            .filter(audit_log::sequence.eq(sequence))
            .select(AuditRow::as_select());
        Ok(row.first(&mut *self.database.reader()?).optional()?)
    }

    /// At most `count` entries after `after` of the changefeed that this program made.
    ///
    /// # Errors
    /// When the database fails.
    pub fn made_changes(&self, after: i32, count: u32) -> Result<Vec<MadeChange>, StoreError> {
        let changes = change_actors::table
            .inner_join(changefeed::table.on(changefeed::id.eq(change_actors::change_id)))
            .filter(change_actors::change_id.gt(after))
            .order(change_actors::change_id.asc())
            .limit(i64::from(count))
            .select((
                change_actors::change_id,
                changefeed::gun,
                change_actors::principal,
            ));
        Ok(changes.load(&mut *self.database.reader()?)?)
    }
}
