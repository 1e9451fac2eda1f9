//! The held-out part under a model: asked of `trainer-evaluate`, which has the trainer's arithmetic and is never part of
//! a room, because its answers are exact.

use std::path::Path;

use schemas::worker::{MAX_TABLE, Start};
use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};

use super::Sample;
use super::pipe::Worker;

/// What a model says of the rows that it was not trained on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// The rows as the model's first layer sees them: scaled to [−1, 1], or tokens.
    pub inputs: Vec<Vec<f32>>,
    /// The model's outputs for each row: logits, or what its last layer gives.
    pub outputs: Vec<Vec<f64>>,
    /// The label of each row: 0 or 1, the place of its class, a scaled number, or one bit per pixel.
    pub labels: Vec<Vec<f32>>,
}

pub(super) fn run(program: &Path, start: &Start, tables: &[Sample], model: &[u8]) -> R<Evaluation> {
    let mut worker = Worker::start(program, start, tables, Some(model))?;
    let answer = worker.frame(MAX_TABLE)?;
    worker.end()?;
    let unread = |_| Refusal::new(Code::WorkerProtocol, "the evaluation cannot be read");
    let answer: Answer = serde_json::from_slice(&answer).map_err(unread)?;
    match answer {
        Answer::Evaluated(evaluation) => Ok(evaluation),
        Answer::Failed { code, sentence } => {
            let code = Code::parse(&code).unwrap_or(Code::WorkerFailed);
            Err(Refusal::new(code, format!("the evaluation was refused: {sentence}")))
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Evaluated(Evaluation),
    Failed { code: String, sentence: String },
}
