//! Files of DEPA's reference, read as they lie: contract, pipeline, join, model, loss and dataset configuration, with
//! the verdict that each part gets.

use std::path::Path;

use models::reference::{self, ReadTrees};
use policies::draft;
use schemas::depa::{DepaContract, DepaDataset};
use schemas::{Code, R, Refusal, Timestamp, canonical};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{edge, sql};

/// What was read of a folder, and what it is worth.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Reading {
    /// Datasets of the contract.
    pub datasets: usize,
    /// What stands in the way of the contract as it lies.
    pub as_it_lies: Vec<&'static str>,
    /// What stands in its way once parties, keys, places and dates are filled in and all else is left.
    pub filled_in: Vec<&'static str>,
    /// What stands in the way of the pipeline.
    pub pipeline: Option<&'static str>,
    /// The same once its δ is mended to a tenth of 1/N.
    pub pipeline_with_delta_mended: Option<&'static str>,
    /// What is accepted, but replaced.
    pub notices: Vec<String>,
    /// The join, in words; none where there is one dataset.
    pub join: Option<String>,
    /// The model, in words; none where a file is named that is not there.
    pub model: Option<String>,
    /// The loss, in words.
    pub loss: Option<String>,
    /// The kind of data.
    pub data: Option<String>,
}

/// Reads a folder of the reference. `rows` is the public count of people, which the files do not say.
pub fn check(dir: &Path, rows: u64, now: Timestamp) -> R<Reading> {
    let depa = DepaContract::read(&edge::read(&dir.join("contract.json"))?)?;
    let pipeline = pipeline(dir)?;
    let stages = pipeline.get("pipeline").and_then(Value::as_array).cloned().unwrap_or_default();
    let named = |prefix: &[&str]| {
        let of = |stage: &&Value| {
            let name = stage.get("name").and_then(Value::as_str).unwrap_or_default();
            prefix.iter().any(|p| name.starts_with(p))
        };
        stages.iter().find(of).and_then(|stage| stage.get("config")).cloned()
    };
    let train = named(&["Train"]);
    let trees = reference::is_trees(&pipeline).then(|| reference::trees(&pipeline)).transpose()?;
    let part = |name: &str| train.as_ref().and_then(|config| config.get(name)).cloned();
    let judged = draft::pipeline::verdict(&pipeline, rows, false);
    let mended = draft::pipeline::verdict(&mended(&pipeline, rows), rows, false);
    Ok(Reading {
        datasets: depa.datasets.len(),
        as_it_lies: codes(&draft::verdict(&depa, |_| Some(rows), now)),
        filled_in: codes(&draft::verdict(&filled(depa.clone(), now), |_| Some(rows), now)),
        pipeline: judged.refusal.map(|r| r.code.as_str()),
        pipeline_with_delta_mended: mended.refusal.map(|r| r.code.as_str()),
        notices: judged.notices.into_iter().chain(of_trees(trees.as_ref())).chain(draft::notices(&depa)).collect(),
        join: named(&["SparkJoin", "DirectoryJoin"]).map(|config| join(&config)).transpose()?,
        model: match &trees {
            Some(read) => Some(format!("{} trees of depth {}", read.steps, read.trees.depth)),
            None => part("model_config").map(|config| graph(&config)).transpose()?,
        },
        loss: part("loss_config").map(|config| loss(&config)).transpose()?,
        data: part("dataset_config").map(|config| data(&config)).transpose()?,
    })
}

/// The consolidated pipeline, or its parts put together.
fn pipeline(dir: &Path) -> R<Value> {
    let whole = dir.join("pipeline_config.json");
    if whole.exists() {
        return canonical::parse_loose(&edge::read(&whole)?);
    }
    let mut stages = Vec::new();
    for name in ["join_config.json", "train_config.json"] {
        let path = dir.join(name);
        if path.exists() {
            stages.push(canonical::parse_loose(&edge::read(&path)?)?);
        }
    }
    Ok(Value::Object(Map::from_iter([("pipeline".to_owned(), Value::Array(stages))])))
}

/// The pipeline with a δ of a tenth of 1/N wherever it names one.
fn mended(pipeline: &Value, rows: u64) -> Value {
    let mut pipeline = pipeline.clone();
    let delta = format!("{:.12}", 0.1 / rows.max(1) as f64);
    for stage in pipeline.get_mut("pipeline").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(place) = stage.pointer_mut("/config/privacy_params/delta") {
            *place = Value::String(delta.clone());
        }
    }
    pipeline
}

