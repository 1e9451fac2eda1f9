//! The columns of the three tables, and which of them the demo contracts.

use scenarios::covid;

/// Which table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum TableKind {
    /// Test results.
    Icmr,
    /// Vaccinations.
    Cowin,
    /// Hospital cases of the state war room.
    Statewarroom,
}

/// A feature of the demo's training with the bounds that its provider publishes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeatureColumn {
    /// Its table.
    pub table: TableKind,
    /// Its raw column.
    pub column: &'static str,
    /// Public lower bound.
    pub lower: &'static str,
    /// Public upper bound.
    pub upper: &'static str,
}

const fn feature(table: TableKind, column: &'static str, lower: &'static str, upper: &'static str) -> FeatureColumn {
    FeatureColumn { table, column, lower, upper }
}

use TableKind::{Cowin, Icmr, Statewarroom};

/// The nine features in the order of the model's weights. The bounds are those of people and tests, not of the data.
pub const FEATURES: [FeatureColumn; 9] = [
    feature(Icmr, "a_test_ct_value", "10", "40"),
    feature(Icmr, "a_sample_genetic_sequenced", "0", "1"),
    feature(Icmr, "a_sample_genetic_strain", "0", "1"),
    feature(Statewarroom, "pasymp", "0", "1"),
    feature(Statewarroom, "dsinfection", "0", "1"),
    feature(Statewarroom, "potravel", "0", "1"),
    feature(Statewarroom, "page", "0", "100"),
    feature(Cowin, "age", "0", "100"),
    feature(Cowin, "vaccine_name", "1", "2"),
];

/// The target: whether the test was positive (cell `1`).
pub const TARGET: (TableKind, &str) = (Icmr, "a_icmr_test_result");
/// The principal's key: a person's mobile number in the leftmost table.
pub const PRINCIPAL: (TableKind, &str) = (Icmr, "icmr_patient_mobilenumber");
/// Rows that the three real tables join to.
pub const EXPECTED: usize = 2_119;

impl TableKind {
    /// All three, in the order of the join.
    pub const ALL: [TableKind; 3] = [Icmr, Cowin, Statewarroom];

    /// A short name, also the handle of the table in the pipeline.
    pub fn name(self) -> &'static str {
        match self {
            Icmr => "icmr",
            Cowin => "cowin",
            Statewarroom => "statewarroom",
        }
    }

    /// What the table holds, in words.
    pub fn title(self) -> &'static str {
        match self {
            Icmr => "laboratory test results",
            Cowin => "vaccinations",
            Statewarroom => "hospital cases of the state war room",
        }
    }

    fn source(self) -> covid::Source {
        match self {
            Icmr => covid::ICMR,
            Cowin => covid::COWIN,
            Statewarroom => covid::STATEWARROOM,
        }
    }

    /// The file of the DEPA COVID scenario.
    pub fn file(self) -> &'static str {
        self.source().file
    }

    /// The column by which the table is joined: a person's mobile number, once per table.
    pub fn key(self) -> &'static str {
        self.source().key
    }

    /// The features that come from this table.
    pub fn features(self) -> impl Iterator<Item = &'static FeatureColumn> {
        FEATURES.iter().filter(move |f| f.table == self)
    }

    /// The columns that are sealed: key, then target where it is here, then features.
    pub fn sealed(self) -> Vec<&'static str> {
        let target = Some(TARGET).filter(|(table, _)| *table == self).map(|(_, column)| column);
        std::iter::once(self.key()).chain(target).chain(self.features().map(|f| f.column)).collect()
    }

    /// All columns of the raw table.
    pub fn columns(self) -> Vec<&'static str> {
        self.source().columns()
    }
}
