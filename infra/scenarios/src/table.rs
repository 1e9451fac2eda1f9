//! A table in memory, and as CSV.

use std::collections::HashSet;
use std::path::Path;

use schemas::{Code, R, Refusal};

/// A header and rows of cells.
#[derive(Clone, PartialEq, Eq)]
pub struct Table {
    /// Column names.
    pub header: Vec<String>,
    /// Cells, as many per row as columns.
    pub rows: Vec<Vec<String>>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({} columns)", self.header.len())
    }
}

impl Table {
    /// An empty table with these columns.
    pub fn new(header: &[&str]) -> Table {
        Table { header: header.iter().map(|name| (*name).to_owned()).collect(), rows: Vec::new() }
    }

    /// Reads a CSV file with a header; `TABLE_FORM` names the file, never a cell.
    pub fn read(path: &Path) -> R<Table> {
        let fault = |why: &str| Refusal::new(Code::TableForm, format!("{}: {why}", path.display()));
        let mut reader = csv::Reader::from_path(path).map_err(|e| fault(&e.to_string()))?;
        let header = reader.headers().map_err(|_| fault("has no header"))?.iter().map(str::to_owned).collect();
        let rows = reader.records().map(|record| record.map(|r| r.iter().map(str::to_owned).collect()));
        let rows = rows.collect::<Result<_, _>>().map_err(|_| fault("is no regular CSV file"))?;
        Ok(Table { header, rows })
    }

    /// The place of a column.
    pub fn column(&self, name: &str) -> R<usize> {
        let missing = || Refusal::new(Code::TableForm, format!("there is no column {name}"));
        self.header.iter().position(|h| h == name).ok_or_else(missing)
    }

    /// The distinct cells of a column.
    pub fn distinct(&self, column: &str) -> R<HashSet<&str>> {
        let place = self.column(column)?;
        Ok(self.rows.iter().filter_map(|row| row.get(place).map(String::as_str)).collect())
    }

    /// Only these columns, in this order, as CSV.
    pub fn csv_of(&self, columns: &[&str]) -> R<Vec<u8>> {
        let places = columns.iter().map(|c| self.column(c)).collect::<R<Vec<usize>>>()?;
        let fault = || Refusal::new(Code::Internal, "the table cannot be written");
        let mut out = csv::Writer::from_writer(Vec::new());
        out.write_record(columns).map_err(|_| fault())?;
        for row in &self.rows {
            let cells = places.iter().map(|p| row.get(*p).map_or("", String::as_str));
            out.write_record(cells).map_err(|_| fault())?;
        }
        out.into_inner().map_err(|_| fault())
    }

    /// The whole table as CSV.
    pub fn csv(&self) -> R<Vec<u8>> {
        let all: Vec<&str> = self.header.iter().map(String::as_str).collect();
        self.csv_of(&all)
    }
}
