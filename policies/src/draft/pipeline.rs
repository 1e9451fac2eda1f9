//! A pipeline file of DEPA's reference, judged as it lies (`depa-spec.md` 3.11 and 8.3): what couples rows voids the
//! privacy proof, and what is replaced is told. Jobs of ours are judged by [`crate::pipeline`], not here.

use schemas::problem::{Code, R, Refusal};
use schemas::text::Real;
use serde_json::Value;

use crate::forms::ensure;
use crate::reals;

/// What the file's reader is told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    /// The first thing that forbids it, if any: privacy comes before what couples rows.
    pub refusal: Option<Refusal>,
    /// What is accepted, but replaced.
    pub notices: Vec<String>,
}

/// Judges a consolidated pipeline file. `rows` is the public count of principals; `public_bounds` says whether public
/// bounds of the features are brought, which replace what would be fitted.
pub fn verdict(file: &Value, rows: u64, public_bounds: bool) -> Verdict {
    let stages = file.get("pipeline").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let configs: Vec<(&str, &Value)> = stages
        .iter()
        .filter_map(|stage| Some((stage.get("name")?.as_str()?, stage.get("config")?)))
        .filter(|(name, _)| name.starts_with("Train"))
        .collect();
    let missing = || Refusal::new(Code::ImportInvalid, "The file holds no stage that trains.").at("pipeline");
    let privacy = || configs.iter().try_for_each(|(_, config)| private(config, rows));
    let rows_alone = || configs.iter().try_for_each(|(name, config)| uncoupled(name, config, public_bounds));
    let judged = if configs.is_empty() { Err(missing()) } else { privacy().and_then(|()| rows_alone()) };
    let notices = configs.iter().flat_map(|(_, config)| notices(config)).collect();
    Verdict { refusal: judged.err(), notices }
}

fn private(config: &Value, rows: u64) -> R<()> {
    let private = config.get("is_private").and_then(Value::as_bool) == Some(true);
    let sentence = "Every stage that trains does so with differential privacy.";
    ensure(private, Code::PrivacyClauseMissing, "is_private", sentence)?;
    let real = |name: &str| {
        let text = match config.pointer(&format!("/privacy_params/{name}"))? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.as_f64()?.to_string(),
            _ => return None,
        };
        Real::parse(&text).ok().filter(|real| !reals::is_zero(real))
    };
    let sentence = "The stage names no ε above 0.";
    ensure(real("epsilon").is_some(), Code::PrivacyClauseMissing, "privacy_params.epsilon", sentence)?;
    let small = real("delta").is_some_and(|delta| reals::is_below_one_over(&delta, rows));
    ensure(small, Code::DeltaTooLarge, "privacy_params.delta", format!("δ must be above 0 and below 1/{rows}."))
}

/// Adding one person must not change another person's part or value.
fn uncoupled(name: &str, config: &Value, public_bounds: bool) -> R<()> {
    let coupled = |ok, field: &str, sentence: String| ensure(ok, Code::PipelineRowCoupling, field, sentence);
    let text = |path: &str| config.pointer(path).and_then(Value::as_str);
    let scaler = text("/dataset_config/preprocessing/scaler");
    let sentence = format!("The scaler {} is fitted on rows; bring public bounds.", scaler.unwrap_or_default());
    coupled(scaler.is_none() || public_bounds, "dataset_config.preprocessing.scaler", sentence)?;
    let strategy = text("/dataset_config/missing_strategy");
    let filled = matches!(strategy, Some("forward_fill" | "backward_fill"));
    let sentence = "A missing value is filled from another row; fill it with a public constant.".to_owned();
    coupled(!filled, "dataset_config.missing_strategy", sentence)?;
    let trees = name == "Train_XGB";
    let sentence = "Split candidates of trees are taken from rows; bring public bounds of the features.".to_owned();
    coupled(!trees || public_bounds, "model_config", sentence)
}

fn notices(config: &Value) -> Vec<String> {
    let mut notices = Vec::new();
    for name in ["random_state", "stratify"] {
        if config.pointer(&format!("/dataset_config/splits/{name}")).is_some() {
            notices.push(format!("{name} is replaced: a row's part follows from a public salt and its principal."));
        }
    }
    if config.get("metrics").and_then(Value::as_array).is_some_and(|metrics| !metrics.is_empty()) {
        notices.push("Exact metrics, curves and reports stay inside; what leaves is noised and charged.".to_owned());
    }
    if config.pointer("/model_config/seed").is_some() {
        notices.push("seed covers the initialisation only.".to_owned());
    }
    notices
}
