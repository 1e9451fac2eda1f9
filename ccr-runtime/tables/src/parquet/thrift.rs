//! As much of Thrift's compact protocol as is needed to look at a Parquet file's own words before a decoder believes
//! them: every length is compared with what is there, nothing is allocated, and nothing nests deeply.

use schemas::R;

use crate::fault::{exceeded, form};

/// Types of a field, as the protocol numbers them.
pub const I32: u8 = 5;
pub const I64: u8 = 6;
pub const LIST: u8 = 9;
pub const STRUCT: u8 = 12;

/// Entries that any list may have.
const MAX_LIST: u64 = 1 << 18;
/// Depth of structures within structures.
const MAX_DEPTH: u8 = 12;

/// A place in the bytes of a structure.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the first byte.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub fn read(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> R<u8> {
        let byte = self.bytes.get(self.at).copied().ok_or_else(cut)?;
        self.at += 1;
        Ok(byte)
    }

    fn pass(&mut self, length: u64) -> R<()> {
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        let end = end.filter(|end| *end <= self.bytes.len()).ok_or_else(cut)?;
        self.at = end;
        Ok(())
    }

    fn varint(&mut self) -> R<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(broken())
    }

    /// A number of any width.
    pub fn number(&mut self) -> R<i64> {
        let raw = self.varint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// The next field of a structure, by number and type; none at its end. `last` is the number of the field before.
    pub fn field(&mut self, last: &mut i16) -> R<Option<(i16, u8)>> {
        let head = self.byte()?;
        let kind = head & 0x0f;
        if kind == 0 {
            return Ok(None);
        }
        let number = match head >> 4 {
            0 => i16::try_from(self.number()?).map_err(|_| broken())?,
            step => last.checked_add(i16::from(step)).ok_or_else(broken)?,
        };
        *last = number;
        Ok(Some((number, kind)))
    }

    /// The head of a list: how many entries, and their type.
    pub fn list(&mut self) -> R<(u64, u8)> {
        let head = self.byte()?;
        let size = match head >> 4 {
            15 => self.varint()?,
            size => u64::from(size),
        };
        if size > MAX_LIST {
            return Err(exceeded("its own description is too long"));
        }
        Ok((size, head & 0x0f))
    }

    /// Steps over a value of a type.
    pub fn skip(&mut self, kind: u8) -> R<()> {
        self.skip_within(kind, MAX_DEPTH, false)
    }

    fn skip_within(&mut self, kind: u8, depth: u8, in_list: bool) -> R<()> {
        let deeper = || depth.checked_sub(1).ok_or_else(broken);
        match kind {
            1 | 2 if !in_list => Ok(()),
            1..=3 => self.pass(1),
            4..=6 => self.varint().map(drop),
            7 => self.pass(8),
            8 => {
                let length = self.varint()?;
                self.pass(length)
            }
            9 | 10 => {
                let depth = deeper()?;
                let (size, kind) = self.list()?;
                (0..size).try_for_each(|_| self.skip_within(kind, depth, true))
            }
            11 => {
                let depth = deeper()?;
                let size = self.varint()?;
                if size == 0 {
                    return Ok(());
                }
                if size > MAX_LIST {
                    return Err(exceeded("its own description is too long"));
                }
                let kinds = self.byte()?;
                (0..size).try_for_each(|_| {
                    self.skip_within(kinds >> 4, depth, true)?;
                    self.skip_within(kinds & 0x0f, depth, true)
                })
            }
            12 => {
                let depth = deeper()?;
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.skip_within(kind, depth, false)?;
                }
                Ok(())
            }
            _ => Err(broken()),
        }
    }
}

fn cut() -> schemas::Refusal {
    form("it ends within its own description")
}

fn broken() -> schemas::Refusal {
    form("its own description cannot be read")
}

#[cfg(test)]
mod tests {
    use schemas::Code;

    use super::*;

    #[test]
    fn numbers_fields_and_lists_are_read() {
        // Field 1: i32 150 (zigzag 300 = 0xac 0x02); field 3: list of two i32; field 4: a text; end.
        let bytes = [0x15, 0xac, 0x02, 0x29, 0x25, 0x02, 0x04, 0x18, 0x01, b'x', 0x00];
        let (mut reader, mut last) = (Reader::new(&bytes), 0);
        assert_eq!(reader.field(&mut last).unwrap(), Some((1, I32)));
        assert_eq!(reader.number().unwrap(), 150);
        assert_eq!(reader.field(&mut last).unwrap(), Some((3, LIST)));
        assert_eq!(reader.clone().list().unwrap(), (2, I32));
        reader.skip(LIST).unwrap();
        assert_eq!(reader.field(&mut last).unwrap(), Some((4, 8)));
        reader.skip(8).unwrap();
        assert_eq!((reader.field(&mut last).unwrap(), reader.read()), (None, bytes.len()));
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        for (bytes, code) in [
            (&[0x29, 0xf5, 0xff, 0xff, 0xff, 0x7f][..], Code::LimitExceeded), // 268 million entries
            (&[0x29, 0xf5, 0x80, 0x01][..], Code::TableForm),                 // 128 entries that are not there
            (&[0x18, 0x7f, b'x'][..], Code::TableForm),                       // 127 bytes that are not there
            (&[0x15, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01][..], Code::TableForm),
            (&[0x1c; 40][..], Code::TableForm), // forty structures within each other
            (&[0x1e][..], Code::TableForm),     // no such type
        ] {
            assert_eq!(Reader::new(bytes).skip(STRUCT).err().map(|r| r.code), Some(code), "{bytes:?}");
        }
    }
}
