//! The join of a pipeline: which tables, on which keys, giving which columns; and each table's privacy factor.

use std::collections::BTreeSet;

use schemas::dataset::ColumnType;
use schemas::pipeline::{ColumnRef, Comparison, Filter, Join, JoinKind};
use schemas::problem::{Code, R};

use super::{Tables, invalid};
use crate::forms::{count, ensure, unique};

/// The factor of every table of a join, in the order of its tables: by how many rows' worth one principal of that table
/// can change what is trained on.
///
/// 1: removing a principal removes one row (leftmost table, either side of an inner join) or, of united tables, removes
/// one or brings back the one of another table. 2: it changes one row, because the table's columns may be absent (right
/// side of a left join), or might, because the table is joined through a key of such a table. The factor follows from the
/// join alone, whatever later stages drop.
pub fn factors(join: &Join) -> Vec<(&str, u8)> {
    let mut factors = vec![(join.first.as_str(), 1)];
    for step in &join.steps {
        let through = factors.iter().any(|(handle, factor)| *handle == step.left.handle && *factor == 2);
        let factor = if step.kind == JoinKind::Left || through { 2 } else { 1 };
        factors.push((step.handle.as_str(), factor));
    }
    factors
}

/// Is this join allowed?
pub(super) fn decide(join: &Join, tables: &Tables<'_>) -> R<()> {
    every_table_once(join, tables)?;
    keys(join, tables)?;
    union(join)?;
    projection(join, tables)?;
    ensure(join.filters.len() <= 64, Code::LimitExceeded, "filters", "A join has at most 64 filters.")?;
    join.filters.iter().try_for_each(|filter| self::filter(filter, join, tables))?;
    aggregates(join, tables)
}

/// Tables are united or joined, not both, and the rows of all stand under the first one's columns.
fn union(join: &Join) -> R<()> {
    let united = join.steps.iter().filter(|step| step.kind == JoinKind::Union).count();
    if united == 0 {
        return Ok(());
    }
    let refuse = |ok, field, sentence| ensure(ok, Code::PipelineInvalid, field, sentence);
    refuse(united == join.steps.len(), "steps", "Tables are united or joined, not both.")?;
    refuse(join.aggregates.is_empty(), "aggregates", "Of united tables the first row of a person counts.")?;
    let below = join.steps.iter().all(|step| step.left.handle == join.first);
    refuse(below, "steps", "The left key of a united table is the first table's.")?;
    let named = join.projection.iter().chain(join.filters.iter().map(|filter| &filter.column));
    let first = named.into_iter().all(|column| column.handle == join.first);
    refuse(first, "projection", "Columns of united tables are named by the first table.")
}

/// A column with those that stand below it where tables are united: the same name in each of them, or their own key.
pub(super) fn everywhere(column: &ColumnRef, join: &Join) -> Vec<ColumnRef> {
    let united = join.steps.iter().filter(|step| step.kind == JoinKind::Union && column.handle == join.first);
    let below = united.map(|step| match step.left == *column {
        true => step.right.clone(),
        false => ColumnRef { handle: step.handle.clone(), column: column.column.clone() },
    });
    std::iter::once(column.clone()).chain(below).collect()
}

/// A number taken over the rows of one person stays within the column's bounds, and is of a table that is joined by the
/// person's key: nobody else's row enters into it.
fn aggregates(join: &Join, tables: &Tables<'_>) -> R<()> {
    ensure(join.aggregates.len() <= 512, Code::LimitExceeded, "aggregates", "A join has at most 512 aggregates.")?;
    let refuse = |ok, sentence: String| ensure(ok, Code::PipelineInvalid, "aggregates", sentence);
    refuse(unique(join.aggregates.iter().map(|a| &a.column)), "A column is aggregated twice.".into())?;
    for column in join.aggregates.iter().map(|aggregate| &aggregate.column) {
        let used = tables.of(column)?;
        let allowed = used.terms.allowed_columns.contains(&column.column);
        let sentence = format!("The contract does not allow the column {column}.");
        ensure(allowed, Code::PipelineColumn, "aggregates", sentence)?;
        let schema = used.columns.iter().find(|c| c.name == column.column);
        let bounded = schema.is_some_and(|c| c.column_type == ColumnType::Number && c.lower.is_some());
        let sentence = format!("{column} is no number with public bounds.");
        ensure(bounded, Code::PipelineBounds, "aggregates", sentence)?;
        let keyed = principal_keys(join).into_iter().find(|key| key.handle == column.handle);
        refuse(keyed.is_some_and(|key| key != column), format!("{column} is not of a table that is joined by a key."))?;
        let as_text = |filter: &&Filter| matches!(filter.op, Comparison::Eq | Comparison::Ne);
        let compared = join.filters.iter().filter(as_text).any(|filter| filter.column == *column);
        refuse(!compared, format!("{column} is a number over several rows and is not compared as text."))?;
    }
    Ok(())
}

