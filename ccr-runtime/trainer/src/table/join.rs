//! Executes the typed join of a job, exactly: inner and left joins by equality of key text, then the row filters.
//!
//! Each table is first made unique in each of its own join keys by keeping the first row, silently, so that a row
//! meets at most one row of every other table. An empty cell is no key: it meets nothing.

use std::collections::{HashMap, HashSet};

use schemas::R;
use schemas::pipeline::{ColumnRef, Comparison, Filter, Join, JoinKind, JoinStep};

use super::csv::Table;
use crate::fault::pipeline;

/// A column of a joined row.
#[derive(Clone, Copy)]
pub struct Slot {
    table: usize,
    column: usize,
}

/// The result: for every row of the join, which row of each table it is made of.
pub struct Joined {
    tables: Vec<(String, Table)>,
    rows: Vec<Vec<Option<usize>>>,
}

impl Joined {
    /// Joins the tables, which are exactly those that the join names.
    pub fn new(join: &Join, tables: Vec<(String, Table)>) -> R<Joined> {
        let mut joined = Joined { tables, rows: Vec::new() };
        joined.names_every_table_once(join)?;
        let first = joined.table(&join.first)?;
        let width = joined.tables.len();
        joined.rows = joined.unique_rows(join, first)?.into_iter().map(|row| only(width, first, row)).collect();
        for step in &join.steps {
            joined.rows = joined.step(join, step)?;
        }
        for filter in &join.filters {
            let slot = joined.slot(&filter.column)?;
            let mut rows = std::mem::take(&mut joined.rows);
            rows.retain(|row| holds(filter, joined.at(row, slot)));
            joined.rows = rows;
        }
        Ok(joined)
    }

    /// The rows of the result.
    pub fn rows(&self) -> std::ops::Range<usize> {
        0..self.rows.len()
    }

    /// Where a column lies.
    pub fn slot(&self, column: &ColumnRef) -> R<Slot> {
        let table = self.table(&column.handle)?;
        let place = self.tables.get(table).and_then(|(_, table)| table.column(&column.column));
        let column = place.ok_or_else(|| pipeline("the job uses a column that was not announced"))?;
        Ok(Slot { table, column })
    }

    /// A cell of a joined row; none where a left join found nothing.
    pub fn cell(&self, row: usize, slot: Slot) -> Option<&str> {
        self.rows.get(row).and_then(|row| self.at(row, slot))
    }

    fn at(&self, row: &[Option<usize>], slot: Slot) -> Option<&str> {
        let row = row.get(slot.table).copied().flatten()?;
        self.tables.get(slot.table).map(|(_, table)| table.cell(row, slot.column))
    }

    fn table(&self, handle: &str) -> R<usize> {
        let place = self.tables.iter().position(|(known, _)| known == handle);
        place.ok_or_else(|| pipeline("the job uses a table that was not announced"))
    }

    fn names_every_table_once(&self, join: &Join) -> R<()> {
        let named = std::iter::once(&join.first).chain(join.steps.iter().map(|step| &step.handle));
        let mut left = HashSet::new();
        for (handle, step) in named.zip(std::iter::once(None).chain(join.steps.iter().map(Some))) {
            self.table(handle)?;
            if step.is_some_and(|s| s.right.handle != s.handle || !left.contains(&s.left.handle)) {
                return Err(pipeline("a join step does not tie its table to one that stands left of it"));
            }
            if !left.insert(handle.clone()) {
                return Err(pipeline("a table is joined twice"));
            }
        }
        if left.len() != self.tables.len() {
            return Err(pipeline("a table is not joined"));
        }
        Ok(())
    }

    /// The rows of a table that are the first of their key, for each key by which the table is joined.
    fn unique_rows(&self, join: &Join, table: usize) -> R<Vec<usize>> {
        let keys = join.steps.iter().flat_map(|step| [&step.left, &step.right]);
        let mut columns = Vec::new();
        for slot in keys.map(|key| self.slot(key)).collect::<R<Vec<_>>>()? {
            if slot.table == table && !columns.contains(&slot.column) {
                columns.push(slot.column);
            }
        }
        let Some((_, table)) = self.tables.get(table) else { return Ok(Vec::new()) };
        let mut rows: Vec<usize> = (0..table.rows()).collect();
        for column in columns {
            let mut seen = HashSet::new();
            rows.retain(|row| table.cell(*row, column).is_empty() || seen.insert(table.cell(*row, column)));
        }
        Ok(rows)
    }

    fn step(&self, join: &Join, step: &JoinStep) -> R<Vec<Vec<Option<usize>>>> {
        let (left, right) = (self.slot(&step.left)?, self.slot(&step.right)?);
        let Some((_, table)) = self.tables.get(right.table) else { return Ok(Vec::new()) };
        let candidates = self.unique_rows(join, right.table)?;
        let index: HashMap<&str, usize> = candidates
            .into_iter()
            .map(|row| (table.cell(row, right.column), row))
            .filter(|(key, _)| !key.is_empty())
            .collect();
        let mut rows = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            let found = self.at(row, left).and_then(|key| index.get(key)).copied();
            if found.is_some() || step.kind == JoinKind::Left {
                let mut row = row.clone();
                if let Some(place) = row.get_mut(right.table) {
                    *place = found;
                }
                rows.push(row);
            }
        }
        Ok(rows)
    }
}

fn only(width: usize, table: usize, row: usize) -> Vec<Option<usize>> {
    (0..width).map(|place| (place == table).then_some(row)).collect()
}

