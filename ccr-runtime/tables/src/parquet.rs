//! Apache Parquet, read strictly: flat columns, plain or dictionary pages, unpacked or in Snappy. The footer and every
//! page's header are looked at first, so that nothing is unpacked that lies about its size.

mod footer;
mod pages;
mod thrift;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Compression;
use schemas::R;
use schemas::dataset::ColumnType;

use crate::fault::{exceeded, form};
use crate::limits::{Limits, Meter};
use crate::table::{Cells, Table};

/// Rows that are unpacked at once.
const BATCH: usize = 4_096;

/// Reads the wanted columns; the announced ones must all be there, each once. Refuses faults of structure with a fixed
/// sentence, before anything is unpacked that says it becomes too large.
pub fn read(file: Bytes, announced: &[String], wanted: &[String], limits: &Limits) -> R<Table> {
    limits.file(&file)?;
    let data = footer::check(&file, limits)?;
    // The decoder is made for honest files: on others it may panic, with words of its own.
    let unpacked = catch_unwind(AssertUnwindSafe(|| unpack(file, data, announced, wanted, limits)));
    unpacked.unwrap_or_else(|_| Err(form("it cannot be decoded")))
}

/// Names and types of a file's columns in their order, as its own description says; none for a type that rooms do not
/// read. No page is looked at.
pub fn columns(file: &Bytes, limits: &Limits) -> R<Vec<(String, Option<ColumnType>)>> {
    limits.file(file)?;
    footer::check(file, limits)?;
    let load = || ArrowReaderMetadata::load(file, ArrowReaderOptions::new().with_skip_arrow_metadata(true));
    let seen = catch_unwind(AssertUnwindSafe(load)).map_err(undecodable)?.map_err(undecodable)?;
    Ok(seen.schema().fields().iter().map(|field| (field.name().clone(), type_of(field.data_type()))).collect())
}

fn type_of(kind: &DataType) -> Option<ColumnType> {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 => Some(ColumnType::Text),
        DataType::Binary | DataType::LargeBinary => Some(ColumnType::Image),
        DataType::Boolean | DataType::Float32 | DataType::Float64 => Some(ColumnType::Number),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Some(ColumnType::Number),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => Some(ColumnType::Number),
        _ => None,
    }
}

fn undecodable<E>(_: E) -> schemas::Refusal {
    form("it cannot be decoded")
}

fn unpack(file: Bytes, data: usize, announced: &[String], wanted: &[String], limits: &Limits) -> R<Table> {
    let mut meter = limits.meter(&file);
    let options = || ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let seen = ArrowReaderMetadata::load(&file, options()).map_err(undecodable)?;
    for name in announced {
        place(seen.schema(), name)?;
    }
    let places = wanted.iter().map(|name| place(seen.schema(), name)).collect::<R<Vec<usize>>>()?;
    let rows = pieces(&file, data, &seen, &places, &mut meter, limits)?;
    // Views share a dictionary's text instead of writing it out for every row.
    let schema = Schema::new(seen.schema().fields().iter().map(view).collect::<Vec<_>>());
    let metadata = Arc::clone(seen.metadata());
    let options = options().with_schema(Arc::new(schema));
    let seen = ArrowReaderMetadata::try_new(metadata, options).map_err(undecodable)?;
    let mask = ProjectionMask::roots(seen.parquet_schema(), places.iter().copied());
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, seen);
    let reader = builder.with_projection(mask).with_batch_size(BATCH).build().map_err(undecodable)?;
    let mut columns: Vec<Vec<Cells>> = wanted.iter().map(|_| Vec::new()).collect();
    let mut read = 0usize;
    for batch in reader {
        let batch: RecordBatch = batch.map_err(undecodable)?;
        read = read.saturating_add(batch.num_rows());
        if read as u64 > rows {
            return Err(form("it has more rows than it says"));
        }
        for (column, name) in columns.iter_mut().zip(wanted) {
            let cells = batch.column_by_name(name).ok_or_else(|| form("a needed column is missing"))?;
            column.push(cells_of(cells, limits, &mut meter)?);
        }
    }
    if read as u64 != rows && !wanted.is_empty() {
        return Err(form("it has fewer rows than it says"));
    }
    let rows = if wanted.is_empty() { 0 } else { read };
    Table::new(wanted.to_vec(), columns, rows).ok_or_else(|| form("its columns differ in length"))
}

/// The one place of a column.
fn place(schema: &Schema, name: &str) -> R<usize> {
    let mut places = schema.fields().iter().enumerate().filter(|(_, field)| field.name() == name).map(|(at, _)| at);
    match (places.next(), places.next()) {
        (Some(place), None) => Ok(place),
        (None, _) => Err(form("a needed column is missing")),
        _ => Err(form("a needed column stands twice in the schema")),
    }
}

