//! The three tables of the demo: read from the DEPA COVID files, or made by the scenario's generator (`scenarios::covid`).
//!
//! The demo plays all three data providers and so owns the plaintext. What it seals of a table is only what the
//! contract needs: join key, features, target. Names, addresses and all other columns never leave the provider.

mod columns;

use std::path::Path;

use schemas::{Code, R, Refusal};

pub use columns::{EXPECTED, FEATURES, FeatureColumn, PRINCIPAL, TARGET, TableKind};
pub use scenarios::Table;
pub use scenarios::covid::{ROWS, SEED};

/// Makes the three tables with this many people, who do not exist: those of the COVID scenario.
pub fn generate(seed: u64, rows: usize) -> Tables {
    let [icmr, cowin, statewarroom] = scenarios::covid::generate(seed, rows);
    Tables { icmr, cowin, statewarroom }
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
    let table = Table::read(path)?;
    if let Some(missing) = kind.sealed().iter().find(|c| !table.header.iter().any(|h| h == *c)) {
        let why = format!("{}: has no column {missing}; the DEPA COVID tables are expected", path.display());
        return Err(Refusal::new(Code::TableForm, why));
    }
    Ok(table)
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
