//! The pipeline of a job as typed stages: a join, a private training, an output. Logical handles only, never SQL.
//!
//! `depa job bundle` parses the SQL of a pipeline once into [`Join`]; the signed job carries only this; the room
//! and every KMS judge it with the same rule (`policies::pipeline`), and the engine in the room only executes it.

use serde::{Deserialize, Serialize};

use crate::id::Did;
use crate::jwk::Jwk;
use crate::metrics::{MeanLoss, ScoreCurve};
use crate::network::Network;
use crate::recipe::Recipe;
use crate::text::{Bytes, Real};
use crate::trees::Trees;
use crate::weights::Weights;

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
    /// The rows of this table stand below those of the first one, under the first one's column names; `left` and `right`
    /// are the principal's keys of the first table and of this one. A principal is then called `handle/key`, and one who
    /// stands in more than one of the united tables has a row in none of them: nobody gives two rows, and who leaves a
    /// table moves one row at most (factor 1).
    Union,
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

/// What becomes of several rows of one principal in a table, where it is not the first row that counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AggregateFunction {
    /// Arithmetic mean of the cells that are numbers.
    Mean,
    /// The smallest number.
    Min,
    /// The largest number.
    Max,
}

/// A number taken over all rows that one principal has in one table. It stays within the column's public bounds, and
/// couples no rows of different people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aggregate {
    /// The column, which keeps its name in the result.
    pub column: ColumnRef,
    /// The function.
    pub function: AggregateFunction,
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
    /// Columns taken over all rows of a principal; of every other column the principal's first row counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aggregates: Vec<Aggregate>,
}

/// What the cells of a feature hold where they are no single numbers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FeatureForm {
    /// A picture (PNG, or a raw array of single-precision numbers in NumPy's form) of exactly this shape. A cell that
    /// is none counts as one of the midpoint of the bounds everywhere.
    Image {
        /// 1 (grey) or 3 (red, green, blue).
        channels: u32,
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
    },
    /// A text of a public list: one input per entry, 1 where the cell equals it and 0 elsewhere.
    Values {
        /// The list; a cell outside of it gives zeros.
        values: Vec<String>,
    },
}

/// What the target column holds where it is not one of two classes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Labels {
    /// One class of a public list: its place in the list is the label. A cell outside the list counts as the first.
    Classes {
        /// Cell texts.
        classes: Vec<String>,
    },
    /// A number, clamped and scaled to [−1, 1] by public bounds.
    Number {
        /// Lower bound.
        lower: Real,
        /// Upper bound, above `lower`.
        upper: Real,
    },
    /// A grey picture of this shape: a label per pixel, 1 above the threshold and 0 elsewhere.
    Mask {
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
        /// The threshold, in parts per million of the full scale.
        threshold_ppm: u32,
    },
}

/// A feature of the training, with the public bounds that clamp and scale it to [−1, 1]. For a network that
/// reads tokens they clamp it, and it is rounded.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// The column.
    pub column: ColumnRef,
    /// Lower bound, from the public schema of the dataset's offer.
    pub lower: Real,
    /// Upper bound, above `lower`, from the public schema.
    pub upper: Real,
    /// Picture or list of values; a single number if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<FeatureForm>,
}

impl Feature {
    /// How many inputs of the model it fills: public.
    pub fn width(&self) -> usize {
        match &self.form {
            None => 1,
            Some(FeatureForm::Values { values }) => values.len(),
            Some(FeatureForm::Image { channels, height, width }) => {
                [*channels, *height, *width].iter().fold(1usize, |n, side| n.saturating_mul(*side as usize))
            }
        }
    }
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
    /// Any layers that keep samples apart.
    Network {
        /// The layers.
        network: Network,
    },
    /// Boosted trees with public splits and private leaves; a step is a tree.
    Trees {
        /// The ensemble.
        trees: Trees,
    },
}

/// The metrics that leave the room: a confusion matrix of the held-out part, noised and charged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Noise standard deviation of each count (sensitivity 1).
    pub noise_multiplier: Real,
    /// The curve of true against false positives, charged by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curve: Option<ScoreCurve>,
    /// The mean loss, charged by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<MeanLoss>,
}

/// A training stage.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The name by which later stages know the model.
    pub name: String,
    /// The join it trains on.
    pub input: String,
    /// Whether it is DP-SGD. A job with `false` is refused unless the clause of every dataset's contract allows training
    /// without differential privacy; then `epsilon`, `delta` and `metrics` are absent, and rows are not clipped.
    pub private: bool,
    /// The model.
    pub model: Model,
    /// The features in order.
    pub features: Vec<Feature>,
    /// The target column: of two classes, told apart by `positive`, or what `labels` says.
    pub target: ColumnRef,
    /// The cell text that counts as positive.
    pub positive: String,
    /// The principal's key: one row per value is kept, and the split is a keyed hash of it.
    pub principal: ColumnRef,
    /// ε asked for this run, metrics included; absent where the training is not private.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<Real>,
    /// δ of the run; absent where the training is not private.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<Real>,
    /// Number of steps, of DP-SGD where the training is private.
    pub steps: u32,
    /// Poisson sampling rate, in (0, 1].
    pub sample_rate: Real,
    /// Clipping norm of per-sample gradients; nothing is clipped where the training is not private.
    pub clipping_norm: Real,
    /// Learning rate: of the recipe's optimiser, times its schedule; of plain SGD where there is no recipe; of trees the
    /// factor of each leaf.
    pub learning_rate: Real,
    /// Public salt of the split, 32 bytes: a row is trained on if PRF(salt, principal) falls below `train_ppm`.
    pub split_salt: Bytes,
    /// Share of the training part in parts per million.
    pub train_ppm: u32,
    /// Seed of the initial weights only; sampling and noise come from the secret run key.
    pub init_seed: u32,
    /// Metrics that leave the room; none if absent.
    pub metrics: Option<Metrics>,
    /// Loss, optimiser, schedule, frozen parameters, adapters; if absent binary cross-entropy and plain SGD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<Recipe>,
    /// Classes, number or mask; if absent the target is binary and `positive` names its one. `positive` is empty
    /// otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Labels>,
    /// Weights that the training begins with; those of the initial seed if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Weights>,
}

impl Training {
    /// Inputs of the model: the widths of the features, one after the other.
    pub fn inputs(&self) -> usize {
        self.features.iter().fold(0, |sum, feature| sum.saturating_add(feature.width()))
    }

    /// Numbers that a row's label has: 1, or one per pixel of a mask.
    pub fn label_width(&self) -> usize {
        match &self.labels {
            Some(Labels::Mask { height, width, .. }) => (*height as usize).saturating_mul(*width as usize),
            _ => 1,
        }
    }
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
