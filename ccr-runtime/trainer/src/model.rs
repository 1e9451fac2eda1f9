//! Networks with their weights: what is learnt, what is frozen, and the tensors of one step.
//!
//! A network is data (`schemas::network`); [`build`] turns it into operations of [`crate::engine`], whose shapes were
//! judged before. Logistic regression and the mlp are such networks too. Weights are held in double precision; a
//! network's tensors are single precision, those of the two named models double.

mod build;
mod weights;

use std::sync::Arc;

use schemas::R;
use schemas::pipeline::Model;
use schemas::recipe::{Loss, Recipe};
use tch::{Kind, Tensor};

use crate::device::Place;
use crate::engine::{self, Mode, Op, T, Tape, Weights};
use crate::fault::Hush;
use crate::lanes;
use crate::loss;
use crate::noise::Streams;
use crate::optimizer::{Memory, Pace, Rule};

/// The largest weight there is, of either sign: a training begins with none above, and no step goes above. Far more than any
/// network is published with, and far below where single precision loses one number beside another.
pub const MOST_WEIGHT: f64 = 1e4;

/// Memory that the activations and their gradients of one physical chunk may take. With half of it convolutions work on so
/// few rows at a time that they take up to a sixth longer; with twice as much nothing is faster.
const CHUNK_BYTES: u64 = 128 << 20;
/// So much memory of activations is worth a thread: with less it would mostly wait for the other one.
const SHARE_BYTES: u64 = 4 << 20;
/// Rows of a physical chunk at most.
const CHUNK_ROWS: usize = 4_096;

/// One tensor of weights, in double precision.
#[derive(Clone, PartialEq, Debug)]
pub struct Parameter {
    /// Its name in the artifact.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub values: Vec<f64>,
}

/// A network.
#[derive(Clone, PartialEq, Debug)]
pub struct Network {
    /// What is learnt, in the order of the layers; adapters last.
    pub parameters: Vec<Parameter>,
    /// What keeps its first values: in no gradient and in no norm, but in the artifact.
    pub frozen: Vec<Parameter>,
    /// What the optimiser remembers.
    pub memory: Memory,
    place: Place,
    body: Arc<Body>,
}

/// What no step changes.
#[derive(PartialEq, Debug)]
struct Body {
    ops: Vec<Op>,
    /// Shape of one row's input.
    input: Vec<i64>,
    loss: Loss,
    kind: Kind,
    rule: Rule,
    chunk_rows: usize,
    share_rows: usize,
}

impl Network {
    /// A network with its initial weights, which depend on public figures alone.
    pub fn new(model: &Model, features: usize, init_seed: u32) -> R<Network> {
        Network::with(model, None, features, init_seed)
    }

    /// The same with a recipe: its loss, optimiser, frozen parameters and adapters.
    ///
    /// # Errors
    /// As `schemas::network::Network::shapes`; `PIPELINE_INVALID` where the recipe names parameters that are not there,
    /// leaves nothing to learn, or its loss does not fit the output, or the features do not fill the input.
    pub fn with(model: &Model, recipe: Option<&Recipe>, features: usize, init_seed: u32) -> R<Network> {
        let built = build::build(model, recipe, features, &Streams::new(&init_seed.to_be_bytes()))?;
        let rule = Rule::new(recipe);
        let chunk = CHUNK_BYTES / built.bytes_per_row.max(1);
        let body = Body {
            ops: built.ops,
            input: built.input,
            loss: built.loss,
            kind: built.kind,
            rule,
            chunk_rows: usize::try_from(chunk).unwrap_or(CHUNK_ROWS).clamp(1, CHUNK_ROWS),
            share_rows: usize::try_from(SHARE_BYTES / built.bytes_per_row.max(1)).unwrap_or(CHUNK_ROWS).max(1),
        };
        let memory = body.rule.memory(&built.learnt);
        Ok(Network {
            parameters: built.learnt,
            frozen: built.frozen,
            memory,
            place: Place::default(),
            body: Arc::new(body),
        })
    }

    /// The same with the tensors of its steps at another place than the machine's memory.
    pub fn on(self, place: Place) -> Network {
        Network { place, ..self }
    }

    /// Puts weights of a safetensors file in place of the initial ones; adapters may be left out, all of them.
    ///
    /// # Errors
    /// `MODEL_WEIGHTS` unless names, shapes and types (single precision) are exactly the network's and all are finite.
    pub fn load(&mut self, safetensors: &[u8]) -> R<()> {
        weights::load(self, safetensors, f64::INFINITY, |_| false)
    }

    /// The same with the weights that a training begins with: those that it calls fresh are not in the file.
    ///
    /// # Errors
    /// As [`Network::load`], and as `schemas::weights::Weights::expect` for another file than the training names;
    /// `MODEL_WEIGHTS` for a weight above 10,000, of either sign.
    pub fn begin_with(&mut self, weights: &schemas::weights::Weights, safetensors: &[u8]) -> R<()> {
        weights.expect(safetensors)?;
        weights::load(self, safetensors, MOST_WEIGHT, |name| weights.is_fresh(name))
    }

    /// How many numbers there are to learn.
    pub fn coordinates(&self) -> usize {
        self.parameters.iter().map(|parameter| parameter.values.len()).sum()
    }

