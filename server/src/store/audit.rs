//! The table of changes. A row is added in the transaction of the change that it records, and never modified.

use chrono::{DateTime, Utc};
use diesel::{
    prelude::*,
    sql_types::{Integer, Text},
};
use platform::database::{DbConnection, Statement, exact, first_only};
use tuf::Gun;

use super::{
    Actor, Store, StoreError,
    commit::GUN_LOCK,
    schema::{audit_log, change_actors, changefeed, tuf_files},
};
use crate::audit::{
    chain::{self, Chain},
    record::{Change, ChangeRecord, Place, StoredDocument},
};

/// The name of the lock for writers of chains that do not belong to a repository.
pub(super) const AUDIT_LOCK: &str = "audit";

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = audit_log)]
pub struct AuditRow {
    /// The row's ID in the table.
    pub id: i32,
    /// Its chain.
    pub chain: String,
    /// Its number in the chain, from 1.
    pub sequence: i32,
    /// The record, as it was hashed.
    pub record: String,
    /// The row's hash: SHA-256, in hex.
    pub hash: String,
}

/// An entry of the changefeed.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct MadeChange {
    /// The ID in the changefeed.
    pub id: i32,
    /// The repository.
    pub gun: String,
    /// The principal named as its author; `None` for changes that other programs made.
    pub principal: Option<String>,
}

/// The documents and records of one repository at one moment.
#[derive(Debug)]
pub struct Accounted {
    /// The records, in their order.
    pub records: Vec<String>,
    /// The documents that are stored.
    pub documents: Vec<StoredDocument>,
    /// Whether the changefeed has entries that name no principal.
    pub changed_by_others: bool,
    /// Whether one of them is a deletion.
    pub deleted_by_others: bool,
}

/// The entries of a list and the records of its chain at one moment.
#[derive(Debug)]
pub struct Listed {
    /// The records, in their order.
    pub records: Vec<String>,
    /// The subjects of the entries, as records name them.
    pub subjects: Vec<String>,
}

/// The number and hash of the last row of a chain.
pub(super) type End = Option<(i32, String)>;

fn end(connection: &mut DbConnection, chain: &str) -> QueryResult<End> {
    let last: Statement<'_, (Integer, Text)> =
        Statement::new("SELECT sequence, hash FROM audit_log WHERE chain = ")
            .text(chain)
            .sql(" ORDER BY sequence DESC LIMIT 1");
    // All of the answer is read: it may end with a failure.
    Ok(last.load(connection)?.pop())
}

/// Adds a record after the last one of its chain. The caller must hold the chain's lock: see [`Chain`].
pub(super) fn append_after(
    connection: &mut DbConnection,
    name: String,
    end: End,
    actor: &Actor,
    change: Change,
    now: DateTime<Utc>,
) -> QueryResult<Place> {
    let (sequence, previous) = end.unwrap_or_default();
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
    let insert: Statement<'_> =
        Statement::new("INSERT INTO audit_log (chain, sequence, record, hash) VALUES (")
            .text(&name)
            .sql(", ")
            .integer(sequence)
            .sql(", ")
            .text(&record)
            .sql(", ")
            .text(&hash)
            .sql(")");
    insert.execute(connection)?;
    Ok(Place {
        chain: name,
        sequence,
        hash,
    })
}

/// The records of a chain, in their order.
pub(super) fn records(connection: &mut DbConnection, chain: &Chain) -> QueryResult<Vec<String>> {
    audit_log::table
        .filter(audit_log::chain.eq(chain.name()))
        .order(audit_log::sequence.asc())
        .select(audit_log::record)
        .load(connection)
}

impl Store {
    /// The end of a chain, to be read before its transaction changes anything; `None` if the table is not enabled.
    pub(super) fn end(&self, connection: &mut DbConnection, chain: &Chain) -> QueryResult<End> {
        if self.audit_table {
            end(connection, &chain.name())
        } else {
            Ok(None)
        }
    }

    /// Adds a record after the end of its chain, if the table is enabled. The caller must hold the chain's lock.
    pub(super) fn note(
        &self,
        connection: &mut DbConnection,
        chain: &Chain,
        end: End,
        actor: &Actor,
        change: Change,
        now: DateTime<Utc>,
    ) -> QueryResult<Option<Place>> {
        if !self.audit_table {
            return Ok(None);
        }
        append_after(connection, chain.name(), end, actor, change, now).map(Some)
    }

