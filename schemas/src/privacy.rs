//! The privacy clause of offers and contracts, and the plan of a run that follows from it.

use serde::{Deserialize, Serialize};

use crate::id::{DatasetId, FamilyId};
use crate::metrics::{MeanLoss, ScoreCurve};
use crate::text::Real;

/// Whom the guarantee protects.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// One person: at most one row per principal after the join.
    Principal,
}

/// Which datasets count as neighbours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Adjacency {
    /// One principal more or less.
    AddRemove,
}

/// How spending is composed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Accountant {
    /// Rényi DP (Mironov 2017) on the fixed grid of orders.
    Rdp,
}

/// Across whom a family's budget is shared.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One ledger for each consumer.
    PerTdc,
    /// One ledger for all.
    Global,
}

/// A privacy clause: the most that all runs under it may reveal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    /// Whom it protects.
    pub unit: Unit,
    /// Neighbouring relation.
    pub adjacency: Adjacency,
    /// ε in nats, above 0.
    pub epsilon: Real,
    /// δ, above 0 and below 1/`public_rows`.
    pub delta: Real,
    /// Composition.
    pub accountant: Accountant,
    /// Ledger scope.
    pub scope: Scope,
    /// How the clause is kept: [`Clause::LEGAL_ONLY`], [`Clause::ENFORCED`] or [`Clause::STAYS_INSIDE`].
    pub level: u8,
}

impl Clause {
    /// Level 0: the ε of the clause is kept by law alone. Runs are private and their mechanisms are entered in the ledger
    /// and shown, but no sum of them refuses a run. δ is kept by machine at every level.
    pub const LEGAL_ONLY: u8 = 0;
    /// Level 1: the budget is kept by every key service; a new version of the offer may give more.
    pub const ENFORCED: u8 = 1;
    /// Level 2: as level 1, and no model leaves the room: only metrics that are noised and charged do.
    pub const STAYS_INSIDE: u8 = 2;
}

/// A level in words for people.
pub fn level_words(level: u8) -> &'static str {
    match level {
        Clause::LEGAL_ONLY => "legal only",
        Clause::ENFORCED => "enforced budget",
        Clause::STAYS_INSIDE => "enforced budget, the model stays inside",
        _ => "unknown level",
    }
}

/// One release mechanism of a run, as it is charged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "mechanism", rename_all = "snake_case", deny_unknown_fields)]
pub enum Mechanism {
    /// `steps` rounds of the Poisson-sampled Gaussian mechanism (DP-SGD).
    SampledGaussian {
        /// Noise standard deviation over clipping norm, after the dataset's factor.
        noise_multiplier: Real,
        /// Probability of each row entering a step.
        sample_rate: Real,
        /// Number of steps.
        steps: u32,
    },
    /// One Gaussian release, like a noised confusion matrix.
    Gaussian {
        /// Noise standard deviation over sensitivity, after the dataset's factor.
        noise_multiplier: Real,
    },
}

/// What one run costs one dataset.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetCharge {
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Its version.
    pub version: u32,
    /// The family whose ledger is charged.
    pub family: FamilyId,
    /// 1 where removing a principal removes a row of the join, 2 where it changes one (charged at σ/2).
    pub factor: u8,
    /// The level of the contract's clause; written where it is not 1. At 0 the charge is recorded and bounded by law only.
    #[serde(default = "enforced", skip_serializing_if = "is_enforced")]
    pub level: u8,
    /// The mechanisms at this dataset's factor.
    pub mechanisms: Vec<Mechanism>,
    /// ε that this run alone costs at `delta`, in 10^-6, rounded up.
    pub epsilon_micro: u64,
    /// The δ of the contract's clause.
    pub delta: Real,
}

fn enforced() -> u8 {
    Clause::ENFORCED
}

// serde hands a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_enforced(level: &u8) -> bool {
    *level == Clause::ENFORCED
}

/// The privacy plan of a run: the same function makes it in the room (to run) and in the KMS (to charge).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Noise standard deviation over clipping norm of the training.
    pub noise_multiplier: Real,
    /// Poisson sampling rate.
    pub sample_rate: Real,
    /// Number of steps, fixed.
    pub steps: u32,
    /// Public divisor of the noised sum: sample rate × public rows × training share.
    pub expected_batch: Real,
    /// Noise multiplier of the metrics release; none where no metrics leave the room.
    pub metrics_noise_multiplier: Option<Real>,
    /// The curve that is released beside the metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curve: Option<ScoreCurve>,
    /// The mean loss that is released beside the metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<MeanLoss>,
    /// One charge per dataset of the job, in the job's order.
    pub charges: Vec<DatasetCharge>,
}
