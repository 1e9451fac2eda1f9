//! May this leave the sealed room? Only what passes here can be sealed: nothing else makes a [`CheckedOutput`].

use std::collections::BTreeMap;

use schemas::canonical;
use schemas::digest::Digest;
use schemas::metrics::NoisedLoss;
use schemas::pipeline::OutputKind;
use schemas::privacy::Plan;
use schemas::problem::{Code, R, Refusal};
use schemas::worker::{NoiseSampler, NoisedMetrics, Outcome};
use serde_json::Value;

use crate::forms::ensure;

/// The largest model that leaves a room.
pub const MAX_MODEL: usize = 64 << 20;

/// What may leave, with the figures that may stand beside it.
#[derive(Clone, PartialEq, Eq)]
pub struct CheckedOutput {
    content: Vec<u8>,
    sha256: Digest,
    steps: u32,
    noise: NoiseSampler,
    metrics: Option<NoisedMetrics>,
}

impl CheckedOutput {
    /// The model in safetensors, or the noised metrics in canonical JSON where the job writes those alone.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// SHA-256 of the content.
    pub fn sha256(&self) -> Digest {
        self.sha256
    }

    /// Steps run.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// What drew the noise.
    pub fn noise(&self) -> NoiseSampler {
        self.noise
    }

    /// The noised metrics, where the plan charged them.
    pub fn metrics(&self) -> Option<&NoisedMetrics> {
        self.metrics.as_ref()
    }
}

/// The content is not yet sealed, so Debug shows its size and digest only.
impl std::fmt::Debug for CheckedOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CheckedOutput({} bytes, {})", self.content.len(), self.sha256.short())
    }
}

/// Does the worker's outcome carry out the plan, and is it a model of the size and digest it says?
///
/// `configuration` is that of the job ([`schemas::worker::configuration`]): a worker that went on from the checkpoint of
/// another one names another, and nothing of it leaves.
///
/// Where the job writes metrics the model is judged all the same and ends here: the metrics alone are what may leave.
pub fn decide(
    outcome: Outcome,
    model: Vec<u8>,
    plan: &Plan,
    configuration: &Digest,
    kind: OutputKind,
) -> R<CheckedOutput> {
    refuse(outcome.kind == "model", "kind", "A worker delivers a model.")?;
    refuse(model.len() <= MAX_MODEL, "bytes", "A model has at most 64 MiB.")?;
    refuse(
        u64::try_from(model.len()).is_ok_and(|n| n == outcome.bytes),
        "bytes",
        "The model has another size than said.",
    )?;
    let sha256 = Digest::of(&model);
    refuse(sha256 == outcome.sha256, "sha256", "The model has another digest than said.")?;
    let same = outcome.configuration == *configuration;
    refuse(same, "configuration", "The training was not that of the job from its first step on.")?;
    refuse(outcome.steps == plan.steps, "steps", "The training did not carry out the planned steps.")?;
    noise(&outcome, plan)?;
    let charged = outcome.metrics.is_some() == plan.metrics_noise_multiplier.is_some();
    refuse(charged, "metrics", "Metrics leave the room where the plan charges them, and only there.")?;
    if let Some(metrics) = &outcome.metrics {
        let derived = metrics.accuracy_of_counts() == metrics.accuracy_ppm;
        refuse(derived, "metrics.accuracy_ppm", "The accuracy does not follow from the noised counts.")?;
        curve(metrics, plan)?;
        loss(metrics, plan)?;
    }
    refuse(is_safetensors(&model), "model", "The model is not in safetensors form.")?;
    let (content, sha256) = match (kind, &outcome.metrics) {
        (OutputKind::Model, _) => (model, sha256),
        (OutputKind::Metrics, Some(metrics)) => {
            let content = canonical::to_bytes(metrics)?;
            let sha256 = Digest::of(&content);
            (content, sha256)
        }
        (OutputKind::Metrics | OutputKind::Table, _) => {
            let sentence = "Only a model or charged metrics leave the room.";
            return Err(Refusal::new(Code::OutputRefused, sentence).at("kind"));
        }
    };
    Ok(CheckedOutput { content, sha256, steps: outcome.steps, noise: outcome.noise, metrics: outcome.metrics })
}

