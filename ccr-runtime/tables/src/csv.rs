//! A strict reader of comma-separated values (RFC 4180, UTF-8, a header line, LF or CRLF, blank lines skipped).
//!
//! Lenient readers guess what a broken quote meant; this one refuses. It keeps the wanted columns only.

use arrow_array::builder::StringViewBuilder;
use schemas::R;

use crate::fault::{exceeded, form};
use crate::limits::Limits;
use crate::table::{Cells, Table};

/// Reads a table and keeps the wanted columns; the announced ones must all be there, each once. Refuses faults of
/// structure with a fixed sentence.
pub fn read(bytes: &[u8], announced: &[String], wanted: &[String], limits: &Limits) -> R<Table> {
    limits.file(bytes)?;
    let mut meter = limits.meter(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| form("it is not UTF-8"))?;
    let mut records = Records { rest: text.strip_prefix('\u{feff}').unwrap_or(text) };
    let mut record = Record::default();
    if !records.next(&mut record)? {
        return Err(form("it has no header line"));
    }
    let width = record.ends.len();
    if width > limits.columns {
        return Err(exceeded("it has too many columns"));
    }
    for name in announced {
        record.only(name)?;
    }
    let places = wanted.iter().map(|name| record.only(name)).collect::<R<Vec<usize>>>()?;
    let mut columns: Vec<StringViewBuilder> = wanted.iter().map(|_| StringViewBuilder::new()).collect();
    let mut rows = 0;
    while records.next(&mut record)? {
        if record.ends.len() != width {
            return Err(form("a row has another number of cells than the header line"));
        }
        rows += 1;
        if rows as u64 > limits.rows {
            return Err(exceeded("it has too many rows"));
        }
        for (column, place) in columns.iter_mut().zip(&places) {
            let cell = record.field(*place);
            if cell.len() > limits.cell {
                return Err(exceeded("a cell is too large"));
            }
            meter.add(cell.len() as u64 + VIEW)?;
            column.try_append_value(cell).map_err(|_| exceeded("a column is too large"))?;
        }
    }
    let columns = columns.iter_mut().map(|column| vec![Cells::Text(column.finish())]).collect();
    Table::new(wanted.to_vec(), columns, rows).ok_or_else(|| form("its columns differ in length"))
}

/// Bytes that a cell takes beside its text.
const VIEW: u64 = 16;

/// One line's fields, unquoted.
#[derive(Default)]
struct Record {
    text: String,
    ends: Vec<usize>,
}

impl Record {
    fn field(&self, place: usize) -> &str {
        let start = place.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(place).and_then(|end| self.text.get(start..*end)).unwrap_or("")
    }

    /// The one place of a name in the header line.
    fn only(&self, name: &str) -> R<usize> {
        let mut places = (0..self.ends.len()).filter(|place| self.field(*place) == name);
        match (places.next(), places.next()) {
            (Some(place), None) => Ok(place),
            (None, _) => Err(form("a needed column is missing")),
            _ => Err(form("a needed column stands twice in the header line")),
        }
    }
}

/// What of a file is still to be read.
struct Records<'a> {
    rest: &'a str,
}

