//! A strict reader of comma-separated values (RFC 4180, UTF-8, a header line, LF or CRLF, blank lines skipped).
//!
//! Lenient readers guess what a broken quote meant; this one refuses. It keeps the wanted columns only.

use schemas::{Code, R, Refusal};

/// One column's cells in one piece of memory.
#[derive(Default)]
struct Column {
    text: String,
    ends: Vec<usize>,
}

/// The wanted columns of a table.
pub struct Table {
    names: Vec<String>,
    columns: Vec<Column>,
    rows: usize,
}

impl Table {
    /// The number of rows: secret.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The place of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    /// A cell as text; empty for a place that does not exist.
    pub fn cell(&self, row: usize, column: usize) -> &str {
        let Some(column) = self.columns.get(column) else { return "" };
        let start = row.checked_sub(1).and_then(|before| column.ends.get(before)).copied().unwrap_or(0);
        column.ends.get(row).and_then(|end| column.text.get(start..*end)).unwrap_or("")
    }
}

fn form(sentence: &'static str) -> Refusal {
    Refusal::new(Code::TableForm, sentence)
}

/// Reads a table and keeps the wanted columns; refuses faults of structure with a fixed sentence.
pub fn parse(bytes: &[u8], wanted: &[String]) -> R<Table> {
    let text = std::str::from_utf8(bytes).map_err(|_| form("it is not UTF-8"))?;
    let mut records = Records { rest: text.strip_prefix('\u{feff}').unwrap_or(text) };
    let mut record = Record::default();
    if !records.next(&mut record)? {
        return Err(form("it has no header line"));
    }
    let width = record.ends.len();
    let places = wanted.iter().map(|name| record.only(name)).collect::<R<Vec<usize>>>()?;
    let mut table =
        Table { names: wanted.to_vec(), columns: wanted.iter().map(|_| Column::default()).collect(), rows: 0 };
    while records.next(&mut record)? {
        if record.ends.len() != width {
            return Err(form("a row has another number of cells than the header line"));
        }
        for (column, place) in table.columns.iter_mut().zip(&places) {
            column.text.push_str(record.field(*place));
            column.ends.push(column.text.len());
        }
        table.rows += 1;
    }
    Ok(table)
}

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
    use super::*;

    fn cells(text: &str, wanted: &[&str]) -> R<Vec<Vec<String>>> {
        let table = parse(text.as_bytes(), &wanted.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>())?;
        Ok((0..table.rows())
            .map(|row| (0..wanted.len()).map(|column| table.cell(row, column).to_owned()).collect())
            .collect())
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
}
