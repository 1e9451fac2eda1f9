//! The form of a job, as the TDC writes it in TOML or JSON.

use std::collections::BTreeMap;

use schemas::id::{ContractId, DatasetId, ImageSetId};
use schemas::jwk::Jwk;
use schemas::metrics::{MeanLoss, ScoreCurve};
use schemas::pipeline::{ColumnRef, FeatureForm, Labels, Model};
use schemas::recipe::Recipe;
use schemas::text::{Bytes, Real};
use schemas::weights::Weights;
use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};

/// The form.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobForm {
    /// The contracts it runs under.
    pub contracts: Vec<ContractId>,
    /// The clean-room measurements it runs on.
    pub image_set_id: ImageSetId,
    /// The purpose, that of the contracts.
    #[serde(default = "training")]
    pub purpose: String,
    /// Seconds from signing after which no run starts.
    #[serde(default = "day")]
    pub expires_in_seconds: u32,
    /// The join, in SQL. Parsed once, here; the signed job carries only the typed join.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// Instead of SQL: tables of one schema, of different people, whose rows stand one below the other. Columns are written
    /// by the first one's name. Who stands in more than one of them has a row in none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub union: Vec<String>,
    /// The dataset behind each table that SQL or union name.
    pub tables: BTreeMap<String, DatasetId>,
    /// The training.
    pub training: TrainingForm,
    /// Where the model goes.
    pub output: OutputForm,
    /// How many attested rooms train together, 2 to 16; one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rooms: Option<u32>,
}

/// The training of a form. Columns are written `handle.column`, where the handle is the table's alias in the SQL.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingForm {
    /// The model.
    pub model: Model,
    /// Whether it is DP-SGD. `false` is refused unless every dataset's contract allows training without differential
    /// privacy; `epsilon`, `delta` and metrics are then left out.
    #[serde(default = "yes")]
    pub private: bool,
    /// Features in order; every bounded number of the join if absent. Bounds come from the offers.
    #[serde(default)]
    pub features: Option<Vec<String>>,
    /// Pictures and lists of values by their column (`handle.column`); a column that is not named holds single numbers.
    #[serde(default)]
    pub forms: BTreeMap<String, FeatureForm>,
    /// The target.
    pub target: String,
    /// The cell text that counts as positive; left out where `labels` says otherwise.
    #[serde(default)]
    pub positive: String,
    /// What the target holds where it is not one of two classes.
    #[serde(default)]
    pub labels: Option<Labels>,
    /// The key of the people: one row of each is kept.
    pub principal: String,
    /// ε asked for this run, metrics included; left out where the training is not private.
    #[serde(default)]
    pub epsilon: Option<Real>,
    /// δ of the run; left out where the training is not private.
    #[serde(default)]
    pub delta: Option<Real>,
    /// Steps.
    pub steps: u32,
    /// Poisson sampling rate.
    pub sample_rate: Real,
    /// Clipping norm of per-sample gradients.
    pub clipping_norm: Real,
    /// Learning rate.
    pub learning_rate: Real,
    /// Public salt of the split, 32 bytes base64url; drawn if absent.
    #[serde(default)]
    pub split_salt: Option<Bytes>,
    /// Share of the training part in parts per million.
    #[serde(default = "four_fifths")]
    pub train_ppm: u32,
    /// Seed of the initial weights only.
    #[serde(default)]
    pub init_seed: u32,
    /// Noise on each count of the confusion matrix; no metrics leave the room if absent.
    #[serde(default)]
    pub metrics_noise_multiplier: Option<Real>,
    /// A noised curve beside the metrics; charged by itself.
    #[serde(default)]
    pub metrics_curve: Option<ScoreCurve>,
    /// A noised mean loss beside the metrics; charged by itself.
    #[serde(default)]
    pub metrics_loss: Option<MeanLoss>,
    /// Loss, optimiser, schedule, frozen parameters, adapters; binary cross-entropy and plain SGD if absent.
    #[serde(default)]
    pub recipe: Option<Recipe>,
    /// The weights to begin with; `--weights` names a record of `depa model seal` instead.
    #[serde(default)]
    pub weights: Option<Weights>,
}

/// The output of a form.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputForm {
    /// Public half of the TDC's encryption key (`depa keys show`).
    pub recipient_jwk: Jwk,
    /// Folder for the sealed model: `file:` or `https:`; `http:` on loopback only.
    pub upload: String,
}

/// Reads `handle.column`.
pub fn column(text: &str) -> R<ColumnRef> {
    match text.split_once('.') {
        Some((handle, column)) if !handle.is_empty() && !column.is_empty() && !column.contains('.') => {
            Ok(ColumnRef { handle: handle.to_owned(), column: column.to_owned() })
        }
        _ => Err(Refusal::new(Code::ConfigInvalid, format!("{text:?} is no column; write handle.column"))),
    }
}

fn training() -> String {
    "TRAINING".into()
}

fn day() -> u32 {
    86_400
}

fn yes() -> bool {
    true
}

fn four_fifths() -> u32 {
    800_000
}