/// Parties, keys, places and dates, and nothing else.
fn filled(mut depa: DepaContract, now: Timestamp) -> DepaContract {
    let did = |who: &str| Some(format!("did:web:{who}.example"));
    (depa.tdc, depa.tdps, depa.ccrp) = (did("tdc"), did("tdp").into_iter().collect(), did("ccrp"));
    depa.start = Some(now.to_string());
    depa.expiry = Some(now.plus_seconds(365 * 86_400).to_string());
    for dataset in &mut depa.datasets {
        *dataset = DepaDataset {
            provider: did("tdp"),
            url: Some("https://storage.example/data.img".into()),
            key_id: dataset.key_id.as_ref().map(|_| "key".into()),
            key_endpoint: dataset.key_endpoint.as_ref().map(|_| "https://kms.example".into()),
            ..dataset.clone()
        };
    }
    depa
}

/// Each code once, in order.
fn codes(refusals: &[Refusal]) -> Vec<&'static str> {
    let mut codes: Vec<_> = refusals.iter().map(|r| r.code.as_str()).collect();
    codes.dedup();
    codes
}

fn invalid(what: &str) -> Refusal {
    Refusal::new(Code::ImportInvalid, format!("{what} cannot be read"))
}

/// SQL becomes the typed join that a job would carry; folders become a union.
fn join(config: &Value) -> R<String> {
    let datasets = config.get("datasets").and_then(Value::as_array).ok_or_else(|| invalid("the join's datasets"))?;
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let Some(query) = config.pointer("/joined_dataset/joining_query").and_then(Value::as_str) else {
        return Ok(format!("union of {} folders", datasets.len()));
    };
    let key = config.pointer("/joined_dataset/joining_key").and_then(Value::as_str).unwrap_or_default();
    let table = |dataset: &Value| {
        let columns = dataset.get("select_variables").and_then(Value::as_array).into_iter().flatten();
        Ok(sql::Table {
            name: text(dataset, "name").ok_or_else(|| invalid("the name of a joined dataset"))?,
            allowed: columns.filter_map(Value::as_str).map(str::to_owned).collect(),
            keys: vec![key.to_owned()],
            targets: Vec::new(),
        })
    };
    let tables = datasets.iter().map(table).collect::<R<Vec<_>>>()?;
    let parsed = sql::parse(query, "joined", &tables, &[])?;
    let kinds: Vec<String> = parsed
        .join
        .steps
        .iter()
        .map(|step| format!("{:?} {} on {} = {}", step.kind, step.handle, step.left, step.right).to_lowercase())
        .collect();
    let factors: Vec<String> =
        policies::pipeline::factors(&parsed.join).iter().map(|(handle, factor)| format!("{handle} {factor}")).collect();
    Ok(format!("{}, then {}; factors {}", parsed.join.first, kinds.join(", "), factors.join(", ")))
}

/// What becomes of the figures of trees; of splits the pipeline's own notices tell.
fn of_trees(read: Option<&ReadTrees>) -> Vec<String> {
    let notices = read.into_iter().flat_map(|read| &read.notices);
    let own = notices.filter(|notice| !notice.field.starts_with("dataset_config.splits"));
    own.map(|notice| format!("{}: {}", notice.field, notice.sentence)).collect()
}

/// The graph's layers.
fn graph(config: &Value) -> R<String> {
    let layers = config.get("layers").and_then(Value::as_object).ok_or_else(|| invalid("the model's layers"))?;
    let steps = config.get("forward").and_then(Value::as_array).ok_or_else(|| invalid("the model's forward steps"))?;
    let submodules = config.get("submodules").and_then(Value::as_object).map_or(0, Map::len);
    Ok(format!("graph of {} layers and {submodules} submodules in {} steps", layers.len(), steps.len()))
}

fn loss(config: &Value) -> R<String> {
    let text = |name: &str| config.get(name).and_then(Value::as_str).map(str::to_owned);
    text("class").or_else(|| text("expression")).ok_or_else(|| invalid("the loss"))
}

fn data(config: &Value) -> R<String> {
    config.get("type").and_then(Value::as_str).map(str::to_owned).ok_or_else(|| invalid("the kind of data"))
}
