//! Statistics of a table that are private already when they leave their owner, as `depa dataset profile` makes them and an
//! offer may carry them: a noised histogram of every column that is no picture.

use serde::{Deserialize, Serialize};

use crate::dataset::ColumnType;
use crate::own_release::Charging;
use crate::privacy::Mechanism;
use crate::text::Real;

/// How they were made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatisticsTerms {
    /// ε of one person for all of it, from 0.01 to 10.
    pub epsilon: Real,
    /// Bins of a number, from 1 to 100: more would only show noise.
    pub bins: u32,
}

impl StatisticsTerms {
    /// Whether the ε is one at which statistics are made.
    pub fn has_epsilon(&self) -> bool {
        (0.01..=10.0).contains(&self.epsilon.value())
    }

    /// Whether there are as many bins as statistics have.
    pub fn has_bins(&self) -> bool {
        (1..=100).contains(&self.bins)
    }
}

/// Noised statistics, and nothing else of the table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Statistics {
    /// `dataset-profile.v1`.
    pub schema: String,
    /// How they were made.
    pub terms: StatisticsTerms,
    /// ε of each histogram.
    pub epsilon_per_column: Real,
    /// What the ledger of the dataset's family must be charged with.
    pub charge: Mechanism,
    /// Whether it was, as their provider says; statistics of before it was written do not say. An offer carries none but
    /// charged ones.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ledger: Option<Charging>,
    /// The public count of people, as the provider describes it.
    pub public_rows: u64,
    /// One per described column; pictures have none.
    pub columns: Vec<Histogram>,
}

impl Statistics {
    /// The form of a file of statistics.
    pub const SCHEMA: &str = "dataset-profile.v1";
}

/// The noised histogram of a column.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Histogram {
    /// The column.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Public lower bound of a number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lower: Option<Real>,
    /// Public upper bound.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub upper: Option<Real>,
    /// Noised counts: of each bin of a number, of all cells that are there otherwise. Noise can make one negative.
    pub counts: Vec<i64>,
    /// Noised count of empty cells.
    pub missing: i64,
    /// The mean that the noised bins of a number have.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mean: Option<Real>,
}
