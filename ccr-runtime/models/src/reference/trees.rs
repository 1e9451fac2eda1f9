//! A `Train_XGB` stage: its ensemble in the trainer's own trees, whose splits are public and whose leaves alone learn from
//! rows, and what was replaced on the way.

use schemas::text::Real;
use schemas::trees::{MAX_DEPTH, MAX_LEAVES, Trees};
use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::params::{self, Params};
use super::training::{self, stage};
use crate::notice::Notice;

/// An ensemble out of its configuration, in the members of a job's `[training]`.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ReadTrees {
    /// Depth, features of a tree, regularization.
    pub trees: Trees,
    /// Trees: each is a step.
    pub steps: u32,
    /// Scales a leaf.
    pub learning_rate: Real,
    /// 1: a row's share of a leaf never has a larger norm, so nothing is clipped.
    pub clipping_norm: Real,
    /// Share of the rows that a tree sees: `subsample`, else all.
    pub sample_rate: Real,
    /// Draws the splits: public.
    pub init_seed: u32,
    /// Whether the configuration asks for privacy.
    pub private: bool,
    /// ε asked for.
    pub epsilon: Option<Real>,
    /// δ asked for.
    pub delta: Option<Real>,
    /// The target's column, without the table that has it.
    pub target: Option<String>,
    /// What was replaced.
    pub notices: Vec<Notice>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stage {
    #[serde(rename = "name")]
    _name: String,
    config: Config,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    model_config: Map<String, Value>,
    #[serde(default)]
    is_private: bool,
    #[serde(default)]
    privacy_params: Map<String, Value>,
    #[serde(default)]
    dataset_config: Option<Value>,
    #[serde(default)]
    task_type: Option<String>,
    // Where data lie and what is measured is judged elsewhere.
    #[serde(default, rename = "paths")]
    _paths: Value,
    #[serde(default, rename = "metrics")]
    _metrics: Value,
    #[serde(default, rename = "threshold")]
    _threshold: Value,
}

/// Whether a file of the reference describes trees: `Train_XGB`, or a `model_config` of one.
pub fn is_trees(config: &Value) -> bool {
    let named = stage(config).ok().and_then(|stage| stage.get("name")).and_then(Value::as_str);
    named == Some("Train_XGB") || config.get("n_estimators").is_some()
}

/// Reads a `train_config` or `pipeline_config` whose training is `Train_XGB`, or the `model_config` of one alone, which names
/// no ε and no target. Absent members of the ensemble have XGBoost's defaults.
///
/// # Errors
/// `MODEL_FORM` for what cannot be read and for what the trainer's trees cannot be: other objectives than
/// `binary:logistic`, weights of classes, trees deeper than [`MAX_DEPTH`].
pub fn trees(config: &Value) -> R<ReadTrees> {
    if let Some(alone) = config.as_object().filter(|config| config.contains_key("n_estimators")) {
        training::unwatched(config)?;
        return ensemble(alone);
    }
    let unread = |e: serde_json::Error| refuse("train_config", format!("train_config: {e}"));
    let stage = stage(config)?;
    if let Some(name) = stage.get("name").and_then(Value::as_str).filter(|name| *name != "Train_XGB") {
        return Err(refuse("name", format!("{name} trains no trees; Train_XGB does")));
    }
    training::unwatched(stage)?;
    let Stage { config, .. } = Stage::deserialize(stage).map_err(unread)?;
    if let Some(task) = config.task_type.as_deref().filter(|task| *task != "classification") {
        return Err(refuse("task_type", format!("trees tell two classes apart; {task} is another task")));
    }
    let mut read = ensemble(&config.model_config)?;
    let mut privacy = Params::new("privacy_params", config.privacy_params);
    let mut figure = |name: &str| -> R<Option<Real>> {
        let Some(value) = privacy.number(name)? else { return Ok(None) };
        let bad = || refuse(name, format!("{name} is no number from 0"));
        params::real(value).map(Some).ok_or_else(bad)
    };
    (read.epsilon, read.delta) = (figure("epsilon")?, figure("delta")?);
    privacy.end()?;
    read.private = config.is_private;
    if let Some(data) = &config.dataset_config {
        read.target = data.get("target_variable").and_then(Value::as_str).map(str::to_owned);
        read.notices.extend(training::split(Some(data)));
        if data.get("missing_strategy").is_some_and(|strategy| !strategy.is_null()) {
            let sentence = "replaced: a number that is missing counts as the midpoint of its public bounds";
            read.notices.push(Notice::new("dataset_config.missing_strategy", sentence));
        }
    }
    Ok(read)
}

fn ensemble(config: &Map<String, Value>) -> R<ReadTrees> {
    let mut config = Params::new("model_config", config.clone());
    let (steps, depth) = (config.count("n_estimators")?, config.count("max_depth")?);
    config.only("objective", &[json!("binary:logistic")])?;
    config.only("scale_pos_weight", &[json!(1.0)])?;
    let regularization = config.real("l2_regularization", 1.0)?;
    let depth = u8::try_from(depth).unwrap_or(u8::MAX);
    let trees = Trees { depth, features_per_tree: depth, regularization };
    if steps == 0 || !trees.in_range(steps) {
        let sentence = format!(
            "trees have depth 1 to {MAX_DEPTH}, a regularization from 0.001 to 1000000 and together at most {MAX_LEAVES} leaves"
        );
        return Err(config.refuse(sentence));
    }
    let learning_rate = config.real("learning_rate", 0.3)?;
    let sample_rate = config.real("subsample", 1.0)?;
    if !(sample_rate.value() > 0.0 && sample_rate.value() <= 1.0) {
        return Err(config.refuse("subsample lies above 0 and at most at 1"));
    }
    let splits = "replaced: splits are drawn from a public seed within the columns' public bounds, over as many features a \
                  tree as it is deep; rows decide the leaves alone";
    let mut notices = vec![Notice::new("model_config", splits)];
    let mut notice = |there: bool, field: &str, sentence: &str| {
        if there {
            notices.push(Notice::new(format!("model_config.{field}"), sentence));
        }
    };
    let weight = config.number("min_child_weight")?;
    let sentence = "left out: a leaf of few rows is held back by the regularization, and nobody asks how few";
    notice(weight.is_some_and(|weight| weight > 0.0), "min_child_weight", sentence);
    let sentence = "the sampling rate of a Poisson sample for each tree";
    notice(sample_rate.value() < 1.0, "subsample", sentence);
    let score = config.number("base_score")?;
    let sentence = "replaced: the first tree begins at 0.5";
    notice(score.is_some_and(|score| score != 0.5), "base_score", sentence);
    let seed = config.maybe("seed")?;
    let sentence = "draws the public splits; sampling and noise come from the run's secret";
    notice(seed.is_some(), "seed", sentence);
    let watched = config.take("eval_metric").is_some();
    notice(watched, "eval_metric", "left out: nothing is measured while trees grow");
    config.end()?;
    Ok(ReadTrees {
        trees,
        steps,
        learning_rate,
        clipping_norm: Real::parse("1")?,
        sample_rate,
        init_seed: seed.unwrap_or(0),
        private: false,
        epsilon: None,
        delta: None,
        target: None,
        notices,
    })
}

fn refuse(field: &str, sentence: impl Into<String>) -> Refusal {
    Refusal::new(Code::ModelForm, sentence).at(field)
}
