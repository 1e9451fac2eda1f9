//! From tables to two sets of rows: one to train on, one held out.
//!
//! Every row is treated by itself: bounds, imputed values, lists and the split's salt are public, so taking one principal
//! away leaves every other row's part and value as they were. Faults of cells never refuse, are never counted and never
//! logged.

use std::collections::HashSet;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, UInt64Type};
use arrow_array::{Array, StringArray};
use schemas::R;
use schemas::pipeline::{Join, JoinKind, Training};

use crate::engine;
use crate::fault::{internal, pipeline};
use crate::inputs::{Cell, Label, Maker};
use crate::names::Names;
use crate::plan::{Given, every_row, every_table_once};
use crate::roles::{Role, Use, keys, taken, united, uses};
use crate::source::{Part, Source, alone, first_rows, source};
use crate::split::Split;
use crate::table::Table;

/// Working memory of the join.
const MEMORY: usize = 8 << 30;

/// Rows ready for a model: features scaled to [−1, 1], or tokens, laid side by side, and labels.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rows {
    /// Row-major features, as many per row as [`Training::inputs`].
    pub features: Vec<f32>,
    /// Row-major labels, as many per row as [`Training::label_width`]: 0 or 1, the place of a class, or a scaled number.
    pub labels: Vec<f32>,
}

impl Rows {
    /// How many labels there are, which is how many rows where each has one: secret.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none: secret.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// The two parts of a job's rows.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Parts {
    /// What is trained on.
    pub train: Rows,
    /// What only metrics see.
    pub held_out: Rows,
}

/// The columns of a table that a job reads.
pub fn needed(join: &Join, training: &Training, handle: &str) -> Vec<String> {
    let mut names: Vec<String> =
        uses(join, training).into_iter().map(|u| u.column).filter(|c| c.handle == handle).map(|c| c.column).collect();
    names.sort();
    names.dedup();
    names
}

/// Joins, filters, keeps one row per principal, scales and splits. From the join on principals go by pseudonyms under
/// `key`, a secret of the run, on which nothing of the result depends.
pub fn prepare(join: &Join, training: &Training, tables: &[(String, Table)], key: &[u8; 32]) -> R<Parts> {
    let handles: Vec<&str> = tables.iter().map(|(handle, _)| handle.as_str()).collect();
    every_table_once(join, &handles)?;
    let taken = taken(training);
    if taken.iter().any(|used| !join.projection.contains(&used.column)) {
        return Err(pipeline("the training uses a column that the join does not give"));
    }
    let makers = Maker::of(training)?;
    let label = Label::new(training)?;
    let names = Names::new(key, Split::new(&training.split_salt.0, training.train_ppm)?)?;

    let given = given(join, training, &taken);
    let batches = engine::run(join, &sources(join, training, tables, &names)?, &given, MEMORY)?;
    let raw = Raw::new(join, &taken, tables)?;
    let joined = Joined { given: &given, raw: &raw, batches: &batches };
    let mut parts = Parts::default();
    let principal = joined.place(&Given::Cell(Use::new(&training.principal, Role::Key)))?;
    let (features, target) = joined.places(&taken)?;
    let mut seen = HashSet::new();
    for place in joined.in_order()? {
        // A row without a principal belongs to nobody; of several rows of one principal the first is kept.
        let Some(name) = joined.text(place, principal) else { continue };
        if seen.insert(name) {
            let part = if Names::trains(name) { &mut parts.train } else { &mut parts.held_out };
            for (maker, column) in makers.iter().zip(&features) {
                maker.push(&joined.cell(place, *column), &mut part.features);
            }
            label.push(&joined.cell(place, target), &mut part.labels);
        }
    }
    Ok(parts)
}

/// What the engine gives: the first table's row, the principal, every cell, and the row of each table with pictures.
fn given(join: &Join, training: &Training, taken: &[Use]) -> Vec<Given> {
    let mut given = vec![Given::Row(join.first.clone()), Given::Cell(Use::new(&training.principal, Role::Key))];
    for used in taken {
        let wanted = match used.role {
            Role::Raw => Given::Row(used.column.handle.clone()),
            _ => Given::Cell(used.clone()),
        };
        if !given.contains(&wanted) {
            given.push(wanted);
        }
    }
    given
}

fn find<'a>(tables: &'a [(String, Table)], handle: &str) -> R<&'a Table> {
    let found = tables.iter().find(|(known, _)| known == handle).map(|(_, table)| table);
    found.ok_or_else(|| pipeline("the job uses a table that was not announced"))
}