    /// Records a change to a repository outside of this database, such as a new key at the signer.
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
            connection.repeated_transaction_for(GUN_LOCK, gun.as_str(), |connection| {
                let end = self.end(connection, &chain)?;
                self.note(connection, &chain, end, actor, change.clone(), now)
            })?,
        )
    }

    /// Records that a certificate was issued to a principal; `detail` says which.
    ///
    /// # Errors
    /// When the database fails.
    pub fn note_certificate(
        &self,
        principal: &str,
        detail: String,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Option<Place>, StoreError> {
        let chain = Chain::Certificates;
        let change = Change {
            action: "certificate.issue".to_owned(),
            subject: Some(principal.to_owned()),
            detail: Some(detail),
            ..Change::default()
        };
        let mut connection = self.database.writer()?;
        Ok(
            connection.repeated_transaction_for(AUDIT_LOCK, &chain.name(), |connection| {
                let end = self.end(connection, &chain)?;
                self.note(connection, &chain, end, actor, change.clone(), now)
            })?,
        )
    }

    /// The ends of the given chains, without those that are empty.
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

    /// At most `count` rows after ID `after`, in the order in which they were added; of one chain, or of all.
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

    /// At most `count` rows after the place `after`, ordered by chain.
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

    /// The row with this number in a chain.
    ///
    /// # Errors
    /// When the database fails.
    pub fn audit_row(&self, chain: &str, sequence: i32) -> Result<Option<AuditRow>, StoreError> {
        let row = audit_log::table
            .filter(audit_log::chain.eq(chain))
            .filter(audit_log::sequence.eq(sequence))
            .select(AuditRow::as_select());
        Ok(first_only(row)
            .get_result(&mut *self.database.reader()?)
            .optional()?)
    }

    /// Whether the table has a row with this ID.
    ///
    /// # Errors
    /// When the database fails.
    pub fn has_audit_row(&self, id: i64) -> Result<bool, StoreError> {
        let Ok(id) = i32::try_from(id) else {
            return Ok(false);
        };
        let row = audit_log::table.find(id).select(audit_log::id);
        let found: Option<i32> = first_only(row)
            .get_result(&mut *self.database.reader()?)
            .optional()?;
        Ok(found.is_some())
    }

    /// The ID of the table's last row; `None` if the table is empty.
    ///
    /// # Errors
    /// When the database fails.
    pub fn last_audit_row(&self) -> Result<Option<i32>, StoreError> {
        let last = audit_log::table.select(diesel::dsl::max(audit_log::id));
        Ok(last.get_result(&mut *self.database.reader()?)?)
    }

    /// The documents of a repository, and its records.
    ///
    /// # Errors
    /// When the database fails.
    pub fn accounted(&self, gun: &Gun) -> Result<Accounted, StoreError> {
        self.at_one_moment(|connection| {
            let others: Vec<String> = changefeed::table
                .left_join(change_actors::table.on(changefeed::id.eq(change_actors::change_id)))
                .filter(exact(changefeed::gun, gun.as_str()))
                .filter(change_actors::principal.nullable().is_null())
                .select(changefeed::category)
                .load(connection)?;
            let stored: Vec<(String, i32, Option<String>)> = tuf_files::table
                .filter(exact(tuf_files::gun, gun.as_str()))
                .filter(tuf_files::deleted_at.is_null())
                .select((tuf_files::role, tuf_files::version, tuf_files::sha256))
                .load(connection)?;
            let documents = stored.into_iter().map(|(role, version, sha256)| StoredDocument {
                role,
                version,
                // Other database engines pad these columns with spaces.
                sha256: sha256.unwrap_or_default().trim_end().to_owned(),
            });
            Ok(Accounted {
                records: records(connection, &Chain::Gun(gun.clone()))?,
                documents: documents.collect(),
                changed_by_others: !others.is_empty(),
                deleted_by_others: others.iter().any(|category| category == "deletion"),
            })
        })
    }

    /// The accounts or the deny list, with the records of its chain; empty for a repository's chain.
    ///
    /// # Errors
    /// When the database fails.
    pub fn listed(&self, chain: &Chain) -> Result<Listed, StoreError> {
        self.at_one_moment(|connection| {
            let subjects = match chain {
                Chain::Accounts => super::accounts::names(connection)?,
                Chain::Denials => super::denials::subjects(connection)?,
                Chain::Gun(_) | Chain::Native(_) | Chain::Certificates => Vec::new(),
            };
            Ok(Listed {
                records: records(connection, chain)?,
                subjects,
            })
        })
    }

    /// At most `count` entries of the changefeed after ID `after`, with the principals that made them.
    ///
    /// # Errors
    /// When the database fails.
    pub fn made_changes(&self, after: i32, count: u32) -> Result<Vec<MadeChange>, StoreError> {
        let changes = changefeed::table
            .left_join(change_actors::table.on(changefeed::id.eq(change_actors::change_id)))
            .filter(changefeed::id.gt(after))
            .order(changefeed::id.asc())
            .limit(i64::from(count))
            .select((
                changefeed::id,
                changefeed::gun,
                change_actors::principal.nullable(),
            ));
        Ok(changes.load(&mut *self.database.reader()?)?)
    }
}
