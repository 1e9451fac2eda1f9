//! CBOR (RFC 8949) read strictly, so that bytes have one meaning: definite and shortest lengths, no duplicate map keys,
//! no floats, a tag at the very outside only, nothing after the end.

use std::collections::BTreeSet;

use ciborium::Value;
use schemas::{Code, R, Refusal};

/// Nothing nests deeper than this.
const MAX_DEPTH: usize = 12;
/// The most items in one message.
const MAX_ITEMS: usize = 4096;

pub(crate) fn bad(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::CoseForm, format!("CBOR: {why}"))
}

/// Reads one item of at most `most` bytes that fills the input; `COSE_FORM` for whatever the strict reader does not take.
pub fn read(bytes: &[u8], most: usize) -> R<Value> {
    if bytes.len() > most {
        return Err(Refusal::new(Code::BodyTooLarge, format!("at most {most} bytes are read")));
    }
    let mut scan = Scan { bytes, at: 0, items: 0 };
    scan.item(0)?;
    if scan.at != bytes.len() {
        return Err(bad("bytes follow the end"));
    }
    ciborium::from_reader(bytes).map_err(|_| bad("cannot be read"))
}

/// Writes an item with definite, shortest lengths; map entries stay in the order given.
pub fn write(value: &Value) -> R<Vec<u8>> {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out).map_err(|e| Refusal::new(Code::Internal, format!("CBOR: {e}")))?;
    Ok(out)
}

/// Walks the bytes before a library reads them.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    items: usize,
}

impl<'a> Scan<'a> {
    fn take(&mut self, count: usize) -> R<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len()).ok_or_else(|| bad("cut short"))?;
        let taken = self.bytes.get(self.at..end).ok_or_else(|| bad("cut short"))?;
        self.at = end;
        Ok(taken)
    }

    /// Major type and argument of an item.
    fn head(&mut self) -> R<(u8, u64)> {
        let first = self.take(1)?.first().copied().unwrap_or_default();
        let (major, low) = (first >> 5, first & 0x1f);
        let width = match low {
            0..=23 => return Ok((major, u64::from(low))),
            24..=27 => 1usize << (low - 24),
            _ => return Err(bad("indefinite lengths are not taken")),
        };
        let argument = self.take(width)?.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
        let least = if width == 1 { 24 } else { 1u64 << (4 * width) };
        if argument < least {
            return Err(bad("a length or number is not in its shortest form"));
        }
        Ok((major, argument))
    }

    fn item(&mut self, depth: usize) -> R<()> {
        self.items += 1;
        if depth > MAX_DEPTH || self.items > MAX_ITEMS {
            return Err(bad("nested too deeply or too many items"));
        }
        let (major, argument) = self.head()?;
        let count = usize::try_from(argument).unwrap_or(usize::MAX);
        match major {
            0 | 1 => Ok(()),
            2 => self.take(count).map(drop),
            3 => std::str::from_utf8(self.take(count)?).map(drop).map_err(|_| bad("text is not UTF-8")),
            4 => (0..count).try_for_each(|_| self.item(depth + 1)),
            5 => self.map(count, depth),
            6 if depth == 0 => self.item(depth + 1),
            7 if (20..=22).contains(&argument) => Ok(()),
            _ => Err(bad("a tag, float or simple value that is not taken here")),
        }
    }

    /// Since every item has one spelling here, equal keys are equal bytes.
    fn map(&mut self, count: usize, depth: usize) -> R<()> {
        let mut keys = BTreeSet::new();
        for _ in 0..count {
            let from = self.at;
            self.item(depth + 1)?;
            if !keys.insert(self.bytes.get(from..self.at)) {
                return Err(bad("a label stands twice"));
            }
            self.item(depth + 1)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_is_read() {
        for good in ["a0", "a10126", "d284434142434041f6", "83010203", "f6", "1818", "190100", "1a00010000"] {
            let bytes = hex::decode(good).unwrap();
            let value = read(&bytes, 100);
            // The third is cut short on purpose.
            assert_eq!(value.is_ok(), good != "d284434142434041f6", "{good}");
            if let Ok(value) = value {
                assert_eq!(write(&value).unwrap(), bytes);
            }
        }
        let cases = [
            ("9f01ff", "an array of indefinite length"),
            ("bf0126ff", "a map of indefinite length"),
            ("5f4101ff", "a string of indefinite length"),
            ("a201260127", "a doubled label"),
            ("a2012618011827", "a doubled label in another spelling"),
            ("1801", "a number that is not shortest"),
            ("190018", "a number that is not shortest"),
            ("1a00000100", "a number that is not shortest"),
            ("f93c00", "a float"),
            ("f7", "undefined"),
            ("f820", "a simple value"),
            ("81c100", "a tag inside"),
            ("61ff", "text that is not UTF-8"),
            ("8301", "an array cut short"),
            ("9b7fffffffffffffff", "an array of absurd length"),
            ("5b7fffffffffffffff", "a string of absurd length"),
            ("a0a0", "something after the end"),
            ("", "nothing"),
        ];
        for (bytes, what) in cases {
            assert_eq!(read(&hex::decode(bytes).unwrap(), 100).unwrap_err().code, Code::CoseForm, "{what}");
        }
        assert_eq!(read(&[0x81; 64], 100).unwrap_err().code, Code::CoseForm);
        assert_eq!(read(&[0xf6; 101], 100).unwrap_err().code, Code::BodyTooLarge);
    }
}
