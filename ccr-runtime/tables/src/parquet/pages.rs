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

#[cfg(test)]
mod tests {
    use schemas::Code;

    use super::*;
    use crate::limits::Limits;

    fn varint(number: i64) -> Vec<u8> {
        let mut value = ((number << 1) ^ (number >> 63)) as u64;
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }

    /// A page of the first version (5), a dictionary (7), or a page of the second version (8).
    fn page(kind: i64, unpacked: i64, packed: i64, values: i64, encoding: i64) -> Vec<u8> {
        let field = |bytes: &mut Vec<u8>, number: i64| {
            bytes.push(0x15);
            bytes.extend(varint(number));
        };
        let mut bytes = Vec::new();
        [kind, unpacked, packed].iter().for_each(|number| field(&mut bytes, *number));
        bytes.push(if kind == 2 { 0x4c } else { 0x2c });
        [values, encoding].iter().for_each(|number| field(&mut bytes, *number));
        bytes.extend([0, 0]);
        bytes.extend(vec![b'x'; usize::try_from(packed).unwrap_or(0).min(64)]);
        bytes
    }

    fn judged(pieces: &[Vec<u8>]) -> Option<Code> {
        check(&pieces.concat(), 5, &mut Limits::ROOM.meter(&[0; 1_000])).err().map(|refusal| refusal.code)
    }

    #[test]
    fn pages_that_lie_about_themselves_are_refused() {
        let dictionary = || page(2, 40, 40, 3, 0);
        assert_eq!(judged(&[dictionary(), page(0, 20, 20, 2, 8), page(0, 9, 9, 3, 0)]), None);
        for (pieces, code) in [
            (vec![page(0, i64::from(i32::MAX), 20, 5, 0)], Code::LimitExceeded),
            (vec![page(0, 200 << 20, 20, 5, 0)], Code::LimitExceeded), // more than a file of that size may become
            (vec![page(0, -1, 20, 5, 0)], Code::LimitExceeded),
            (vec![page(0, 20, 65, 5, 0)], Code::TableForm),
            (vec![page(0, 20, -1, 5, 0)], Code::TableForm),
            (vec![page(0, 20, 20, 4, 0)], Code::TableForm),
            (vec![page(0, 20, 20, -5, 0)], Code::TableForm),
            (vec![page(0, 20, 20, 6, 0)], Code::TableForm),
            (vec![page(0, 20, 20, 5, 7)], Code::TableForm), // delta byte array
            (vec![page(0, 20, 20, 5, 5)], Code::TableForm), // delta binary packed
            (vec![page(1, 20, 20, 5, 0)], Code::TableForm),
            (vec![page(2, 40, 40, 41, 0), page(0, 20, 20, 5, 8)], Code::TableForm),
            (vec![page(2, 40, 40, i64::from(i32::MAX), 0), page(0, 20, 20, 5, 8)], Code::TableForm),
            (vec![page(0, 20, 20, 5, 0), vec![0x15]], Code::TableForm),
        ] {
            assert_eq!(judged(&pieces), Some(code), "{pieces:?}");
        }
    }
}
