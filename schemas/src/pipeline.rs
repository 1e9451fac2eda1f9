//! The pipeline of a job as typed stages: a join, a private training, an output. Logical handles only, never SQL.
//!
//! `depa job bundle` parses the SQL of a pipeline once into [`Join`]; the signed job carries only this; the room
//! and every KMS judge it with the same rule (`policies::pipeline`), and the engine in the room only executes it.

use serde::{Deserialize, Serialize};

use crate::id::Did;
use crate::jwk::Jwk;
use crate::text::{Bytes, Real};

/// A column of a handle, written `handle.column`. Both parts are `[A-Za-z_][A-Za-z0-9_]*`, at most 64 characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnRef {
    /// The handle of a dataset in the job.
    pub handle: String,
    /// The column of its sealed table.
    pub column: String,
}

impl std::fmt::Display for ColumnRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.handle, self.column)
    }
}

/// How a table is joined to what stands left of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JoinKind {
    /// Rows present on both sides: removing a principal removes a row (factor 1 on both sides).
    Inner,
    /// All rows of the left side: removing a principal on the right changes a row (factor 2 on the right).
    Left,
}

/// One further table of a join.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinStep {
    /// The handle joined.
    pub handle: String,
    /// Inner or left.
    pub kind: JoinKind,
    /// The key on a table that stands to the left.
    pub left: ColumnRef,
    /// The key on `handle`.
    pub right: ColumnRef,
}

/// A comparison of one column with a constant; judged per row, so it couples no rows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// The column.
    pub column: ColumnRef,
    /// The comparison.
    pub op: Comparison,
    /// The constant, as the cell's text.
    pub value: String,
}

/// Comparisons of a filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// Equal as text.
    Eq,
    /// Not equal as text.
    Ne,
    /// Below, as numbers.
    Lt,
    /// At most, as numbers.
    Le,
    /// Above, as numbers.
    Gt,
    /// At least, as numbers.
    Ge,
}

/// A join of the job's tables: the first handle, then one step per further table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The name by which later stages know the result.
    pub name: String,
    /// The leftmost table.
    pub first: String,
    /// The further tables, in order.
    pub steps: Vec<JoinStep>,
    /// The columns of the result.
    pub projection: Vec<ColumnRef>,
    /// Row filters, all of which must hold.
    pub filters: Vec<Filter>,
}

/// A feature of the training, with the public bounds that clamp and scale it to [−1, 1].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// The column.
    pub column: ColumnRef,
    /// Lower bound, from the public schema of the dataset's offer.
    pub lower: Real,
    /// Upper bound, above `lower`, from the public schema.
    pub upper: Real,
}

/// The model to train: data, never code.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Model {
    /// One linear layer and a bias, binary cross-entropy; weights start at zero.
    LogisticRegression,
    /// Fully connected layers with tanh between them, one output, binary cross-entropy.
    Mlp {
        /// Widths of the hidden layers, 1 to 4 of them, each 1 to 512.
        hidden: Vec<u32>,
    },
}

/// The metrics that leave the room: a confusion matrix of the held-out part, noised and charged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Noise standard deviation of each count (sensitivity 1).
    pub noise_multiplier: Real,
}

/// A training stage.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The name by which later stages know the model.
    pub name: String,
    /// The join it trains on.
    pub input: String,
    /// Whether it is DP-SGD. A job with `false` is refused unless every contract allows it; no contract does yet.
    pub private: bool,
    /// The model.
    pub model: Model,
    /// The features in order.
    pub features: Vec<Feature>,
    /// The binary target column.
    pub target: ColumnRef,
    /// The cell text that counts as positive.
    pub positive: String,
    /// The principal's key: one row per value is kept, and the split is a keyed hash of it.
    pub principal: ColumnRef,
    /// ε asked for this run, metrics included.
    pub epsilon: Real,
    /// δ of the run.
    pub delta: Real,
    /// Number of DP-SGD steps.
    pub steps: u32,
    /// Poisson sampling rate, in (0, 1].
    pub sample_rate: Real,
    /// Clipping norm of per-sample gradients.
    pub clipping_norm: Real,
    /// Learning rate of plain SGD.
    pub learning_rate: Real,
    /// Public salt of the split, 32 bytes: a row is trained on if PRF(salt, principal) falls below `train_ppm`.
    pub split_salt: Bytes,
    /// Share of the training part in parts per million.
    pub train_ppm: u32,
    /// Seed of the initial weights only; sampling and noise come from the secret run key.
    pub init_seed: u32,
    /// Metrics that leave the room; none if absent.
    pub metrics: Option<Metrics>,
}

/// What an output stage writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputKind {
    /// Model weights in safetensors.
    Model,
    /// The noised metrics of the training, as canonical JSON; the weights end with the room.
    Metrics,
    /// A table. No contract allows it; the form exists so that asking for it is refused by rule, not by accident.
    Table,
}

impl OutputKind {
    /// As contracts and completions write it.
    pub fn as_str(self) -> &'static str {
        match self {
            OutputKind::Model => "model",
            OutputKind::Metrics => "metrics",
            OutputKind::Table => "table",
        }
    }
}

/// An output stage.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// The stage whose result is written.
    pub input: String,
    /// Its kind.
    pub kind: OutputKind,
    /// To whom alone it is encrypted: the recipient of every contract.
    pub recipient: Did,
    /// The recipient's X25519 key; signed with the job, so nobody else can put theirs in its place.
    pub recipient_jwk: Jwk,
    /// Where the sealed object is uploaded: `file:` or `https:`; `http:` on loopback only.
    pub upload: String,
}

/// One stage.
// A job holds a handful of stages; boxing them would only clutter every reader.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Stage {
    /// Joins tables.
    Join(Join),
    /// Trains a model.
    Train(Training),
    /// Writes something out of the room.
    Output(Output),
}
