//! The walk over a plan after the engine's optimiser has worked on it: nothing runs but what is named here. The plan is
//! checked, not a text, and it is the checked plan that runs.

use std::collections::HashSet;

use datafusion::common::{Column, NullEquality};
use datafusion::logical_expr::{Aggregate, BinaryExpr, Expr, Join as PlanJoin, JoinType, LogicalPlan, Operator};
use schemas::pipeline::Join;
use schemas::{Code, R, Refusal};

use crate::plan::every_row;
use crate::roles::{Role, Use};

/// Refuses a plan that holds anything but scans of the job's own tables, projections of columns, filters of a column with
/// a constant, inner and left equi-joins on the job's keys, and means and extremes over the rows of one key.
pub fn check(plan: &LogicalPlan, join: &Join) -> R<()> {
    Allowed::of(join).node(plan)
}

struct Allowed {
    tables: HashSet<String>,
    keys: HashSet<String>,
}

fn refused(what: &'static str) -> Refusal {
    Refusal::new(Code::PipelineInvalid, format!("the engine's plan holds {what}, which no job may"))
}

impl Allowed {
    fn of(join: &Join) -> Allowed {
        let handles = std::iter::once(&join.first).chain(join.steps.iter().map(|step| &step.handle));
        let tables = handles.flat_map(|handle| [handle.clone(), every_row(handle)]).collect();
        let keys = join.steps.iter().flat_map(|step| [&step.left, &step.right]);
        Allowed { tables, keys: keys.map(|key| Use::new(key, Role::Key).name()).collect() }
    }

    fn node(&self, plan: &LogicalPlan) -> R<()> {
        match plan {
            LogicalPlan::TableScan(scan) => {
                let known = self.tables.contains(scan.table_name.table());
                if !known || scan.fetch.is_some() {
                    return Err(refused("a table that is none of the job's"));
                }
                scan.filters.iter().try_for_each(predicate)?;
            }
            LogicalPlan::Projection(projection) => projection.expr.iter().try_for_each(plain)?,
            LogicalPlan::Filter(filter) => predicate(&filter.predicate)?,
            LogicalPlan::Join(join) => self.join(join)?,
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate)?,
            LogicalPlan::SubqueryAlias(_) => {}
            LogicalPlan::EmptyRelation(empty) if !empty.produce_one_row => {}
            _ => return Err(refused("a step of another kind")),
        }
        plan.inputs().into_iter().try_for_each(|input| self.node(input))
    }

    fn is_key(&self, expression: &Expr) -> bool {
        matches!(expression, Expr::Column(column) if self.keys.contains(&column.name))
    }

    fn join(&self, join: &PlanJoin) -> R<()> {
        let kind = matches!(join.join_type, JoinType::Inner | JoinType::Left);
        let plain = join.filter.is_none() && !join.null_aware && join.null_equality == NullEquality::NullEqualsNothing;
        if !kind || !plain {
            return Err(refused("a join of another kind"));
        }
        let on_keys = !join.on.is_empty() && join.on.iter().all(|(a, b)| self.is_key(a) && self.is_key(b));
        if on_keys { Ok(()) } else { Err(refused("a join on something else than the job's keys")) }
    }

    fn aggregate(&self, aggregate: &Aggregate) -> R<()> {
        let by_key = matches!(aggregate.group_expr.as_slice(), [only] if self.is_key(only));
        if !by_key {
            return Err(refused("an aggregate over the rows of several people"));
        }
        aggregate.aggr_expr.iter().try_for_each(|expression| match unaliased(expression) {
            Expr::AggregateFunction(function) => {
                let params = &function.params;
                let named = matches!(function.func.name(), "avg" | "min" | "max");
                let bare = !params.distinct && params.filter.is_none() && params.order_by.is_empty();
                let of_column = matches!(params.args.as_slice(), [Expr::Column(_)]);
                if named && bare && of_column { Ok(()) } else { Err(refused("an aggregate of another kind")) }
            }
            _ => Err(refused("an aggregate of another kind")),
        })
    }
}

