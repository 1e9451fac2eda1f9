//! SQL that never changes. Diesel's own literals are prepared anew at each use, which for the statements of
//! [`crate::generation`] and [`crate::rows`] cost more than running them; these are prepared once per connection.

use std::marker::PhantomData;

use diesel::QueryResult;
use diesel::backend::Backend;
use diesel::expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping};
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::SingleValue;

/// An expression of SQL type `T` in fixed words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fixed<T>(&'static str, PhantomData<T>);

impl<T> Fixed<T> {
    pub(crate) const fn new(sql: &'static str) -> Fixed<T> {
        Fixed(sql, PhantomData)
    }
}

impl<T: diesel::sql_types::SqlType + SingleValue> Expression for Fixed<T> {
    type SqlType = T;
}

// The words tell two of them apart, not the type: so the cache goes by the words.
impl<T> QueryId for Fixed<T> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<T, DB: Backend> QueryFragment<DB> for Fixed<T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(self.0);
        Ok(())
    }
}

impl<T, QS> SelectableExpression<QS> for Fixed<T> where Fixed<T>: AppearsOnTable<QS> {}
impl<T, QS> AppearsOnTable<QS> for Fixed<T> where Fixed<T>: Expression {}

impl<T, G> ValidGrouping<G> for Fixed<T> {
    type IsAggregate = diesel::expression::is_aggregate::Never;
}