/// Noise was drawn once for every step or, where the plan is without differential privacy, never: neither is taken for
/// the other.
fn noise(outcome: &Outcome, plan: &Plan) -> R<()> {
    let drawn = outcome.noise != NoiseSampler::WithoutNoise;
    if plan.without_differential_privacy {
        let none = outcome.noise_draws == 0 && !drawn;
        return refuse(none, "noise_draws", "Noise was drawn in a training that is without differential privacy.");
    }
    refuse(outcome.noise_draws == plan.steps, "noise_draws", "Noise was not drawn once for every step.")?;
    refuse(drawn, "noise", "The training was without differential privacy, and the plan is private.")
}

/// The curve leaves where the plan charges it, in the planned bins, and the area follows from its counts.
fn curve(metrics: &NoisedMetrics, plan: &Plan) -> R<()> {
    let follows = match (&metrics.curve, &plan.curve) {
        (None, None) => true,
        (Some(noised), Some(asked)) => {
            let bins = usize::from(asked.bins);
            (noised.positives.len(), noised.negatives.len()) == (bins, bins) && noised.auc_of_counts() == noised.auc_ppm
        }
        _ => false,
    };
    refuse(follows, "metrics.curve", "The curve is not the one that the plan charges.")
}

/// The loss leaves where the plan charges it, and its mean follows from the noised sum and counts.
fn loss(metrics: &NoisedMetrics, plan: &Plan) -> R<()> {
    let follows = match (&metrics.loss, &plan.loss) {
        (None, None) => true,
        (Some(noised), Some(asked)) => NoisedLoss::mean_of(noised.sum, metrics.rows(), asked) == noised.mean_micro,
        _ => false,
    };
    refuse(follows, "metrics.loss", "The loss is not the one that the plan charges.")
}

/// Whether the bytes are a safetensors file whose tensors fill it exactly, without hole or overlap: there is no place for
/// anything that is not a named tensor.
fn is_safetensors(file: &[u8]) -> bool {
    let Some((length, rest)) = file.split_first_chunk::<8>() else { return false };
    let Ok(length) = usize::try_from(u64::from_le_bytes(*length)) else { return false };
    let Some((header, data)) = rest.split_at_checked(length) else { return false };
    if length > MAX_HEADER {
        return false;
    }
    let Ok(Value::Object(mut tensors)) = canonical::parse_value(header) else { return false };
    let words = tensors.remove("__metadata__").is_none_or(|words| match words {
        Value::Object(words) => words.values().all(Value::is_string),
        _ => false,
    });
    let spans: Option<BTreeMap<usize, usize>> = tensors.values().map(span).collect();
    let Some(spans) = spans.filter(|spans| words && !spans.is_empty() && spans.len() == tensors.len()) else {
        return false;
    };
    let end = spans.into_iter().try_fold(0, |at, (begin, end)| (begin == at).then_some(end));
    end == Some(data.len())
}

/// Begin and end of a tensor whose type and shape fill it.
fn span(tensor: &Value) -> Option<(usize, usize)> {
    let number = |value: &Value| usize::try_from(value.as_u64()?).ok();
    let size = match tensor.get("dtype")?.as_str()? {
        "F64" | "I64" => 8,
        "F32" | "I32" => 4,
        "F16" | "BF16" => 2,
        _ => return None,
    };
    let shape = tensor.get("shape")?.as_array()?;
    let bytes = shape.iter().try_fold(size, |product: usize, side| product.checked_mul(number(side)?))?;
    let [begin, end] = tensor.get("data_offsets")?.as_array()?.as_slice() else { return None };
    let (begin, end) = (number(begin)?, number(end)?);
    (bytes > 0 && end.checked_sub(begin) == Some(bytes)).then_some((begin, end))
}

fn refuse(ok: bool, field: &str, sentence: &str) -> R<()> {
    ensure(ok, Code::OutputRefused, field, sentence)
}

/// The largest header of a model file.
const MAX_HEADER: usize = 64 << 10;
