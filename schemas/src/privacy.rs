//! The privacy clause of offers and contracts, and the plan of a run that follows from it.

use serde::{Deserialize, Serialize};

use crate::id::{DatasetId, FamilyId};
use crate::metrics::{MeanLoss, ScoreCurve};
use crate::pipeline::Model;
use crate::problem::{Code, R, Refusal};
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
    /// Whether runs may train without differential privacy: then ε and δ of the clause bound nothing that such a run
    /// reveals. At level 0 alone, and where every dataset of the job says so. Written where it is so.
    #[serde(default, skip_serializing_if = "is_not")]
    pub without_differential_privacy: bool,
}

impl Clause {
    /// Level 0: the ε of the clause is kept by law alone. Runs are private and their mechanisms are entered in the ledger
    /// and shown, but no sum of them refuses a run. δ is kept by machine at every level.
    pub const LEGAL_ONLY: u8 = 0;
    /// Level 1: the budget is kept by every key service; a new version of the offer may give more.
    pub const ENFORCED: u8 = 1;
    /// Level 2: as level 1, and no model leaves the room: only metrics that are noised and charged do.
    pub const STAYS_INSIDE: u8 = 2;

    /// Whether a training without differential privacy may read the dataset. No budget that a machine keeps has room for
    /// it, so never above level 0.
    pub fn allows_without_privacy(&self) -> bool {
        self.without_differential_privacy && self.level == Clause::LEGAL_ONLY
    }
}

/// The words that stand wherever a person looks at a training without differential privacy, or at the leave for one.
pub const WITHOUT_PRIVACY: &str = "without differential privacy";

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
    /// A training without clipping and noise: no ε bounds what its model reveals.
    WithoutDifferentialPrivacy {
        /// Number of steps.
        steps: u32,
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
    /// ε that this run alone costs at `delta`, in 10^-6, rounded up; 2^53 − 1 ([`DatasetCharge::UNBOUNDED`]) where none
    /// bounds it.
    pub epsilon_micro: u64,
    /// The δ of the contract's clause.
    pub delta: Real,
}

impl DatasetCharge {
    /// The ε of what nothing bounds: the largest integer of a document.
    pub const UNBOUNDED: u64 = (1 << 53) - 1;

    /// Whether every mechanism of it is private.
    pub fn is_private(&self) -> bool {
        !self.mechanisms.iter().any(|m| matches!(m, Mechanism::WithoutDifferentialPrivacy { .. }))
    }

    /// What it costs, for people: `ε = 0.912345 at δ = 0.0000472`, or that no ε bounds it.
    pub fn words(&self) -> String {
        if self.is_private() {
            format!("ε = {} at δ = {}", epsilon_words(self.epsilon_micro), self.delta)
        } else {
            format!("no ε: the training is {WITHOUT_PRIVACY}")
        }
    }
}

/// An ε in 10^-6 for people, with six decimals; `without bound` where none bounds it.
pub fn epsilon_words(micro: u64) -> String {
    if micro >= DatasetCharge::UNBOUNDED {
        return "without bound".to_owned();
    }
    format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000)
}

fn enforced() -> u8 {
    Clause::ENFORCED
}

// serde hands a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_enforced(level: &u8) -> bool {
    *level == Clause::ENFORCED
}

// serde hands a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_not(member: &bool) -> bool {
    !*member
}

/// The privacy plan of a run: the same function makes it in the room (to run) and in the KMS (to charge).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Whether the training is without differential privacy: no row is clipped, no noise is drawn, and every charge is
    /// [`Mechanism::WithoutDifferentialPrivacy`]. Written where it is so.
    #[serde(default, skip_serializing_if = "is_not")]
    pub without_differential_privacy: bool,
    /// Noise standard deviation over clipping norm of the training; 0 where it is without differential privacy.
    pub noise_multiplier: Real,
    /// Poisson sampling rate.
    pub sample_rate: Real,
    /// Number of steps, fixed.
    pub steps: u32,
    /// Public divisor of the noised sum: sample rate × public rows × training share.
    pub expected_batch: Real,
    /// How many rows a step is expected to have at most, if tables were declared too small that bound the others: what is
    /// taken off the clipping norm for rounding follows from it. Written where it is not `expected_batch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_expected_batch: Option<Real>,
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

/// The rows that a private step of a network may expect. Each row moves how the others round in single precision, and
/// what that may come to is taken off the clipping norm: beyond this number, more than a tenth of it.
pub const MOST_EXPECTED_ROWS: u32 = 49_950;

impl Plan {
    /// How many rows a step is expected to have at most.
    pub fn most_expected(&self) -> &Real {
        self.most_expected_batch.as_ref().unwrap_or(&self.expected_batch)
    }

    /// Refuses (`LIMIT_EXCEEDED`) a private training of a network that may expect more than [`MOST_EXPECTED_ROWS`] rows a
    /// step, whichever of its tables bounds them.
    pub fn fits(&self, model: &Model) -> R<()> {
        let single = matches!(model, Model::Network { .. }) && !self.without_differential_privacy;
        if single && self.most_expected().value() > f64::from(MOST_EXPECTED_ROWS) {
            let sentence =
                format!("a step of a network expects {MOST_EXPECTED_ROWS} rows at most; sample fewer a step");
            return Err(Refusal::new(Code::LimitExceeded, sentence).at("sample_rate"));
        }
        Ok(())
    }
}
