//! What a model says of the held-out part, exactly: for rehearsals on samples, outside any room.
//!
//! Served by the binary `trainer-evaluate` alone. The worker of the room has no way here: what it says is the model and
//! noised metrics. It takes the frames of a job (`schemas::worker`) and one more with the model, and answers with one
//! JSON frame.

use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use safetensors::SafeTensors;
use schemas::pipeline::Model;
use schemas::worker::{MAX_MESSAGE, MAX_TABLE, Start};
use schemas::{Code, R, Refusal};
use tch::Kind;
use zeroize::Zeroizing;

use crate::dpsgd::{CHUNK, Data};
use crate::fault::{Hush, internal, protocol};
use crate::model::Network;
use crate::{limits, table};

/// Rows whose inputs are told too.
const INPUTS: usize = 1_000;

/// The answer.
#[derive(serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Evaluated { inputs: Vec<Vec<f32>>, outputs: Vec<Vec<f64>>, labels: Vec<Vec<f32>> },
    Failed { code: String, sentence: String },
}

/// Serves one question; true if it was answered.
pub fn serve(input: &mut impl Read, output: &mut impl Write) -> bool {
    let answer = catch_unwind(AssertUnwindSafe(|| evaluate(input))).unwrap_or_else(|_| Err(internal("internal fault")));
    let (answer, served) = match answer {
        Ok(answer) => (answer, true),
        Err(refusal) => (Answer::Failed { code: refusal.code.to_string(), sentence: refusal.sentence }, false),
    };
    let written = serde_json::to_vec(&answer).map_err(std::io::Error::other).and_then(|bytes| {
        let length = u32::try_from(bytes.len()).map_err(std::io::Error::other)?;
        output.write_all(&length.to_be_bytes())?;
        output.write_all(&bytes)?;
        output.flush()
    });
    served && written.is_ok()
}

fn evaluate(input: &mut impl Read) -> R<Answer> {
    let first = Zeroizing::new(frame(input, MAX_MESSAGE)?);
    let start: Start = serde_json::from_slice(&first).map_err(|_| protocol("the first frame is no start message"))?;
    limits::check(&start)?;
    let mut tables = Vec::new();
    for head in &start.tables {
        tables.push(table::read_needed(&start, head, Zeroizing::new(frame(input, MAX_TABLE)?))?);
    }
    let held_out = table::prepare(&start, tables)?.held_out;
    let model = frame(input, MAX_TABLE)?;
    let features: usize = start.training.features.iter().map(|feature| feature.width()).sum();
    let rows = held_out.features.len().checked_div(features).unwrap_or(0);
    let outputs = match &start.training.model {
        Model::Trees { .. } => {
            let forest = Forest::read(&model)?;
            held_out.features.chunks_exact(features.max(1)).map(|row| vec![forest.logit(row)]).collect()
        }
        named => {
            let recipe = start.training.recipe.as_ref();
            let mut network = Network::with(named, recipe, features, start.training.init_seed)?;
            network.load(&model)?;
            said(&network, &Data::new(&held_out, features)?)?
        }
    };
    let inputs = held_out.features.chunks_exact(features.max(1)).take(INPUTS).map(<[f32]>::to_vec).collect();
    let width = held_out.labels.len().checked_div(rows).unwrap_or(0).max(1);
    let labels = held_out.labels.chunks_exact(width).map(<[f32]>::to_vec).collect();
    Ok(Answer::Evaluated { inputs, outputs, labels })
}

/// The outputs of a network, row by row.
fn said(network: &Network, data: &Data) -> R<Vec<Vec<f64>>> {
    let leaves = network.leaves()?;
    let rows: Vec<i64> = (0..data.rows() as i64).collect();
    let mut outputs = Vec::with_capacity(rows.len());
    for chunk in rows.chunks(CHUNK).flat_map(|chunk| network.chunks(chunk)) {
        let (x, _) = data.chunk(chunk)?;
        let flat = leaves.output(&x)?.f_reshape([chunk.len() as i64, -1]).and_then(|t| t.f_to_kind(Kind::Double));
        let flat = flat.and_then(|t| t.f_contiguous()).hush()?;
        let width = flat.size().get(1).and_then(|n| usize::try_from(*n).ok()).unwrap_or(0);
        let mut values = vec![0f64; chunk.len() * width];
        flat.f_copy_data(&mut values, chunk.len() * width).hush()?;
        outputs.extend(values.chunks_exact(width.max(1)).map(<[f64]>::to_vec));
    }
    Ok(outputs)
}

/// Trees, read from their artifact (`trees::artifact`).
struct Forest {
    features: Vec<i32>,
    thresholds: Vec<f32>,
    leaves: Vec<f32>,
    inner: usize,
}

impl Forest {
    fn read(bytes: &[u8]) -> R<Forest> {
        let bad = || Refusal::new(Code::ModelWeights, "the model is no ensemble of trees");
        let model = SafeTensors::deserialize(bytes).map_err(|_| bad())?;
        let words = |name: &str| -> R<(Vec<[u8; 4]>, usize)> {
            let tensor = model.tensor(name).map_err(|_| bad())?;
            let (words, rest) = tensor.data().as_chunks::<4>();
            match (tensor.shape(), rest) {
                ([_, width], []) => Ok((words.to_vec(), *width)),
                _ => Err(bad()),
            }
        };
        let ((features, inner), (thresholds, same), (leaves, width)) =
            (words("trees.feature")?, words("trees.threshold")?, words("trees.leaf")?);
        if same != inner || width != inner + 1 || inner == 0 {
            return Err(bad());
        }
        let floats = |words: Vec<[u8; 4]>| words.into_iter().map(f32::from_le_bytes).collect();
        let features = features.into_iter().map(i32::from_le_bytes).collect();
        Ok(Forest { features, thresholds: floats(thresholds), leaves: floats(leaves), inner })
    }

    fn logit(&self, row: &[f32]) -> f64 {
        let trees = self.features.chunks_exact(self.inner).zip(self.thresholds.chunks_exact(self.inner));
        let leaves = self.leaves.chunks_exact(self.inner + 1);
        trees
            .zip(leaves)
            .map(|((features, thresholds), leaves)| {
                let mut at = 0;
                while let (Some(feature), Some(threshold)) = (features.get(at), thresholds.get(at)) {
                    let value = usize::try_from(*feature).ok().and_then(|feature| row.get(feature));
                    at = 2 * at + 1 + usize::from(value.is_some_and(|value| value >= threshold));
                }
                f64::from(leaves.get(at - self.inner).copied().unwrap_or_default())
            })
            .sum()
    }
}

fn frame(input: &mut impl Read, most: usize) -> R<Vec<u8>> {
    let mut length = [0; 4];
    input.read_exact(&mut length).map_err(|_| protocol("the pipe ended before a frame"))?;
    let length = u32::from_be_bytes(length) as usize;
    let mut bytes = Vec::new();
    match input.take(length as u64).read_to_end(&mut bytes) {
        Ok(read) if read == length && length <= most => Ok(bytes),
        _ => Err(protocol("the pipe ended inside a frame, or it is too large")),
    }
}
