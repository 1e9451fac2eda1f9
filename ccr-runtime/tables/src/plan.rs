//! The typed join of a job as a plan of DataFusion: scans, equi-joins on keys, filters of one column with a constant,
//! aggregates over the rows of one key, one projection. No SQL text exists here.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::{Column, TableReference};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::error::{DataFusionError, Result as Df};
use datafusion::functions_aggregate::expr_fn::{avg, max, min};
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan, LogicalPlanBuilder, lit};
use schemas::R;
use schemas::pipeline::{AggregateFunction, Comparison, Filter, Join, JoinKind};

use crate::fault::pipeline;
use crate::roles::{Role, Use};
use crate::source::{ROW, Source};

/// The engine's name of all rows of a table, where some of its columns are aggregated.
pub fn every_row(handle: &str) -> String {
    format!("{handle}/all")
}

/// The engine's name of what was aggregated.
fn aggregated(handle: &str) -> String {
    format!("{handle}/aggregated")
}

/// A column that the plan gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Given {
    /// A cell.
    Cell(Use),
    /// The number of the row of a table.
    Row(String),
}

/// Refuses a join whose steps do not tie its tables together, each once.
pub fn every_table_once(join: &Join, handles: &[&str]) -> R<()> {
    let mut left: HashSet<&str> = HashSet::new();
    let unions = join.steps.iter().filter(|step| step.kind == JoinKind::Union).count();
    if unions != 0 && (unions != join.steps.len() || !join.aggregates.is_empty()) {
        return Err(pipeline("tables are united or joined, not both"));
    }
    let named = std::iter::once(&join.first).chain(join.steps.iter().map(|step| &step.handle));
    for (handle, step) in named.zip(std::iter::once(None).chain(join.steps.iter().map(Some))) {
        if !handles.contains(&handle.as_str()) {
            return Err(pipeline("the job uses a table that was not announced"));
        }
        if step.is_some_and(|s| s.right.handle != s.handle || !left.contains(s.left.handle.as_str())) {
            return Err(pipeline("a join step does not tie its table to one that stands left of it"));
        }
        if !left.insert(handle) {
            return Err(pipeline("a table is joined twice"));
        }
    }
    if left.len() == handles.len() { Ok(()) } else { Err(pipeline("a table is not joined")) }
}

/// Builds the plan over the sources; it gives `given`, in order.
pub fn build(join: &Join, sources: &[Source], given: &[Given]) -> Df<LogicalPlan> {
    let mut plan = table(join, &join.first, sources)?;
    for step in join.steps.iter().filter(|step| step.kind != JoinKind::Union) {
        let kind = if step.kind == JoinKind::Left { JoinType::Left } else { JoinType::Inner };
        let keys = (vec![key(&step.left)], vec![key(&step.right)]);
        plan = plan.join(table(join, &step.handle, sources)?.build()?, kind, keys, None)?;
    }
    for filter in &join.filters {
        plan = plan.filter(condition(join, filter)?)?;
    }
    let columns = given.iter().enumerate().map(|(place, given)| {
        let column = match given {
            Given::Cell(used) => cell(join, used),
            Given::Row(handle) => Column::new(Some(relation(handle)), ROW),
        };
        Expr::Column(column).alias(format!("given:{place}"))
    });
    plan.project(columns.collect::<Vec<_>>())?.build()
}

/// A table: its first row of every key, beside which stands what is taken over all rows of that key.
fn table(join: &Join, handle: &str, sources: &[Source]) -> Df<LogicalPlanBuilder> {
    let plan = scan(handle, sources)?;
    let mine: Vec<_> = join.aggregates.iter().filter(|aggregate| aggregate.column.handle == handle).collect();
    let Some(key) = crate::roles::keys(join, handle).first().map(|key| Use::new(key, Role::Key).name()) else {
        return Ok(plan);
    };
    if mine.is_empty() {
        return Ok(plan);
    }
    let all = every_row(handle);
    let of_all = |name: &str| Expr::Column(Column::new(Some(relation(&all)), name));
    let taken = mine.iter().map(|aggregate| {
        let name = Use::new(&aggregate.column, Role::Number).name();
        let function = match aggregate.function {
            AggregateFunction::Mean => avg,
            AggregateFunction::Min => min,
            AggregateFunction::Max => max,
        };
        function(of_all(&name)).alias(name)
    });
    let side = scan(&all, sources)?.aggregate([of_all(&key)], taken.collect::<Vec<_>>())?;
    let side = side.alias(relation(&aggregated(handle)))?.build()?;
    let keys = (
        vec![Column::new(Some(relation(handle)), key.clone())],
        vec![Column::new(Some(relation(&aggregated(handle))), key)],
    );
    plan.join(side, JoinType::Left, keys, None)
}

fn scan(name: &str, sources: &[Source]) -> Df<LogicalPlanBuilder> {
    let source = sources.iter().find(|source| source.name == name);
    let source = source.ok_or_else(|| DataFusionError::Plan("no such table".into()))?;
    let table = MemTable::try_new(Arc::clone(&source.schema), vec![source.pieces.clone()])?;
    LogicalPlanBuilder::scan(relation(name), provider_as_source(Arc::new(table)), None)
}

fn relation(name: &str) -> TableReference {
    TableReference::bare(name)
}

fn key(column: &schemas::pipeline::ColumnRef) -> Column {
    Column::new(Some(relation(&column.handle)), Use::new(column, Role::Key).name())
}

/// A cell of a joined row, taken over all rows of its key where the job says so.
fn cell(join: &Join, used: &Use) -> Column {
    let taken = used.role == Role::Number && join.aggregates.iter().any(|aggregate| aggregate.column == used.column);
    let table = if taken { aggregated(&used.column.handle) } else { used.column.handle.clone() };
    Column::new(Some(relation(&table)), used.name())
}

/// A comparison with a constant. It never holds for a cell that is missing or, where numbers are compared, is no number.
fn condition(join: &Join, filter: &Filter) -> Df<Expr> {
    let text = matches!(filter.op, Comparison::Eq | Comparison::Ne);
    let role = if text { Role::Text } else { Role::Number };
    let column = Expr::Column(cell(join, &Use::new(&filter.column, role)));
    let constant = match filter.value.trim().parse::<f64>() {
        _ if text => lit(filter.value.clone()),
        Ok(number) if number.is_finite() => lit(number),
        _ => return Err(DataFusionError::Plan("a filter compares with no number".into())),
    };
    Ok(match filter.op {
        Comparison::Eq => column.eq(constant),
        Comparison::Ne => column.not_eq(constant),
        Comparison::Lt => column.lt(constant),
        Comparison::Le => column.lt_eq(constant),
        Comparison::Gt => column.gt(constant),
        Comparison::Ge => column.gt_eq(constant),
    })
}
