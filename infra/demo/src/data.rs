//! The three tables of the demo: read from the DEPA COVID files, or made by a generator of our own with the same schema.
//!
//! The demo plays all three data providers and so owns the plaintext. What it seals of a table is only what the
//! contract needs: join key, features, target. Names, addresses and all other columns never leave the provider.

mod columns;
mod generate;

use std::collections::HashSet;
use std::path::Path;

use schemas::{Code, R, Refusal};

pub use columns::{EXPECTED, FEATURES, FeatureColumn, PRINCIPAL, TARGET, TableKind};
pub use generate::generate;

/// The seed of the generated tables; another seed gives other people.
pub const SEED: u64 = 20_210_501;
/// Rows of each generated table, and the public count that the demo's offers state: that of the COVID tables.
pub const ROWS: usize = 2_119;

/// A table in the clear: a header and rows of cells.
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

/// The tables of the three providers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tables {
    /// Test results.
    pub icmr: Table,
    /// Vaccinations.
    pub cowin: Table,
    /// Hospital cases.
    pub statewarroom: Table,
}

impl Tables {
    /// The table of a kind.
    pub fn of(&self, kind: TableKind) -> &Table {
        match kind {
            TableKind::Icmr => &self.icmr,
            TableKind::Cowin => &self.cowin,
            TableKind::Statewarroom => &self.statewarroom,
        }
    }

    /// Reads the three files of the DEPA COVID scenario from a folder.
    pub fn read(dir: &Path) -> R<Tables> {
        let table = |kind: TableKind| read(&dir.join(kind.file()), kind);
        Ok(Tables {
            icmr: table(TableKind::Icmr)?,
            cowin: table(TableKind::Cowin)?,
            statewarroom: table(TableKind::Statewarroom)?,
        })
    }
}

fn read(path: &Path, kind: TableKind) -> R<Table> {
    let fault = |why: String| Refusal::new(Code::TableForm, format!("{}: {why}", path.display()));
    let mut reader = csv::Reader::from_path(path).map_err(|e| fault(e.to_string()))?;
    let header: Vec<String> = reader.headers().map_err(|e| fault(e.to_string()))?.iter().map(str::to_owned).collect();
    if let Some(missing) = kind.sealed().iter().find(|c| !header.iter().any(|h| h == *c)) {
        return Err(fault(format!("has no column {missing}; the DEPA COVID tables are expected")));
    }
    let rows = reader
        .records()
        .map(|record| record.map(|r| r.iter().map(str::to_owned).collect()))
        .collect::<Result<_, _>>()
        .map_err(|_| fault("is no regular CSV file".into()))?;
    Ok(Table { header, rows })
}

impl Table {
    /// The place of a column.
    pub fn column(&self, name: &str) -> R<usize> {
        let missing = || Refusal::new(Code::TableForm, format!("there is no column {name}"));
        self.header.iter().position(|h| h == name).ok_or_else(missing)
    }

    /// Only these columns, in this order, as CSV: what is sealed.
    pub fn csv_of(&self, columns: &[&str]) -> R<Vec<u8>> {
        let places = columns.iter().map(|c| self.column(c)).collect::<R<Vec<usize>>>()?;
        let fault = |_| Refusal::new(Code::Internal, "the table cannot be written");
        let mut out = csv::Writer::from_writer(Vec::new());
        out.write_record(columns).map_err(|_| Refusal::new(Code::Internal, "the table cannot be written"))?;
        for row in &self.rows {
            let cells = places.iter().map(|p| row.get(*p).map_or("", String::as_str));
            out.write_record(cells).map_err(|_| Refusal::new(Code::Internal, "the table cannot be written"))?;
        }
        out.into_inner().map_err(fault)
    }

    /// The whole table as CSV.
    pub fn csv(&self) -> R<Vec<u8>> {
        let all: Vec<&str> = self.header.iter().map(String::as_str).collect();
        self.csv_of(&all)
    }

    /// The principals of this table: the distinct cells of a column.
    pub fn distinct(&self, column: &str) -> R<HashSet<&str>> {
        let place = self.column(column)?;
        Ok(self.rows.iter().filter_map(|row| row.get(place).map(String::as_str)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_tables_have_the_schema_of_the_covid_tables_and_are_the_same_every_time() {
        let tables = generate(SEED, 300);
        assert_eq!(tables, generate(SEED, 300));
        assert_ne!(tables, generate(SEED + 1, 300));
        for kind in TableKind::ALL {
            let table = tables.of(kind);
            assert_eq!(table.header, kind.columns());
            assert_eq!(table.rows.len(), 300);
            assert!(table.rows.iter().all(|r| r.len() == table.header.len()));
            assert_eq!(table.distinct(kind.key()).unwrap().len(), 300);
        }
    }

    #[test]
    fn only_what_the_contract_needs_is_sealed() {
        let tables = generate(SEED, 5);
        let text = String::from_utf8(tables.cowin.csv_of(&TableKind::Cowin.sealed()).unwrap()).unwrap();
        assert_eq!(text.lines().next(), Some("cowin_registered_mobile,age,vaccine_name"));
        assert_eq!(text.lines().count(), 6);
        assert!(!text.contains("ABC"), "names stay with the provider");
    }

    #[test]
    fn a_written_folder_reads_back_and_a_wrong_one_is_refused() {
        let dir = std::env::temp_dir().join(format!("demo-data-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let tables = generate(SEED, 20);
        for kind in TableKind::ALL {
            std::fs::write(dir.join(kind.file()), tables.of(kind).csv().unwrap()).unwrap();
        }
        assert_eq!(Tables::read(&dir).unwrap(), tables);
        std::fs::write(dir.join(TableKind::Cowin.file()), "a,b\n1,2\n").unwrap();
        assert_eq!(Tables::read(&dir).unwrap_err().code, Code::TableForm);
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(Tables::read(&dir).unwrap_err().code, Code::TableForm);
    }

    #[test]
    fn the_real_tables_have_the_columns_that_this_file_lists() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/covid");
        if !dir.is_dir() {
            println!("NOT RUN the_real_tables_have_the_columns_that_this_file_lists: ../shared/data/covid is absent");
            return;
        }
        let tables = Tables::read(&dir).unwrap();
        for kind in TableKind::ALL {
            assert_eq!(tables.of(kind).header, kind.columns());
            assert_eq!(tables.of(kind).rows.len(), ROWS);
        }
    }
}
