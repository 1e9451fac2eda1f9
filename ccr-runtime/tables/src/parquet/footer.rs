//! A Parquet file's footer, looked at before the decoder reads it: flat columns only, not too many, and every list as long
//! as it says.

use schemas::R;

use super::thrift::{I64, LIST, Reader, STRUCT};
use crate::fault::{exceeded, form};
use crate::limits::Limits;

/// Bytes of a footer.
const MAX_FOOTER: usize = 16 << 20;
/// Columns times groups of rows: each takes some hundred bytes once it is read.
const MAX_CHUNKS: u64 = 1 << 17;

/// Refuses a footer that is broken, too long, nested, or says that there are too many rows, columns or pieces. Returns
/// the length of the file without it.
pub fn check(file: &[u8], limits: &Limits) -> R<usize> {
    let tail = file.len().checked_sub(8).and_then(|at| file.get(at..)).unwrap_or_default();
    let (Some((length, magic)), true) = (tail.split_first_chunk::<4>(), file.starts_with(b"PAR1")) else {
        return Err(form("it is no Parquet file"));
    };
    if magic != b"PAR1" {
        return Err(form("it is no Parquet file, is cut short, or is encrypted"));
    }
    let length = u32::from_le_bytes(*length) as usize;
    if length > MAX_FOOTER {
        return Err(exceeded("its own description is too long"));
    }
    let start = (file.len() - 8).checked_sub(length).filter(|start| *start >= 4);
    let start = start.ok_or_else(|| form("it ends within its own description"))?;
    description(file.get(start..file.len() - 8).unwrap_or_default(), limits)?;
    Ok(start)
}

/// `FileMetaData` of `parquet.thrift`: 2 the schema, 3 the number of rows, 4 the groups of rows.
fn description(bytes: &[u8], limits: &Limits) -> R<()> {
    let (mut reader, mut last) = (Reader::new(bytes), 0);
    let (mut columns, mut groups) = (None, None);
    while let Some((number, kind)) = reader.field(&mut last)? {
        match (number, kind) {
            (2, LIST) if columns.is_none() => columns = Some(schema(&mut reader, limits)?),
            (3, I64) => {
                let rows = u64::try_from(reader.number()?).map_err(|_| form("it has a negative number of rows"))?;
                if rows > limits.rows {
                    return Err(exceeded("it has too many rows"));
                }
            }
            (4, LIST) if groups.is_none() => {
                groups = Some(reader.clone().list()?.0);
                reader.skip(LIST)?;
            }
            (2 | 4, _) => return Err(form("its own description cannot be read")),
            _ => reader.skip(kind)?,
        }
    }
    let (Some(columns), Some(groups)) = (columns, groups) else {
        return Err(form("its own description lacks schema or rows"));
    };
    if columns.saturating_mul(groups) > MAX_CHUNKS {
        return Err(exceeded("it is cut into too many pieces"));
    }
    Ok(())
}

/// The schema: a root, and below it columns without children. Returns the number of columns.
fn schema(reader: &mut Reader<'_>, limits: &Limits) -> R<u64> {
    let (size, kind) = reader.list()?;
    let columns = size.saturating_sub(1);
    if columns > limits.columns as u64 {
        return Err(exceeded("it has too many columns"));
    }
    for element in 0..size {
        if kind != STRUCT {
            return Err(form("its own description cannot be read"));
        }
        let children = children(reader)?;
        let expected = if element == 0 { columns } else { 0 };
        if u64::try_from(children).ok() != Some(expected) {
            return Err(form("it has columns within columns"));
        }
    }
    Ok(columns)
}

/// Field 5 of `SchemaElement`; 0 if absent.
fn children(reader: &mut Reader<'_>) -> R<i64> {
    let (mut last, mut children) = (0, 0);
    while let Some((number, kind)) = reader.field(&mut last)? {
        match (number, kind) {
            (5, super::thrift::I32) => children = reader.number()?,
            (5, _) => return Err(form("its own description cannot be read")),
            _ => reader.skip(kind)?,
        }
    }
    Ok(children)
}