fn unaliased(expression: &Expr) -> &Expr {
    match expression {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

/// A column as it is, under whatever name.
fn plain(expression: &Expr) -> R<()> {
    match unaliased(expression) {
        Expr::Column(Column { .. }) => Ok(()),
        _ => Err(refused("a computed column")),
    }
}

/// Comparisons of a column with a constant, joined by AND.
fn predicate(expression: &Expr) -> R<()> {
    match expression {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            predicate(left)?;
            predicate(right)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let comparison = matches!(
                op,
                Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
            );
            let with_constant = matches!(
                (&**left, &**right),
                (Expr::Column(_), Expr::Literal(..)) | (Expr::Literal(..), Expr::Column(_))
            );
            if comparison && with_constant { Ok(()) } else { Err(refused("a condition of another kind")) }
        }
        Expr::IsNotNull(inner) if matches!(**inner, Expr::Column(_)) => Ok(()),
        _ => Err(refused("a condition of another kind")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::{DataType, Field, Schema};
    use datafusion::datasource::{MemTable, provider_as_source};
    use datafusion::functions_aggregate::expr_fn::{avg, count, max};
    use datafusion::logical_expr::{LogicalPlanBuilder, lit};
    use schemas::pipeline::{ColumnRef, JoinKind, JoinStep};

    use super::*;

    fn join() -> Join {
        let column = |handle: &str| ColumnRef { handle: handle.into(), column: "id".into() };
        let step = JoinStep { handle: "b".into(), kind: JoinKind::Inner, left: column("a"), right: column("b") };
        Join {
            name: "j".into(),
            first: "a".into(),
            steps: vec![step],
            projection: vec![],
            filters: vec![],
            aggregates: vec![],
        }
    }

    fn scan(name: &str) -> LogicalPlanBuilder {
        let fields = ["key:id", "text:x"].map(|name| Field::new(name, DataType::Utf8, true));
        let mut fields = fields.to_vec();
        fields.push(Field::new("number:v", DataType::Float64, true));
        let table = MemTable::try_new(Arc::new(Schema::new(fields)), vec![vec![]]).unwrap();
        LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(table)), None).unwrap()
    }

    fn of(table: &str, name: &str) -> Expr {
        Expr::Column(Column::new(Some(table), name))
    }

    fn on(kind: JoinType, left: &str, right: &str) -> LogicalPlanBuilder {
        let keys = (vec![Column::new(Some("a"), left)], vec![Column::new(Some("b"), right)]);
        scan("a").join(scan("b").build().unwrap(), kind, keys, None).unwrap()
    }

    #[test]
    fn what_a_job_may_ask_for_passes() {
        let plan = on(JoinType::Inner, "key:id", "key:id").filter(of("a", "number:v").lt(lit(3.0))).unwrap();
        let plan = plan.project([of("a", "text:x").alias("given:0"), of("b", "number:v")]).unwrap().build().unwrap();
        check(&plan, &join()).unwrap();
        let mean = scan("a").aggregate([of("a", "key:id")], [avg(of("a", "number:v"))]).unwrap().build().unwrap();
        check(&mean, &join()).unwrap();
    }

    #[test]
    fn every_other_step_is_refused() {
        let b = || scan("b").build().unwrap();
        let either = of("a", "text:x").eq(lit("1")).or(of("a", "text:x").eq(lit("2")));
        let theta = of("a", "number:v").lt(of("b", "number:v"));
        let keys = || (vec![Column::new(Some("a"), "key:id")], vec![Column::new(Some("b"), "key:id")]);
        let plans = [
            ("a foreign table", scan("c")),
            ("a limit", scan("a").limit(0, Some(1)).unwrap()),
            ("a sort", scan("a").sort([of("a", "text:x").sort(true, true)]).unwrap()),
            ("distinct", scan("a").distinct().unwrap()),
            ("a union", scan("a").union(scan("a").build().unwrap()).unwrap()),
            ("a cross join", scan("a").cross_join(b()).unwrap()),
            ("a full join", on(JoinType::Full, "key:id", "key:id")),
            ("a right join", on(JoinType::Right, "key:id", "key:id")),
            ("a join on no key", on(JoinType::Inner, "text:x", "key:id")),
            ("a join on a condition", scan("a").join(b(), JoinType::Inner, keys(), Some(theta)).unwrap()),
            ("a computed column", scan("a").project([of("a", "number:v") + lit(1.0)]).unwrap()),
            ("a constant", scan("a").project([lit(1.0)]).unwrap()),
            ("OR", scan("a").filter(either).unwrap()),
            ("two columns compared", scan("a").filter(of("a", "key:id").eq(of("a", "text:x"))).unwrap()),
            ("a pattern", scan("a").filter(of("a", "text:x").like(lit("%"))).unwrap()),
            ("a mean over everybody", scan("a").aggregate(Vec::<Expr>::new(), [avg(of("a", "number:v"))]).unwrap()),
            ("a mean by text", scan("a").aggregate([of("a", "text:x")], [max(of("a", "number:v"))]).unwrap()),
            ("a count", scan("a").aggregate([of("a", "key:id")], [count(of("a", "number:v"))]).unwrap()),
            ("a single row", LogicalPlanBuilder::empty(true)),
        ];
        for (what, plan) in plans {
            let refused = check(&plan.build().unwrap(), &join());
            assert_eq!(refused.err().map(|refusal| refusal.code), Some(Code::PipelineInvalid), "{what}");
        }
    }
}