/// The columns that the join equates, of each table one. All of them hold the principal's key.
///
/// If tables could be joined on different keys, one row might meet rows of many people, or several rows of one table
/// would compete for a key: one principal's data would then change more than one row, and no factor would be true.
pub(super) fn principal_keys(join: &Join) -> Vec<&ColumnRef> {
    let left = join.steps.first().map(|step| &step.left);
    left.into_iter().chain(join.steps.iter().map(|step| &step.right)).collect()
}

fn every_table_once(join: &Join, tables: &Tables<'_>) -> R<()> {
    let handles: Vec<&str> = factors(join).into_iter().map(|(handle, _)| handle).collect();
    let unknown = handles.iter().find(|handle| tables.get(handle).is_none());
    ensure(
        unknown.is_none(),
        Code::PipelineInvalid,
        "steps",
        format!("{} is no handle of the job.", unknown.unwrap_or(&"")),
    )?;
    let once = unique(&handles) && handles.len() == tables.uses.len();
    ensure(once, Code::PipelineInvalid, "steps", "A join takes every dataset of the job exactly once.")
}

fn keys(join: &Join, tables: &Tables<'_>) -> R<()> {
    let mut equated: Vec<&ColumnRef> = Vec::new();
    let mut joined: BTreeSet<&str> = BTreeSet::from([join.first.as_str()]);
    for step in &join.steps {
        let refuse = |ok, sentence| ensure(ok, Code::PipelineJoinKey, "steps", sentence);
        let sentence = format!("{} does not stand to the left of {}.", step.left.handle, step.handle);
        refuse(joined.contains(step.left.handle.as_str()), sentence)?;
        let sentence = format!("The right key {} is not a column of {}.", step.right, step.handle);
        refuse(step.right.handle == step.handle, sentence)?;
        tables.join_key(&step.left)?;
        tables.join_key(&step.right)?;
        let sentence =
            format!("{} is another key than the one joined on before; all tables join on the principal's.", step.left);
        refuse(equated.is_empty() || equated.contains(&&step.left), sentence)?;
        if equated.is_empty() {
            equated.push(&step.left);
        }
        equated.push(&step.right);
        joined.insert(&step.handle);
    }
    Ok(())
}

/// A result holds allowed columns; the principal's keys and permitted targets may stand in it too. What is trained on is
/// judged with the training.
fn projection(join: &Join, tables: &Tables<'_>) -> R<()> {
    count(join.projection.len(), 1024, "projection")?;
    ensure(unique(&join.projection), Code::PipelineInvalid, "projection", "A column stands twice in the projection.")?;
    for column in join.projection.iter().flat_map(|column| everywhere(column, join)) {
        let terms = tables.of(&column)?.terms;
        let lists = [&terms.allowed_columns, &terms.join_keys, &terms.target_columns];
        let allowed = lists.iter().any(|list| list.contains(&column.column));
        ensure(
            allowed,
            Code::PipelineColumn,
            "projection",
            format!("The contract does not allow the column {column}."),
        )?;
    }
    Ok(())
}

/// A filter looks at one allowed column of its row. Filters on the target are refused with the training.
fn filter(filter: &Filter, join: &Join, tables: &Tables<'_>) -> R<()> {
    everywhere(&filter.column, join).iter().try_for_each(|column| on_one(filter, column, tables))
}

fn on_one(filter: &Filter, column: &ColumnRef, tables: &Tables<'_>) -> R<()> {
    let used = tables.of(column)?;
    let allowed = used.terms.allowed_columns.contains(&column.column);
    ensure(allowed, Code::PipelineColumn, "filters", format!("The contract does not allow the column {column}."))?;
    ensure(filter.value.len() <= 256, Code::LimitExceeded, "filters", "A filter compares with at most 256 bytes.")?;
    if matches!(filter.op, Comparison::Eq | Comparison::Ne) {
        return Ok(());
    }
    let schema = used.columns.iter().find(|c| c.name == column.column);
    let number = schema.is_some_and(|c| c.column_type == ColumnType::Number)
        && filter.value.trim().parse::<f64>().is_ok_and(f64::is_finite);
    if number { Ok(()) } else { Err(invalid(format!("{column} is not compared with a number.")).at("filters")) }
}
