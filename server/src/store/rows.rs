//! The rows that a change adds.

use chrono::NaiveDateTime;
use diesel::{
    prelude::*,
    sql_types::{BigInt, Integer, Text},
};
use platform::database::{DbConnection, Statement};
use tuf::{Document, Gun, RoleName};

use super::commit::Actor;

/// The most bytes of documents in one statement that has several; MySQL limits what one may carry.
const STATEMENT_BYTES: usize = 1024 * 1024;

/// Documents that are larger than this are sent in pieces, of this many bytes or a quarter of the document. The libraries
/// of the engines that are servers hold two copies of what they send; but each piece has them write the document anew.
const PIECE_BYTES: usize = 4 * 1024 * 1024;

/// An entry of the changefeed.
pub(super) struct NewChange<'a> {
    pub(super) created_at: NaiveDateTime,
    pub(super) gun: &'a str,
    pub(super) version: i32,
    pub(super) sha256: &'a str,
    pub(super) category: &'a str,
}

/// Stores documents, all in one statement unless they are large. Returns the row ID of the timestamp among them, where
/// the engine tells it.
pub(super) fn insert_files(
    connection: &mut DbConnection,
    gun: &Gun,
    documents: &[Document],
    now: NaiveDateTime,
) -> QueryResult<Option<i32>> {
    let mut timestamp = None;
    let mut rest = documents;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |document: &&Document| {
            bytes += document.bytes.len();
            bytes <= STATEMENT_BYTES
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (group, others) = rest.split_at(count);
        match group {
            [large] if large.bytes.len() > PIECE_BYTES && !matches!(connection, DbConnection::Sqlite(_)) => {
                insert_in_pieces(connection, gun, large, now)?;
            }
            group => timestamp = insert_group(connection, gun, group, now)?.or(timestamp),
        }
        rest = others;
    }
    Ok(timestamp)
}

/// Stores a document's first piece, and appends the others to it. Readers do not see it before the transaction ends.
fn insert_in_pieces(
    connection: &mut DbConnection,
    gun: &Gun,
    document: &Document,
    now: NaiveDateTime,
) -> QueryResult<()> {
    let mut rest = document.bytes.clone();
    let length = PIECE_BYTES.max(rest.len() / 4);
    // The checksum is that of the whole.
    let beginning = Document {
        bytes: rest.split_to(length.min(rest.len())),
        ..document.clone()
    };
    insert_group(connection, gun, &[beginning], now)?;
    let (before, after) = match connection {
        DbConnection::Mysql(_) => ("UPDATE tuf_files SET data = CONCAT(data, ", ") WHERE "),
        _ => ("UPDATE tuf_files SET data = data || ", " WHERE "),
    };
    while !rest.is_empty() {
        let piece = rest.split_to(length.min(rest.len()));
        let append: Statement<'_> = Statement::new(before)
            .bytes(&piece)
            .sql(after)
            .exact("gun", gun.as_str())
            .sql(" AND ")
            .exact("role", document.role.as_str())
            .sql(" AND version = ")
            .integer(document.version.get());
        append.execute(connection)?;
    }
    Ok(())
}

fn insert_group(
    connection: &mut DbConnection,
    gun: &Gun,
    documents: &[Document],
    now: NaiveDateTime,
) -> QueryResult<Option<i32>> {
    let checksums: Vec<String> = documents
        .iter()
        .map(|document| document.sha256.as_hex())
        .collect();
    let mut insert: Statement<'_, (Integer, Text)> = Statement::new(
        "INSERT INTO tuf_files (created_at, updated_at, gun, role, version, data, sha256) VALUES ",
    );
    for (position, (document, sha256)) in documents.iter().zip(&checksums).enumerate() {
        insert = insert
            .sql(if position == 0 { "(" } else { ", (" })
            .time(now)
            .sql(", ")
            .time(now)
            .sql(", ")
            .text(gun.as_str())
            .sql(", ")
            .text(document.role.as_str())
            .sql(", ")
            .integer(document.version.get())
            .sql(", ")
            .bytes(&document.bytes)
            .sql(", ")
            .text(sha256)
            .sql(")");
    }
    // MySQL has no RETURNING.
    if matches!(connection, DbConnection::Mysql(_)) {
        return insert.execute(connection).map(|_| None);
    }
    let rows: Vec<(i32, String)> = insert.sql(" RETURNING id, role").load(connection)?;
    let mut timestamps = rows
        .into_iter()
        .filter(|(_, role)| role == RoleName::Timestamp.as_str());
    Ok(timestamps.next().map(|(id, _)| id))
}

/// Adds an entry with its author to the changefeed; returns its ID.
pub(super) fn record_change(
    connection: &mut DbConnection,
    change: &NewChange<'_>,
    actor: &Actor,
) -> QueryResult<i32> {
    match connection {
        DbConnection::Postgres(_) => {
            let both = with_values(Statement::new("WITH change AS ("), change)
                .sql(
                    " RETURNING id) INSERT INTO change_actors (change_id, principal, certificate_subject, \
                     certificate_issuer, certificate_serial, peer_address) SELECT id",
                )
                .sql(", ");
            with_actor(both, actor)
                .sql(" FROM change RETURNING change_id")
                .get_result::<i32>(connection)
        }
        DbConnection::Sqlite(_) => {
            let id = with_values::<Integer>(Statement::new(""), change)
                .sql(" RETURNING id")
                .get_result::<i32>(connection)?;
            record_actor(connection, id, actor)
        }
        DbConnection::Mysql(_) => {
            let insert: Statement<'_> = Statement::new("");
            with_values(insert, change).execute(connection)?;
            let id: Statement<'_, BigInt> = Statement::new("SELECT CAST(LAST_INSERT_ID() AS SIGNED)");
            // All of the answer is read: it may end with a failure, if another node of a cluster came first.
            let id: i64 = id
                .load(connection)?
                .pop()
                .ok_or(diesel::result::Error::NotFound)?;
            let id = i32::try_from(id)
                .map_err(|cause| diesel::result::Error::DeserializationError(cause.into()))?;
            record_actor(connection, id, actor)
        }
    }
}

fn with_values<'a, R>(statement: Statement<'a, R>, change: &NewChange<'a>) -> Statement<'a, R> {
    statement
        .sql("INSERT INTO changefeed (created_at, gun, version, sha256, category) VALUES (")
        .time(change.created_at)
        .sql(", ")
        .text(change.gun)
        .sql(", ")
        .integer(change.version)
        .sql(", ")
        .text(change.sha256)
        .sql(", ")
        .text(change.category)
        .sql(")")
}

fn with_actor<'a>(statement: Statement<'a, Integer>, actor: &'a Actor) -> Statement<'a, Integer> {
    statement
        .text(&actor.principal)
        .sql(", ")
        .maybe_text(actor.certificate_subject.as_deref())
        .sql(", ")
        .maybe_text(actor.certificate_issuer.as_deref())
        .sql(", ")
        .maybe_text(actor.certificate_serial.as_deref())
        .sql(", ")
        .maybe_text(actor.peer_address.as_deref())
}

fn record_actor(connection: &mut DbConnection, id: i32, actor: &Actor) -> QueryResult<i32> {
    let insert = Statement::new(
        "INSERT INTO change_actors (change_id, principal, certificate_subject, certificate_issuer, \
         certificate_serial, peer_address) VALUES (",
    );
    with_actor(insert.integer(id).sql(", "), actor)
        .sql(")")
        .execute(connection)
        .map(|_| id)
}
