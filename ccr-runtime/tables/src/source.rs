//! The tables as the engine sees them: only what the job reads, one row per key, in small pieces.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{Float64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch, UInt64Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use schemas::R;
use schemas::pipeline::{ColumnRef, Join};

use crate::count::first_of;
use crate::fault::{internal, pipeline};
use crate::names::Names;
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
    first_of(keys(join, handle).into_iter().map(|key| key.column.as_str()), table).ok_or_else(unknown)
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

/// Takes whoever stands in more than one of the united tables out of all of them, before any filter: nobody gives two rows,
/// and who leaves one table takes a row away or brings back that of the only other one. Were the first table's row kept, it
/// would turn into another table's instead: a move of two.
pub fn alone(key: &ColumnRef, parts: &mut [Part<'_>]) -> R<()> {
    let mut keys = Vec::new();
    for part in parts.iter() {
        let own = part.key.unwrap_or(key);
        keys.push(part.table.text(&own.column).ok_or_else(unknown)?.collect::<Vec<_>>());
    }
    let mut stands: HashMap<&str, u32> = HashMap::new();
    for (part, cells) in parts.iter().zip(&keys) {
        for cell in part.rows.iter().filter_map(|row| cells.get(*row)).filter(|cell| !cell.is_empty()) {
            *stands.entry(cell.as_ref()).or_default() += 1;
        }
    }
    let once = |cell: &str| stands.get(cell).is_none_or(|tables| *tables == 1);
    for (part, cells) in parts.iter_mut().zip(&keys) {
        part.rows.retain(|row| cells.get(*row).is_some_and(|cell| once(cell)));
    }
    Ok(())
}

/// The engine's table `name` with the columns of `uses`, and the number of each row counted over all parts. Keys become
/// pseudonyms here.
pub fn source(name: &str, uses: &[&Use], parts: &[Part<'_>], names: &Names) -> R<Source> {
    let kind = |used: &Use| if used.role == Role::Number { DataType::Float64 } else { DataType::Utf8 };
    let mut fields: Vec<Field> = uses.iter().map(|used| Field::new(used.name(), kind(used), true)).collect();
    fields.push(Field::new(ROW, DataType::UInt64, false));
    let schema = Arc::new(Schema::new(fields));
    let (mut pieces, mut before) = (Vec::new(), 0u64);
    for part in parts {
        let mut columns: Vec<Vec<ArrayRef>> = uses.iter().map(|used| column(used, part, names)).collect::<R<_>>()?;
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

fn column(used: &Use, part: &Part<'_>, names: &Names) -> R<Vec<ArrayRef>> {
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
    let piece = |rows: &[usize]| -> R<ArrayRef> {
        let mut builder = StringBuilder::new();
        for row in rows {
            let cell = cells.get(*row).map_or("", |cell| cell.as_ref());
            match used.role == Role::Key {
                true if cell.is_empty() => builder.append_null(),
                true => builder.append_value(names.of(&format!("{}{cell}", part.prefix))?),
                false => builder.append_value(cell),
            }
        }
        Ok(Arc::new(builder.finish()))
    };
    part.rows.chunks(PIECE).map(piece).collect()
}

/// The job names a column that its table does not announce.
pub fn unknown() -> schemas::Refusal {
    pipeline("the job uses a column that was not announced")
}

#[cfg(test)]
mod tests {
    use arrow_array::Array as _;
    use arrow_array::cast::AsArray as _;

    use super::*;
    use crate::split::Split;
    use crate::{Limits, csv};

    #[test]
    fn the_engine_sees_pseudonyms_and_no_key() {
        let columns = ["id".to_owned(), "v".to_owned()];
        let table = csv::read(b"id,v\np1,p1x\n,2\np2,3\np1,4\n", &columns, &columns, &Limits::ROOM).unwrap();
        let names = Names::new(&[3; 32], Split::new(&[1; 32], 500_000).unwrap()).unwrap();
        let of = |column: &str, role| Use::new(&ColumnRef { handle: "a".into(), column: column.into() }, role);
        let uses = [of("id", Role::Key), of("v", Role::Text)];
        let read = |prefix: &str| {
            let part = Part { table: &table, rows: (0..4).collect(), prefix: prefix.into(), key: None };
            let source = source("a", &uses.iter().collect::<Vec<_>>(), &[part], &names).unwrap();
            let cells = source.pieces[0].column(0).as_string::<i32>();
            (0..4).map(|row| cells.is_valid(row).then(|| cells.value(row).to_owned())).collect::<Vec<_>>()
        };
        let plain = read("");
        assert_eq!(plain[0].as_deref(), Some(names.of("p1").unwrap().as_str()));
        assert_eq!((&plain[3], &plain[1]), (&plain[0], &None));
        assert_ne!(plain[2], plain[0]);
        assert!(plain.iter().flatten().all(|name| !name.contains('p')));
        assert_eq!(read("b/")[0].as_deref(), Some(names.of("b/p1").unwrap().as_str()));
    }
}
