//! Statements written as SQL, prepared once for each of their texts.
//!
//! Diesel's own INSERT of several rows, and every UPDATE of its, is parsed and planned anew at each execution. A
//! [`Statement`] is kept prepared by its text, so the texts should be few: only the number of rows may vary.

use std::marker::PhantomData;

use chrono::NaiveDateTime;
use diesel::{
    RunQueryDsl,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    result::QueryResult,
    sql_types::{BigInt, Binary, Integer, Nullable, Text, Timestamp},
};

use super::{
    connection::{DbConnection, MultiBackend},
    query::{Engine, push_exact},
};

/// A statement and its values. `R` is the tuple of SQL types of the rows that it returns.
#[derive(Debug, Clone)]
pub struct Statement<'a, R = ()> {
    pieces: Vec<Piece<'a>>,
    returns: PhantomData<R>,
}

#[derive(Debug, Clone)]
enum Piece<'a> {
    Sql(&'a str),
    Exact(&'static str, &'a str),
    Text(&'a str),
    MaybeText(Option<&'a str>),
    Integer(i32),
    BigInt(i64),
    Bytes(&'a [u8]),
    Time(NaiveDateTime),
    LockRows,
}

impl<'a, R> Statement<'a, R> {
    /// A statement that begins with this text.
    pub fn new(sql: &'a str) -> Self {
        Self {
            pieces: vec![Piece::Sql(sql)],
            returns: PhantomData,
        }
    }

    fn push(mut self, piece: Piece<'a>) -> Self {
        self.pieces.push(piece);
        self
    }

    /// More of its text.
    #[must_use]
    pub fn sql(self, sql: &'a str) -> Self {
        self.push(Piece::Sql(sql))
    }

    /// The condition that a column holds exactly this text, as [`exact`](super::exact) writes it.
    #[must_use]
    pub fn exact(self, column: &'static str, value: &'a str) -> Self {
        self.push(Piece::Exact(column, value))
    }

    /// Locks the rows of the query so far, where [`locked`](super::locked) does.
    #[must_use]
    pub fn lock_rows(self) -> Self {
        self.push(Piece::LockRows)
    }

    /// A text.
    #[must_use]
    pub fn text(self, value: &'a str) -> Self {
        self.push(Piece::Text(value))
    }

    /// A text or NULL.
    #[must_use]
    pub fn maybe_text(self, value: Option<&'a str>) -> Self {
        self.push(Piece::MaybeText(value))
    }

    /// A number of a column of type INTEGER.
    #[must_use]
    pub fn integer(self, value: i32) -> Self {
        self.push(Piece::Integer(value))
    }

    /// A number of a column of type BIGINT.
    #[must_use]
    pub fn big_integer(self, value: i64) -> Self {
        self.push(Piece::BigInt(value))
    }

    /// Bytes.
    #[must_use]
    pub fn bytes(self, value: &'a [u8]) -> Self {
        self.push(Piece::Bytes(value))
    }

    /// A time as [`DbConnection::storable`] makes it.
    #[must_use]
    pub fn time(self, value: NaiveDateTime) -> Self {
        self.push(Piece::Time(value))
    }
}

impl<R> QueryId for Statement<'_, R> {
    type QueryId = ();

    /// It is kept by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<R> Query for Statement<'_, R> {
    type SqlType = R;
}

impl<R> RunQueryDsl<DbConnection> for Statement<'_, R> {}

impl<R> QueryFragment<MultiBackend> for Statement<'_, R> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        for piece in &self.pieces {
            match piece {
                Piece::Sql(sql) => pass.push_sql(sql),
                Piece::Exact(column, value) => push_exact(&mut pass, column, value)?,
                Piece::Text(value) => pass.push_bind_param::<Text, &str>(value)?,
                Piece::MaybeText(value) => pass.push_bind_param::<Nullable<Text>, Option<&str>>(value)?,
                Piece::Integer(value) => pass.push_bind_param::<Integer, i32>(value)?,
                Piece::BigInt(value) => pass.push_bind_param::<BigInt, i64>(value)?,
                Piece::Bytes(value) => pass.push_bind_param::<Binary, &[u8]>(value)?,
                Piece::Time(value) => pass.push_bind_param::<Timestamp, NaiveDateTime>(value)?,
                Piece::LockRows if Engine::of(pass.backend()) == Engine::Postgres => {
                    pass.push_sql(" FOR UPDATE");
                }
                Piece::LockRows => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use diesel::{Connection, SqliteConnection, connection::SimpleConnection, sql_types::Text};

    use super::*;

    #[test]
    fn several_rows_are_stored_and_read_with_their_values() {
        let mut connection = DbConnection::Sqlite(SqliteConnection::establish(":memory:").unwrap());
        connection
            .batch_execute("CREATE TABLE t (a TEXT, b INTEGER, c BLOB)")
            .unwrap();
        let rows = [("x", Some("y"), 1, &b"one"[..]), ("z", None, 2, b"")];
        let mut insert: Statement<'_> = Statement::new("INSERT INTO t VALUES ");
        for (position, (_, text, number, bytes)) in rows.iter().enumerate() {
            insert = insert.sql(if position == 0 { "(" } else { ", (" });
            insert = insert.maybe_text(*text).sql(", ").integer(*number);
            insert = insert.sql(", ").bytes(bytes).sql(")");
        }
        assert_eq!(insert.execute(&mut connection), Ok(2));
        let read: Statement<'_, (Text, Integer, Binary)> =
            Statement::new("SELECT a, b, c FROM t WHERE ").exact("a", "y");
        let found: Vec<(String, i32, Vec<u8>)> = read.lock_rows().load(&mut connection).unwrap();
        assert_eq!(found, [("y".to_owned(), 1, b"one".to_vec())]);
    }
}