impl Records<'_> {
    /// Reads the next record; false at the end of the file.
    fn next(&mut self, record: &mut Record) -> R<bool> {
        record.text.clear();
        record.ends.clear();
        while self.line_end() {}
        if self.rest.is_empty() {
            return Ok(false);
        }
        loop {
            match self.rest.strip_prefix('"') {
                Some(rest) => self.quoted(rest, &mut record.text)?,
                None => self.plain(&mut record.text)?,
            }
            record.ends.push(record.text.len());
            if let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest;
            } else if self.line_end() || self.rest.is_empty() {
                return Ok(true);
            } else {
                return Err(form("a quoted cell is followed by more text"));
            }
        }
    }

    /// Steps over one line end, if one is here.
    fn line_end(&mut self) -> bool {
        let rest = self.rest.strip_prefix('\n').or_else(|| self.rest.strip_prefix("\r\n"));
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn plain(&mut self, text: &mut String) -> R<()> {
        let end = self.rest.bytes().position(|b| matches!(b, b',' | b'\n' | b'\r' | b'"')).unwrap_or(self.rest.len());
        let (cell, rest) = self.rest.split_at(end);
        if rest.starts_with('"') || (rest.starts_with('\r') && !rest.starts_with("\r\n")) {
            return Err(form("a quotation mark or a carriage return stands inside an unquoted cell"));
        }
        text.push_str(cell);
        self.rest = rest;
        Ok(())
    }

    /// Reads from behind the opening quotation mark to behind the closing one; a doubled mark stands for itself.
    fn quoted(&mut self, inside: &str, text: &mut String) -> R<()> {
        let mut read = 0;
        loop {
            let Some(end) = inside[read..].find('"') else { return Err(form("a quoted cell has no end")) };
            text.push_str(&inside[read..read + end]);
            read += end + 1;
            if !inside[read..].starts_with('"') {
                break;
            }
            text.push('"');
            read += 1;
        }
        self.rest = &self.rest[1 + read..];
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use schemas::Code;

    use super::*;

    fn parse(text: &str, wanted: &[&str], limits: &Limits) -> R<Table> {
        let wanted: Vec<String> = wanted.iter().map(|w| (*w).to_owned()).collect();
        read(text.as_bytes(), &wanted, &wanted, limits)
    }

    fn cells(text: &str, wanted: &[&str]) -> R<Vec<Vec<String>>> {
        let table = parse(text, wanted, &Limits::ROOM)?;
        let columns: Vec<Vec<String>> =
            wanted.iter().map(|name| table.text(name).unwrap().map(|cell| cell.into_owned()).collect()).collect();
        Ok((0..table.rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect())
    }

    #[test]
    fn the_forms_of_rfc_4180_are_read() {
        let text = "\u{feff}a,\"b\",c\r\n1,\"x, \"\"y\"\"\nz\",3\r\n\r\n,,\n4,é,6";
        assert_eq!(cells(text, &["b", "a"]).unwrap(), [["x, \"y\"\nz", "1"], ["", ""], ["é", "4"]]);
        assert_eq!(cells("a\n", &["a"]).unwrap(), Vec::<Vec<String>>::new());
        assert_eq!(cells("a,a,b\n1,2,3\n", &["b"]).unwrap(), [["3"]]);
    }

    #[test]
    fn broken_structure_is_refused() {
        for text in [
            "",
            "\n\n",
            "b\n1\n",
            "a,a\n1,2\n",
            "a,b\n1\n",
            "a,b\n1,2,3\n",
            "a\n\"1",
            "a\n\"1\"2\n",
            "a\n1\"2\n",
            "a\r1\r",
        ] {
            assert_eq!(cells(text, &["a"]).err().map(|r| r.code), Some(Code::TableForm), "{text:?}");
        }
    }

    #[test]
    fn every_limit_refuses_by_itself() {
        let tight = Limits { bytes: 30, rows: 3, columns: 2, cell: 4, ratio: 1, free: 80 };
        assert!(parse("a,b\n1,2\n3,4\n5,6\n", &["a"], &tight).is_ok());
        for (text, sentence) in [
            ("a,b\n1,2\n3,4\n5,6\n7,8\n9,10000000\n", "the file is too large"),
            ("a\n1\n2\n3\n4\n", "it has too many rows"),
            ("a,b,c\n1,2,3\n", "it has too many columns"),
            ("a\n12345\n", "a cell is too large"),
        ] {
            let refusal = parse(text, &["a"], &tight).err().unwrap();
            assert_eq!((refusal.code, refusal.sentence.as_str()), (Code::LimitExceeded, sentence));
        }
        let grown = Limits { free: 40, ..tight };
        let refusal = parse("a\n1\n2\n3\n", &["a"], &grown).err().unwrap();
        assert_eq!(refusal.sentence, "the file becomes too large when it is read");
    }
}
