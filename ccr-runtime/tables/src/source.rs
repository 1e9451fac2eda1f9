//! The tables as the engine sees them: only what the job reads, one row per key, in small pieces.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::builder::{Float64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch, UInt64Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use schemas::R;
use schemas::pipeline::{ColumnRef, Join};

use crate::fault::{internal, pipeline};
use crate::roles::{Role, Use, keys};
use crate::table::Table;

/// The number of a row, in every table of the engine.
pub const ROW: &str = "row";
/// Rows of a piece: what the engine counts is then what there is.
const PIECE: usize = 8_192;

/// One table of the engine.
pub struct Source {
    /// Its name there.
    pub name: String,
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows.
    pub pieces: Vec<RecordBatch>,
}

/// The rows that are the first of their key, for each key by which the table is joined: a row then meets at most one row
/// of every other table. An empty cell is no key.
pub fn first_rows(join: &Join, handle: &str, table: &Table) -> R<Vec<usize>> {
    let mut rows: Vec<usize> = (0..table.rows()).collect();
    for key in keys(join, handle) {
        let cells: Vec<_> = table.text(&key.column).ok_or_else(unknown)?.collect();
        let mut seen = HashSet::new();
        rows.retain(|row| cells.get(*row).is_some_and(|cell| cell.is_empty() || seen.insert(cell.as_ref())));
    }
    Ok(rows)
}

/// A part of a table of the engine; parts stand below each other under the first one's column names.
pub struct Part<'a> {
    /// Its cells.
    pub table: &'a Table,
    /// The rows that are taken.
    pub rows: Vec<usize>,
    /// Put before every key, where tables are united.
    pub prefix: String,
    /// Its own key column, where it has another name than the first part's.
    pub key: Option<&'a ColumnRef>,
}

/// The engine's table `name` with the columns of `uses`, and the number of each row counted over all parts.
pub fn source(name: &str, uses: &[&Use], parts: &[Part<'_>]) -> R<Source> {
    let kind = |used: &Use| if used.role == Role::Number { DataType::Float64 } else { DataType::Utf8 };
    let mut fields: Vec<Field> = uses.iter().map(|used| Field::new(used.name(), kind(used), true)).collect();
    fields.push(Field::new(ROW, DataType::UInt64, false));
    let schema = Arc::new(Schema::new(fields));
    let (mut pieces, mut before) = (Vec::new(), 0u64);
    for part in parts {
        let mut columns: Vec<Vec<ArrayRef>> = uses.iter().map(|used| column(used, part)).collect::<R<_>>()?;
        let numbers = part.rows.chunks(PIECE).map(|rows| {
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| before + *row as u64))) as ArrayRef
        });
        columns.push(numbers.collect());
        for piece in 0..part.rows.len().div_ceil(PIECE) {
            let cells = columns.iter().filter_map(|column| column.get(piece).cloned()).collect();
            let batch = RecordBatch::try_new(Arc::clone(&schema), cells);
            pieces.push(batch.map_err(|_| internal("a table of the join has uneven columns"))?);
        }
        before += part.table.rows() as u64;
    }
    Ok(Source { name: name.to_owned(), schema, pieces })
}

fn column(used: &Use, part: &Part<'_>) -> R<Vec<ArrayRef>> {
    let own = part.key.filter(|_| used.role == Role::Key).map_or(&used.column.column, |key| &key.column);
    if used.role == Role::Number {
        let cells: Vec<Option<f64>> = part.table.numbers(own).ok_or_else(unknown)?.collect();
        let piece = |rows: &[usize]| {
            let mut builder = Float64Builder::with_capacity(rows.len());
            rows.iter().for_each(|row| builder.append_option(cells.get(*row).copied().flatten()));
            Arc::new(builder.finish()) as ArrayRef
        };
        return Ok(part.rows.chunks(PIECE).map(piece).collect());
    }
    let cells: Vec<_> = part.table.text(own).ok_or_else(unknown)?.collect();
    let piece = |rows: &[usize]| {
        let mut builder = StringBuilder::new();
        for row in rows {
            let cell = cells.get(*row).map_or("", |cell| cell.as_ref());
            match used.role == Role::Key {
                true if cell.is_empty() => builder.append_null(),
                true if !part.prefix.is_empty() => builder.append_value(format!("{}{cell}", part.prefix)),
                _ => builder.append_value(cell),
            }
        }
        Arc::new(builder.finish()) as ArrayRef
    };
    Ok(part.rows.chunks(PIECE).map(piece).collect())
}

fn unknown() -> schemas::Refusal {
    pipeline("the job uses a column that was not announced")
}