/// Looks at every piece of every wanted column. Returns the number of rows.
fn pieces(
    file: &[u8],
    data: usize,
    seen: &ArrowReaderMetadata,
    places: &[usize],
    meter: &mut Meter,
    limits: &Limits,
) -> R<u64> {
    let mut all = 0u64;
    for group in seen.metadata().row_groups() {
        let rows = u64::try_from(group.num_rows()).map_err(|_| form("it has a negative number of rows"))?;
        all = all.saturating_add(rows);
        if all > limits.rows {
            return Err(exceeded("it has too many rows"));
        }
        for place in places {
            meter.add(rows.saturating_mul(VALUE))?;
            let column = group.columns().get(*place).ok_or_else(|| form("a column has no data"))?;
            if !matches!(column.compression(), Compression::UNCOMPRESSED | Compression::SNAPPY) {
                return Err(form(
                    "a column is packed with something other than Snappy; write it with Snappy or unpacked",
                ));
            }
            let first = column.dictionary_page_offset().filter(|at| *at > 0).unwrap_or(column.data_page_offset());
            let first = usize::try_from(first.min(column.data_page_offset())).unwrap_or(0);
            let length = usize::try_from(column.compressed_size()).ok();
            let end = length.and_then(|length| first.checked_add(length)).filter(|end| *end <= data && first >= 4);
            let piece =
                end.and_then(|end| file.get(first..end)).ok_or_else(|| form("a column lies outside the file"))?;
            pages::check(piece, rows, meter)?;
        }
    }
    if u64::try_from(seen.metadata().file_metadata().num_rows()).ok() != Some(all) {
        return Err(form("its pieces have another number of rows than it says"));
    }
    Ok(all)
}

/// Bytes that a value takes once it is read, beside what it refers to.
const VALUE: u64 = 16;

fn view(field: &Arc<Field>) -> Arc<Field> {
    let kind = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        _ => return Arc::clone(field),
    };
    Arc::new(field.as_ref().clone().with_data_type(kind))
}

/// A column in one of the four forms that the room knows.
fn cells_of(cells: &ArrayRef, limits: &Limits, meter: &mut Meter) -> R<Cells> {
    let mut sized = |length: usize| {
        if length > limits.cell { Err(exceeded("a cell is too large")) } else { meter.add(length as u64) }
    };
    let cells = match cells.data_type() {
        DataType::Utf8View => {
            let cells = cells.as_string_view();
            cells.iter().flatten().try_for_each(|cell| sized(cell.len()))?;
            Cells::Text(cells.clone())
        }
        DataType::BinaryView => {
            let cells = cells.as_binary_view();
            cells.iter().flatten().try_for_each(|cell| sized(cell.len()))?;
            Cells::Bytes(cells.clone())
        }
        DataType::Boolean => {
            let cells = cells.as_boolean();
            Cells::Integer(cells.iter().map(|cell| cell.map(i64::from)).collect())
        }
        DataType::Float32 => Cells::Number(floats::<Float32Type>(cells)),
        DataType::Float64 => Cells::Number(floats::<Float64Type>(cells)),
        DataType::Int8 => Cells::Integer(integers::<Int8Type>(cells)),
        DataType::Int16 => Cells::Integer(integers::<Int16Type>(cells)),
        DataType::Int32 => Cells::Integer(integers::<Int32Type>(cells)),
        DataType::Int64 => Cells::Integer(integers::<Int64Type>(cells)),
        DataType::UInt8 => Cells::Integer(integers::<UInt8Type>(cells)),
        DataType::UInt16 => Cells::Integer(integers::<UInt16Type>(cells)),
        DataType::UInt32 => Cells::Integer(integers::<UInt32Type>(cells)),
        DataType::UInt64 => Cells::Integer(integers::<UInt64Type>(cells)),
        _ => return Err(form("a needed column is of a type that is not read here; use text, numbers or bytes")),
    };
    Ok(cells)
}

fn floats<T: ArrowPrimitiveType>(cells: &ArrayRef) -> Float64Array
where
    T::Native: Into<f64>,
{
    cells.as_primitive::<T>().iter().map(|cell| cell.map(Into::into)).collect()
}

/// A number that is too large for 64 bits with a sign counts as missing.
fn integers<T: ArrowPrimitiveType>(cells: &ArrayRef) -> Int64Array
where
    T::Native: TryInto<i64>,
{
    cells.as_primitive::<T>().iter().map(|cell| cell.and_then(|cell| cell.try_into().ok())).collect()
}