fn sources(join: &Join, training: &Training, tables: &[(String, Table)], names: &Names) -> R<Vec<Source>> {
    let uses = uses(join, training);
    let unites = united(join).next().is_some();
    let mut sources = Vec::new();
    for (handle, table) in tables {
        if join.steps.iter().any(|step| step.kind == JoinKind::Union && step.handle == *handle) {
            continue; // it stands below the first table
        }
        let of_this = |used: &&Use| used.column.handle == *handle && used.role != Role::Raw;
        let aggregated =
            |used: &&Use| used.role == Role::Number && join.aggregates.iter().any(|a| a.column == used.column);
        let part = |handle: &str, table, key| -> R<Part<'_>> {
            let prefix = if unites { format!("{handle}/") } else { String::new() };
            Ok(Part { table, rows: first_rows(join, handle, table)?, prefix, key })
        };
        let mut parts = vec![part(handle, table, None)?];
        if *handle == join.first {
            for step in united(join) {
                parts.push(part(&step.handle, find(tables, &step.handle)?, Some(&step.right))?);
            }
            if unites {
                let keys = keys(join, handle);
                let [key] = keys.as_slice() else { return Err(pipeline("united tables are tied by one key each")) };
                alone(key, &mut parts)?;
            }
        }
        let own: Vec<&Use> = uses.iter().filter(of_this).filter(|used| !aggregated(used)).collect();
        sources.push(source(handle, &own, &parts, names)?);
        let over_all: Vec<&Use> = uses.iter().filter(of_this).filter(aggregated).collect();
        if !over_all.is_empty() {
            let key = keys(join, handle).first().map(|key| Use::new(key, Role::Key));
            let key = key.ok_or_else(|| pipeline("an aggregate needs a table that is joined by a key"))?;
            let columns: Vec<&Use> = std::iter::once(&key).chain(over_all).collect();
            let rows = (0..table.rows()).collect();
            let all = Part { table, rows, prefix: String::new(), key: None };
            sources.push(source(&every_row(handle), &columns, &[all], names)?);
        }
    }
    Ok(sources)
}

/// Pictures by table and column, outside the engine.
struct Raw<'a> {
    columns: Vec<(Use, Vec<Option<&'a [u8]>>)>,
}

impl<'a> Raw<'a> {
    fn new(join: &Join, taken: &[Use], tables: &'a [(String, Table)]) -> R<Raw<'a>> {
        let mut columns = Vec::new();
        for used in taken.iter().filter(|used| used.role == Role::Raw) {
            let mut handles = vec![used.column.handle.as_str()];
            if used.column.handle == join.first {
                handles.extend(united(join).map(|step| step.handle.as_str()));
            }
            let mut cells = Vec::new();
            for handle in handles {
                let column = find(tables, handle)?.bytes(&used.column.column);
                cells.extend(column.ok_or_else(|| pipeline("the job uses a column that was not announced"))?);
            }
            columns.push((used.clone(), cells));
        }
        Ok(Raw { columns })
    }
}

/// Where a column of the result lies: in the engine's answer, or among the pictures by the row of their table.
#[derive(Clone, Copy)]
enum Place {
    Text(usize),
    Number(usize),
    Raw { row: usize, column: usize },
}

/// The engine's answer with the pictures beside it.
struct Joined<'a> {
    given: &'a [Given],
    raw: &'a Raw<'a>,
    batches: &'a [RecordBatch],
}

impl<'a> Joined<'a> {
    fn place(&self, wanted: &Given) -> R<usize> {
        self.given.iter().position(|given| given == wanted).ok_or_else(|| internal("the join lacks a column"))
    }

    fn places(&self, taken: &[Use]) -> R<(Vec<Place>, Place)> {
        let mut places = Vec::new();
        for used in taken {
            places.push(match used.role {
                Role::Raw => {
                    let column = self.raw.columns.iter().position(|(known, _)| known == used);
                    let column = column.ok_or_else(|| internal("the join lacks a column"))?;
                    Place::Raw { row: self.place(&Given::Row(used.column.handle.clone()))?, column }
                }
                Role::Number => Place::Number(self.place(&Given::Cell(used.clone()))?),
                Role::Key | Role::Text => Place::Text(self.place(&Given::Cell(used.clone()))?),
            });
        }
        let target = places.pop().ok_or_else(|| internal("a training has a target"))?;
        Ok((places, target))
    }

    /// Every row of the answer, in the order of the first table's rows, each of which stands in it at most once.
    fn in_order(&self) -> R<Vec<(usize, usize)>> {
        let row = self.place(self.given.first().ok_or_else(|| internal("the join lacks a column"))?)?;
        let mut order = Vec::new();
        for (batch, rows) in self.batches.iter().enumerate() {
            let numbers = rows.columns().get(row).and_then(|column| column.as_primitive_opt::<UInt64Type>());
            let numbers = numbers.ok_or_else(|| internal("the join lacks a column"))?;
            order.extend(numbers.values().iter().enumerate().map(|(at, number)| (*number, batch, at)));
        }
        order.sort_unstable();
        Ok(order.into_iter().map(|(_, batch, at)| (batch, at)).collect())
    }

    fn text(&self, (batch, at): (usize, usize), column: usize) -> Option<&'a str> {
        let cells: &StringArray = self.batches.get(batch)?.columns().get(column)?.as_string_opt::<i32>()?;
        (at < cells.len() && cells.is_valid(at)).then(|| cells.value(at))
    }

    fn number(&self, (batch, at): (usize, usize), column: usize) -> Option<f64> {
        let cells = self.batches.get(batch)?.columns().get(column)?.as_primitive_opt::<Float64Type>()?;
        (at < cells.len() && cells.is_valid(at)).then(|| cells.value(at))
    }

    fn row(&self, (batch, at): (usize, usize), column: usize) -> Option<usize> {
        let cells = self.batches.get(batch)?.columns().get(column)?.as_primitive_opt::<UInt64Type>()?;
        if at < cells.len() && cells.is_valid(at) { usize::try_from(cells.value(at)).ok() } else { None }
    }

    fn cell(&self, at: (usize, usize), place: Place) -> Cell<'a> {
        match place {
            Place::Text(column) => Cell::Text(self.text(at, column)),
            Place::Number(column) => Cell::Number(self.number(at, column)),
            Place::Raw { row, column } => {
                let cells = self.raw.columns.get(column).map(|(_, cells)| cells);
                Cell::Raw(self.row(at, row).zip(cells).and_then(|(row, cells)| cells.get(row).copied().flatten()))
            }
        }
    }
}
