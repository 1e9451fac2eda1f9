//! The pages of a column, looked at before the decoder unpacks them: each page says how large it becomes, and the decoder
//! makes room for what it says.

use schemas::R;

use super::thrift::{I32, Reader, STRUCT};
use crate::fault::{exceeded, form};
use crate::limits::Meter;

/// What one page may become.
const MAX_PAGE: i64 = 256 << 20;

/// PLAIN, PLAIN_DICTIONARY, RLE, BIT_PACKED, RLE_DICTIONARY, BYTE_STREAM_SPLIT. The delta encodings can stand for far
/// more than they hold.
const ENCODINGS: [i64; 6] = [0, 2, 3, 4, 8, 9];

/// A page's header: fields of `PageHeader` and of the one structure within it.
#[derive(Default)]
struct Page {
    kind: i64,
    unpacked: i64,
    packed: i64,
    values: i64,
    encoding: i64,
}

/// Walks the pages of one column's piece, which must fill it exactly and hold `rows` values; counts what they become.
pub fn check(piece: &[u8], rows: u64, meter: &mut Meter) -> R<()> {
    let (mut rest, mut values) = (piece, 0u64);
    while !rest.is_empty() {
        let (page, header) = page(rest)?;
        if !(0..=MAX_PAGE).contains(&page.unpacked) {
            return Err(exceeded("a page becomes too large"));
        }
        meter.add(page.unpacked as u64)?;
        let end = usize::try_from(page.packed).ok().and_then(|length| header.checked_add(length));
        rest = end.and_then(|end| rest.get(end..)).ok_or_else(|| form("a page is longer than its column"))?;
        let count = u64::try_from(page.values).map_err(|_| form("a page has a negative number of values"))?;
        match page.kind {
            0 | 3 => values = values.saturating_add(count),
            // Every value of a dictionary takes at least one byte.
            2 if count <= page.unpacked as u64 => {}
            2 => return Err(form("a dictionary says that it has more values than bytes")),
            _ => return Err(form("a page is of an unknown kind")),
        }
        if !ENCODINGS.contains(&page.encoding) {
            return Err(form(
                "a page is written in an encoding that is not read here; write plain or dictionary pages",
            ));
        }
    }
    if values == rows { Ok(()) } else { Err(form("a column holds another number of values than the table has rows")) }
}

/// Fields 1 kind, 2 and 3 sizes, 5 data page, 7 dictionary, 8 data page of the second version.
fn page(bytes: &[u8]) -> R<(Page, usize)> {
    let (mut reader, mut last, mut page) = (Reader::new(bytes), 0, Page { kind: -1, ..Page::default() });
    while let Some((number, kind)) = reader.field(&mut last)? {
        match (number, kind) {
            (1, I32) => page.kind = reader.number()?,
            (2, I32) => page.unpacked = reader.number()?,
            (3, I32) => page.packed = reader.number()?,
            (5 | 7, STRUCT) => inside(&mut reader, 2, &mut page)?,
            (8, STRUCT) => inside(&mut reader, 4, &mut page)?,
            _ => reader.skip(kind)?,
        }
    }
    Ok((page, reader.read()))
}

/// Field 1 is the number of values, the field `encoding` how they are written.
fn inside(reader: &mut Reader<'_>, encoding: i16, page: &mut Page) -> R<()> {
    let mut last = 0;
    while let Some((number, kind)) = reader.field(&mut last)? {
        match (number, kind) {
            (1, I32) => page.values = reader.number()?,
            (number, I32) if number == encoding => page.encoding = reader.number()?,
            _ => reader.skip(kind)?,
        }
    }
    Ok(())
}