    /// Rounds every weight to single precision: the numbers that the artifact holds.
    pub fn round(&mut self) {
        for value in self.parameters.iter_mut().flat_map(|parameter| &mut parameter.values) {
            *value = f64::from(*value as f32);
        }
    }

    /// Whether steps are reckoned in single precision.
    pub fn single(&self) -> bool {
        self.body.kind == Kind::Float
    }

    /// Cuts the rows of a step into equal physical chunks that fit the memory. Follows from public figures and the
    /// number of rows.
    pub fn chunks<'a>(&self, rows: &'a [i64]) -> std::slice::Chunks<'a, i64> {
        let most = self.place.at_once(self.body.chunk_rows as i64).clamp(1, CHUNK_ROWS as i64) as usize;
        let count = rows.len().div_ceil(most).max(1);
        rows.chunks(rows.len().div_ceil(count).max(1))
    }

    /// Cuts the rows of a step into equal shares for at most so many threads, each worth one. A card works by itself.
    pub fn shares<'a>(&self, rows: &'a [i64], threads: usize) -> std::slice::Chunks<'a, i64> {
        let most = if self.place == Place::default() { threads } else { 1 };
        let count = (rows.len() / self.body.share_rows).clamp(1, most.max(1));
        rows.chunks(rows.len().div_ceil(count).max(1))
    }

    /// Whether so many rows are too little work for a second thread to help with: it would cost more than it takes over.
    pub fn is_for_one_thread(&self, rows: usize) -> bool {
        self.place == Place::default() && self.body.share_rows > 1 && rows / self.body.share_rows < 2
    }

    /// One step of the optimiser with a noised sum of gradients over a public divisor; `step` counts from 1.
    pub fn descend(&mut self, sums: &[Vec<f64>], divisor: f64, learning_rate: f64, step: u32, steps: u32) {
        let body = self.body.clone();
        let pace = Pace { divisor, learning_rate, step, steps };
        body.rule.step(&mut self.parameters, &mut self.memory, sums, pace);
    }

    /// The weights as tensors of this step.
    pub fn leaves(&self) -> R<Leaves> {
        let tensor = |p: &Parameter| p.tensor(self.body.kind, self.place).hush();
        let learnt = self.parameters.iter().map(tensor).collect::<R<Vec<_>>>()?;
        let frozen = self.frozen.iter().map(tensor).collect::<R<Vec<_>>>()?;
        Ok(Leaves { learnt, frozen, place: self.place, body: self.body.clone() })
    }
}

impl Parameter {
    fn tensor(&self, kind: Kind, place: Place) -> T<Tensor> {
        let shape: Vec<i64> = self.shape.iter().map(|n| *n as i64).collect();
        let flat = match kind {
            Kind::Float => place.tensor(&lanes::single(&self.values))?,
            _ => place.tensor(&self.values)?,
        };
        flat.f_reshape(shape)
    }
}

/// The weights of one step: learnt ones first, in the network's order.
pub struct Leaves {
    learnt: Vec<Tensor>,
    frozen: Vec<Tensor>,
    place: Place,
    body: Arc<Body>,
}

impl Leaves {
    /// One logit per row of `x`, in double precision: the output of a network that has one number of it.
    pub fn logits(&self, x: &Tensor) -> R<Tensor> {
        self.output(x)?.f_reshape([-1]).and_then(|t| t.f_to_kind(Kind::Double)).hush()
    }

    /// The network's output for rows of features.
    pub fn output(&self, x: &Tensor) -> R<Tensor> {
        tch::no_grad(|| {
            let mut tape = Tape::new(Mode::Infer);
            engine::run(&self.body.ops, &self.input(x)?, &self.weights(), &mut tape, 0)
        })
        .hush()
    }

    /// What the gradients of the losses of rows are made of.
    pub(crate) fn backward(&self, x: &Tensor, y: &Tensor, mode: Mode) -> T<Vec<engine::Part>> {
        let weights = self.weights();
        let mut tape = Tape::new(mode);
        let output = engine::run(&self.body.ops, &self.input(x)?, &weights, &mut tape, 0)?;
        let losses = loss::per_row(&self.body.loss, &output, &y.f_to_kind(self.body.kind)?)?;
        tape.backward(&losses, &weights)
    }

    /// How many tensors are learnt.
    pub fn count(&self) -> usize {
        self.learnt.len()
    }

    /// Where they lie.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Whether tensors are single precision.
    pub fn single(&self) -> bool {
        self.body.kind == Kind::Float
    }

    fn input(&self, x: &Tensor) -> T<Tensor> {
        let rows = x.size().first().copied().unwrap_or(0);
        let shape: Vec<i64> = std::iter::once(rows).chain(self.body.input.iter().copied()).collect();
        x.f_to_kind(self.body.kind)?.f_reshape(shape)
    }

    fn weights(&self) -> Weights<'_> {
        let learnt = self.learnt.iter().map(|_| true).chain(self.frozen.iter().map(|_| false)).collect();
        Weights { tensors: self.learnt.iter().chain(&self.frozen).collect(), learnt }
    }
}

#[cfg(test)]
mod served;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tuned;
