//! Parts of queries that every engine words differently.

use diesel::{
    expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate},
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    result::QueryResult,
    sql_types::{Bool, Text},
};

use super::connection::{DbConnection, MultiBackend};

/// See [`exact`] and [`padded`].
#[derive(Debug, Clone)]
pub struct Exact<C, const PADDED: bool> {
    column: C,
    value: String,
}

/// Whether a column holds exactly these characters.
///
/// The columns of Notary's tables on MySQL compare without regard to case and trailing blanks. The plain comparison
/// uses the index, the binary one decides.
pub fn exact<C: Expression>(column: C, value: impl Into<String>) -> Exact<C, false> {
    Exact {
        column,
        value: value.into(),
    }
}

/// Whether a column of fixed width holds exactly these characters, its padding aside. PostgreSQL uses the
/// column's index only for a comparison of its own type.
pub fn padded<C: Expression>(column: C, value: impl Into<String>) -> Exact<C, true> {
    Exact {
        column,
        value: value.into(),
    }
}

impl<C: QueryId, const PADDED: bool> QueryId for Exact<C, PADDED> {
    type QueryId = Exact<C::QueryId, PADDED>;

    const HAS_STATIC_QUERY_ID: bool = C::HAS_STATIC_QUERY_ID;
}

impl<C, const PADDED: bool> Expression for Exact<C, PADDED> {
    type SqlType = Bool;
}

impl<C, T, const PADDED: bool> AppearsOnTable<T> for Exact<C, PADDED> where C: AppearsOnTable<T> {}
impl<C, T, const PADDED: bool> SelectableExpression<T> for Exact<C, PADDED> where C: SelectableExpression<T> {}
impl<C, G, const PADDED: bool> ValidGrouping<G> for Exact<C, PADDED> {
    type IsAggregate = is_aggregate::Never;
}

impl<C, const PADDED: bool> QueryFragment<MultiBackend> for Exact<C, PADDED>
where
    C: QueryFragment<MultiBackend>,
{
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        let engine = Engine::of(pass.backend());
        pass.push_sql("(");
        self.column.walk_ast(pass.reborrow())?;
        pass.push_sql(" = ");
        if engine == Engine::Postgres && PADDED {
            pass.push_sql("CAST(");
            pass.push_bind_param::<Text, String>(&self.value)?;
            pass.push_sql(" AS bpchar)");
        } else {
            pass.push_bind_param::<Text, String>(&self.value)?;
        }
        if engine == Engine::Mysql {
            pass.push_sql(" AND ");
            self.column.walk_ast(pass.reborrow())?;
            pass.push_sql(" = BINARY ");
            pass.push_bind_param::<Text, String>(&self.value)?;
        }
        pass.push_sql(")");
        Ok(())
    }
}

/// The condition that a column, given by its name, holds exactly these characters; see [`exact`].
pub(super) fn push_exact<'b>(
    pass: &mut AstPass<'_, 'b, MultiBackend>,
    column: &'static str,
    value: &'b &str,
) -> QueryResult<()> {
    pass.push_sql(column);
    pass.push_sql(" = ");
    pass.push_bind_param::<Text, &str>(value)?;
    if Engine::of(pass.backend()) == Engine::Mysql {
        pass.push_sql(" AND ");
        pass.push_sql(column);
        pass.push_sql(" = BINARY ");
        pass.push_bind_param::<Text, &str>(value)?;
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    Postgres,
    Mysql,
    Sqlite,
}

impl Engine {
    pub(super) fn of(backend: &MultiBackend) -> Self {
        match backend {
            MultiBackend::Postgres(_) => Self::Postgres,
            MultiBackend::Mysql(_) => Self::Mysql,
            MultiBackend::Sqlite(_) => Self::Sqlite,
        }
    }
}

/// See [`locked`].
#[derive(Debug, Clone, QueryId)]
pub struct Locked<Q>(Q);

/// Locks the rows read until the transaction ends, and reads them as they are now rather than as they were when the
/// transaction began. SQLite has one writer at a time anyway. On MySQL it is a plain read: a locking read that the
/// server ends because of a deadlock fails in the middle of its answer, and the client library waits for the rest for
/// ever. There, callers hold a name, or lock a row by updating it to the value it has. On a node of a Galera cluster any
/// transaction that holds locks can be ended so, which is why transactions read before they lock.
pub fn locked<Q>(query: Q) -> Locked<Q> {
    Locked(query)
}

impl<Q: Query> Query for Locked<Q> {
    type SqlType = Q::SqlType;
}

impl<Q> diesel::RunQueryDsl<DbConnection> for Locked<Q> {}

impl<Q> QueryFragment<MultiBackend> for Locked<Q>
where
    Q: QueryFragment<MultiBackend>,
{
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        self.0.walk_ast(pass.reborrow())?;
        if Engine::of(pass.backend()) == Engine::Postgres {
            pass.push_sql(" FOR UPDATE");
        }
        Ok(())
    }
}

/// See [`first_only`].
#[derive(Debug, Clone, QueryId)]
pub struct FirstOnly<Q>(Q);

/// Reads the first row only. Diesel's own `limit` and `first` bind the number as a parameter, and SQLite plans a
/// statement with such a parameter anew at every execution, which takes longer than most of our statements themselves.
pub fn first_only<Q>(query: Q) -> FirstOnly<Q> {
    FirstOnly(query)
}

impl<Q: Query> Query for FirstOnly<Q> {
    type SqlType = Q::SqlType;
}

impl<Q> diesel::RunQueryDsl<DbConnection> for FirstOnly<Q> {}

impl<Q> QueryFragment<MultiBackend> for FirstOnly<Q>
where
    Q: QueryFragment<MultiBackend>,
{
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        self.0.walk_ast(pass.reborrow())?;
        pass.push_sql(" LIMIT 1");
        Ok(())
    }
}
