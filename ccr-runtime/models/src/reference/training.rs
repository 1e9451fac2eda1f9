//! A `Train_DL` stage: network, recipe and figures of a private training, and what was replaced on the way.

use schemas::network::shape::Shape;
use schemas::network::{Input, Layer};
use schemas::recipe::Recipe;
use schemas::text::Real;
use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::forward::{self, Options, Read};
use super::loss::{self, Reads};
use super::optimizer::{self, Named};
use super::params;
use crate::notice::Notice;

/// Public figures that the files do not hold.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Public {
    /// The input of the network, which a `model_config` does not say.
    pub input: Option<Input>,
    /// Outputs of the network where the files hold no `model_config`.
    pub classes: Option<u32>,
    /// The public number of rows, from which steps and sampling rate follow.
    pub rows: Option<u64>,
}

/// A training out of its configuration.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ReadTraining {
    /// The network, if the configuration describes one; else the model is a file of its own.
    pub model: Option<Read>,
    /// Loss, optimiser, schedule.
    pub recipe: Recipe,
    /// Learning rate.
    pub learning_rate: Real,
    /// Whether the configuration asks for privacy.
    pub private: bool,
    /// Clipping norm.
    pub clipping_norm: Option<Real>,
    /// ε asked for.
    pub epsilon: Option<Real>,
    /// δ asked for.
    pub delta: Option<Real>,
    /// Batch size: here the expected size of a Poisson sample.
    pub batch_size: Option<u32>,
    /// Epochs.
    pub epochs: u32,
    /// Steps, where the rows are known: epochs × ⌈rows / batch size⌉.
    pub steps: Option<u32>,
    /// Sampling rate, where the rows are known: batch size / rows.
    pub sample_rate: Option<Real>,
    /// What was replaced.
    pub notices: Vec<Notice>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stage {
    name: String,
    config: Config,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    paths: Value,
    #[serde(default)]
    model_type: Option<String>,
    #[serde(default)]
    is_private: bool,
    #[serde(default)]
    privacy_params: Option<PrivacyParams>,
    #[serde(default)]
    device: Option<String>,
    #[serde(default)]
    batch_size: Option<u32>,
    #[serde(default)]
    total_epochs: Option<u32>,
    #[serde(default)]
    optimizer: Option<Named>,
    #[serde(default)]
    scheduler: Option<Named>,
    #[serde(default)]
    model_config: Option<Value>,
    #[serde(default)]
    loss_config: Option<Value>,
    #[serde(default)]
    dataset_config: Option<Value>,
    // Read where data and metrics are judged, not here.
    #[serde(default, rename = "metrics")]
    _metrics: Value,
    #[serde(default, rename = "task_type")]
    _task_type: Value,
    #[serde(default, rename = "threshold")]
    _threshold: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PrivacyParams {
    #[serde(default)]
    epsilon: Option<f64>,
    #[serde(default)]
    delta: Option<f64>,
    #[serde(default)]
    max_grad_norm: Option<f64>,
}

/// Reads a `train_config` or `pipeline_config` whose training is `Train_DL`.
///
/// # Errors
/// `MODEL_FORM` for what cannot be read, `MODEL_FORMAT` for a model file that holds code, and the refusals of
/// [`super::model`] and [`super::loss`].
pub fn training(config: &Value, public: &Public, options: &Options) -> R<ReadTraining> {
    let stage = stage(config)?;
    unwatched(stage)?;
    let unread = |e: serde_json::Error| refuse("train_config", format!("train_config: {e}"));
    let Stage { name, config } = Stage::deserialize(stage).map_err(unread)?;
    if name != "Train_DL" {
        let sentence = format!("{name} trains no network; Train_DL does");
        return Err(refuse("name", sentence));
    }
    config.read(public, options)
}

/// The training stage of a file: the file itself, or the one in its `pipeline`.
pub(super) fn stage(config: &Value) -> R<&Value> {
    let Some(stages) = config.get("pipeline").and_then(Value::as_array) else { return Ok(config) };
    let trains =
        |stage: &&Value| stage.get("name").and_then(Value::as_str).is_some_and(|name| name.starts_with("Train_"));
    stages.iter().find(trains).ok_or_else(|| refuse("pipeline", "the pipeline has no training stage"))
}

/// Members that ask for a look at private data while a training runs, and what is done instead.
const WATCHED: [(&[&str], &str); 2] = [
    (
        &["early_stopping", "early_stop", "early_stopping_patience", "early_stopping_rounds", "patience"],
        "early stopping looks at a loss of private data again and again: a fixed number of steps is trained instead",
    ),
    (
        &["save_best", "save_best_model", "save_best_only", "best_checkpoint", "load_best_model_at_end"],
        "the best checkpoint is told by a score of private data again and again: the last step's model is delivered",
    ),
];

/// Refuses those members before they are refused as unknown: every look would be a release that no plan charges.
pub(super) fn unwatched(stage: &Value) -> R<()> {
    // XGBoost writes null where nothing is asked.
    let asked = |value: &Value| !matches!(value, Value::Null | Value::Bool(false));
    let places = [Some(stage), stage.get("config"), stage.pointer("/config/model_config")];
    for members in places.into_iter().flatten().filter_map(Value::as_object) {
        for (names, why) in WATCHED {
            if let Some(name) = names.iter().find(|name| members.get(**name).is_some_and(asked)) {
                return Err(refuse(name, format!("{why}; remove `{name}`")));
            }
        }
    }
    Ok(())
}

fn refuse(field: &str, sentence: impl Into<String>) -> Refusal {
    Refusal::new(Code::ModelForm, sentence).at(field)
}

impl Config {
    fn read(self, public: &Public, options: &Options) -> R<ReadTraining> {
        self.files()?;
        let mut notices = self.replaced();
        let mut model = match &self.model_config {
            Some(config) => {
                let missing = || refuse("input", "a model_config does not say the size of its input; name it");
                Some(forward::model(config, public.input.clone().ok_or_else(missing)?, options)?)
            }
            None => None,
        };
        let outputs = model.as_ref().map(|read| read.network.shapes()).transpose()?.map(|shapes| shapes.output);
        let classes = match outputs {
            Some(Shape::Vector { features }) => Some(features),
            Some(_) => None,
            None => public.classes,
        };
        let missing = || refuse("loss_config", "a training has a loss_config");
        let read = loss::loss(self.loss_config.as_ref().ok_or_else(missing)?, classes)?;
        ending(model.as_mut(), read.reads, &mut notices)?;
        if let Some(model) = &model {
            notices.extend(model.notices.iter().cloned());
        }

        let epochs = self.total_epochs.unwrap_or(1);
        let figures = self.steps(epochs, public.rows);
        let (optimizer, mut learning_rate) = optimizer::optimizer(self.optimizer)?;
        let per_epoch = figures.as_ref().map(|figures| figures.per_epoch);
        let schedule = optimizer::schedule(self.scheduler, &mut learning_rate, per_epoch, &mut notices)?;
        let privacy = self.privacy_params.as_ref();
        let figure = |value: Option<f64>, field: &str| {
            value
                .map(|value| params::real(value).ok_or_else(|| refuse(field, format!("{field} is no number from 0"))))
                .transpose()
        };
        Ok(ReadTraining {
            model,
            recipe: Recipe { loss: read.loss, optimizer, schedule, frozen: Vec::new(), adapters: None },
            learning_rate,
            private: self.is_private,
            clipping_norm: figure(privacy.and_then(|p| p.max_grad_norm), "max_grad_norm")?,
            epsilon: figure(privacy.and_then(|p| p.epsilon), "epsilon")?,
            delta: figure(privacy.and_then(|p| p.delta), "delta")?,
            batch_size: self.batch_size,
            epochs,
            steps: figures.as_ref().and_then(|figures| figures.steps),
            sample_rate: figures.and_then(|figures| figures.sample_rate),
            notices,
        })
    }

    /// Refuses model files that hold code, by the kind that is named and by their names.
    fn files(&self) -> R<()> {
        let refuse = |sentence: String| Err(Refusal::new(Code::ModelFormat, sentence).at("model_type"));
        if let Some(kind) = self.model_type.as_deref().filter(|kind| !["onnx", "safetensors"].contains(kind)) {
            return refuse(format!("the model_type {kind} is not read; onnx and safetensors are"));
        }
        let code = [".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt", ".h5", ".keras"];
        for member in ["base_model_path", "saved_weights_path"] {
            let path = self.paths.get(member).and_then(Value::as_str).unwrap_or_default();
            if code.iter().any(|ending| path.ends_with(ending)) {
                return refuse(format!("{member}: pickles, TorchScript and HDF5 are not read; save it as safetensors"));
            }
        }
        Ok(())
    }

    /// What has another meaning here, as `depa-spec` 3.11 says.
    fn replaced(&self) -> Vec<Notice> {
        let mut notices = split(self.dataset_config.as_ref());
        if self.batch_size.is_some() {
            notices.push(Notice::new(
                "batch_size",
                "the expected size of a Poisson sample; sums are divided by a constant",
            ));
        }
        if self.device.as_deref().is_some_and(|device| device != "cpu") {
            notices.push(Notice::new("device", "the room says what it trains on"));
        }
        notices
    }

    fn steps(&self, epochs: u32, rows: Option<u64>) -> Option<Figures> {
        let (rows, batch) = (rows.filter(|n| *n > 0)?, u64::from(self.batch_size.filter(|n| *n > 0)?));
        let per_epoch = u32::try_from(rows.div_ceil(batch)).ok()?;
        let sample_rate = Real::rounded_up((batch as f64 / rows as f64).min(1.0), 12);
        Some(Figures { per_epoch, steps: per_epoch.checked_mul(epochs), sample_rate })
    }
}

/// What a `dataset_config` says of parts, and what becomes of it.
pub(super) fn split(data: Option<&Value>) -> Vec<Notice> {
    let splits = data.and_then(|config| config.get("splits"));
    let has = |name: &&str| splits.and_then(|splits| splits.get(name)).is_some_and(|value| !value.is_null());
    let sentence = "replaced: a row's part is a threshold on a keyed hash of its principal";
    let named = ["random_state", "stratify"].into_iter().filter(has);
    named.map(|name| Notice::new(format!("dataset_config.splits.{name}"), sentence)).collect()
}

/// What follows from the public number of rows.
struct Figures {
    per_epoch: u32,
    steps: Option<u32>,
    sample_rate: Option<Real>,
}

/// A loss on probabilities takes the sigmoid or softmax at the model's end along: here losses read logits.
fn ending(model: Option<&mut Read>, reads: Reads, notices: &mut Vec<Notice>) -> R<()> {
    let Some(model) = model else {
        if reads != Reads::Output {
            notices.push(Notice::new(
                "loss_config",
                "the loss reads logits: the model's last sigmoid or softmax is left off",
            ));
        }
        return Ok(());
    };
    match reads {
        Reads::Output => Ok(()),
        Reads::LogSoftmax if model.softmax => Ok(()),
        Reads::LogSoftmax => Err(refuse("loss_config", "NLLLoss reads a log_softmax; the model does not end in one")),
        Reads::Sigmoid => {
            if !matches!(model.network.layers.last(), Some(Layer::Sigmoid {})) {
                return Err(refuse("loss_config", "BCELoss reads probabilities; the model does not end in a sigmoid"));
            }
            model.network.layers.pop();
            model.network.shapes()?;
            notices.push(Notice::new("sigmoid", "left off at the end: the loss takes it along and reads logits"));
            Ok(())
        }
    }
}