/// Whether a filter holds for a cell; never for a cell that is not there or, where numbers are compared, is no number.
fn holds(filter: &Filter, cell: Option<&str>) -> bool {
    let Some(cell) = cell else { return false };
    let order = || {
        let (cell, value) = (cell.trim().parse::<f64>().ok()?, filter.value.trim().parse::<f64>().ok()?);
        cell.partial_cmp(&value)
    };
    match filter.op {
        Comparison::Eq => cell == filter.value,
        Comparison::Ne => cell != filter.value,
        Comparison::Lt => order().is_some_and(|o| o.is_lt()),
        Comparison::Le => order().is_some_and(|o| o.is_le()),
        Comparison::Gt => order().is_some_and(|o| o.is_gt()),
        Comparison::Ge => order().is_some_and(|o| o.is_ge()),
    }
}

#[cfg(test)]
mod tests {
    use schemas::Code;

    use super::*;
    use crate::table::csv::parse;

    fn column(text: &str) -> ColumnRef {
        let (handle, column) = text.split_once('.').unwrap();
        ColumnRef { handle: handle.into(), column: column.into() }
    }

    fn step(kind: JoinKind, left: &str, right: &str) -> JoinStep {
        JoinStep { handle: column(right).handle, kind, left: column(left), right: column(right) }
    }

    fn join(steps: Vec<JoinStep>, filters: Vec<Filter>) -> Join {
        Join { name: "j".into(), first: "a".into(), steps, projection: vec![], filters, aggregates: vec![] }
    }

    fn filter(name: &str, op: Comparison, value: &str) -> Filter {
        Filter { column: column(name), op, value: value.into() }
    }

    fn run(join: &Join, show: &[&str]) -> R<Vec<String>> {
        let table =
            |name: &str, text: &str| (name.to_owned(), parse(text.as_bytes(), &["k".into(), "v".into()]).unwrap());
        let tables = vec![
            table("a", "k,v\n1,a1\n2,a2\n1,again\n,empty\n4,a4\n"),
            table("b", "k,v\n2,20\n1,10\n2,99\n,x\n"),
            table("c", "k,v\n4,c4\n1,c1\n"),
        ];
        let used: Vec<&str> =
            std::iter::once(join.first.as_str()).chain(join.steps.iter().map(|s| s.handle.as_str())).collect();
        let tables = tables.into_iter().filter(|(name, _)| used.contains(&name.as_str())).collect();
        let joined = Joined::new(join, tables)?;
        let slots = show.iter().map(|name| joined.slot(&column(name))).collect::<R<Vec<_>>>()?;
        let row = |row| slots.iter().map(|s| joined.cell(row, *s).unwrap_or("-")).collect::<Vec<_>>().join(" ");
        Ok(joined.rows().map(row).collect())
    }

    #[test]
    fn inner_and_left_joins_keep_the_first_row_of_a_key() {
        let inner = join(vec![step(JoinKind::Inner, "a.k", "b.k")], vec![]);
        assert_eq!(run(&inner, &["a.v", "b.v"]).unwrap(), ["a1 10", "a2 20"]);
        let left = join(vec![step(JoinKind::Left, "a.k", "b.k"), step(JoinKind::Left, "a.k", "c.k")], vec![]);
        assert_eq!(run(&left, &["a.v", "b.v", "c.v"]).unwrap(), ["a1 10 c1", "a2 20 -", "empty - -", "a4 - c4"]);
        let chain = join(vec![step(JoinKind::Inner, "a.k", "b.k"), step(JoinKind::Inner, "b.k", "c.k")], vec![]);
        assert_eq!(run(&chain, &["a.v", "c.v"]).unwrap(), ["a1 c1"]);
    }

    #[test]
    fn filters_judge_each_row_by_itself() {
        let steps = || vec![step(JoinKind::Left, "a.k", "b.k")];
        let rows = |filters| run(&join(steps(), filters), &["a.v"]).unwrap();
        assert_eq!(rows(vec![filter("b.v", Comparison::Ge, "20")]), ["a2"]);
        assert_eq!(rows(vec![filter("b.v", Comparison::Lt, "20")]), ["a1"]);
        assert_eq!(rows(vec![filter("b.v", Comparison::Gt, "10"), filter("b.v", Comparison::Le, "20")]), ["a2"]);
        assert_eq!(rows(vec![filter("b.v", Comparison::Ne, "10")]), ["a2"]);
        assert_eq!(rows(vec![filter("a.v", Comparison::Eq, "a4")]), ["a4"]);
        assert!(rows(vec![filter("a.v", Comparison::Lt, "5")]).is_empty());
    }

    #[test]
    fn joins_that_do_not_fit_the_tables_are_refused() {
        for broken in [
            join(vec![step(JoinKind::Inner, "b.k", "c.k")], vec![]),
            join(vec![step(JoinKind::Inner, "a.k", "b.k"), step(JoinKind::Inner, "a.k", "b.k")], vec![]),
            join(vec![step(JoinKind::Inner, "a.k", "b.nowhere")], vec![]),
            join(vec![step(JoinKind::Inner, "a.k", "z.k")], vec![]),
            join(vec![], vec![filter("c.v", Comparison::Eq, "1")]),
        ] {
            assert_eq!(run(&broken, &["a.v"]).err().map(|r| r.code), Some(Code::PipelineInvalid));
        }
    }
}
