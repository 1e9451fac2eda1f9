//! Networks as data: linear layers with tanh between them and one output, the logit of the positive class.
//!
//! Parameters are named by their place as in a sequence of modules (`0.weight`, `0.bias`, `2.weight`, …; the tanh have
//! the odd numbers), weights have shape [outputs, inputs]. No layer mixes rows: [`crate::per_sample`] builds on that.

mod logistic;
mod mlp;

use schemas::R;
use schemas::pipeline::Model;
use tch::Tensor;

use crate::fault::{Hush, internal};
use crate::noise::Streams;

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

/// A network: for every layer its weight and then its bias.
#[derive(Clone, PartialEq, Debug)]
pub struct Network {
    /// Parameters in the order of the layers.
    pub parameters: Vec<Parameter>,
}

impl Network {
    /// A network with its initial weights, which depend on public figures alone.
    pub fn new(model: &Model, features: usize, init_seed: u32) -> R<Network> {
        let parameters = match model {
            Model::LogisticRegression => logistic::parameters(features),
            Model::Mlp { hidden } => mlp::parameters(features, hidden, &Streams::new(&init_seed.to_be_bytes()))?,
            Model::Trees { .. } => return Err(internal("trees are no network")),
            Model::Network { .. } => return Err(internal("networks are not trained yet")),
        };
        Ok(Network { parameters })
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

    /// The weights as tensors of this step.
    pub fn leaves(&self) -> R<Leaves> {
        let (pairs, rest) = self.parameters.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(internal("every layer has a weight and a bias"));
        }
        Ok(Leaves(pairs.iter().map(|[weight, bias]| Ok((weight.tensor()?, bias.tensor()?))).collect::<R<_>>()?))
    }
}

impl Parameter {
    fn tensor(&self) -> R<Tensor> {
        let shape: Vec<i64> = self.shape.iter().map(|n| *n as i64).collect();
        Tensor::f_from_slice(&self.values).and_then(|t| t.f_reshape(shape)).hush()
    }
}

/// The weights of one step.
pub struct Leaves(pub Vec<(Tensor, Tensor)>);

/// What a forward pass leaves behind for the book-keeping of gradients.
pub struct Tape {
    /// Per layer its input and its pre-activation.
    pub layers: Vec<(Tensor, Tensor)>,
    /// One logit per row.
    pub logits: Tensor,
}

impl Leaves {
    /// One logit per row of `x`.
    pub fn logits(&self, x: &Tensor) -> R<Tensor> {
        tch::no_grad(|| Ok(self.tape(x)?.logits))
    }

    /// The forward pass with its tape. Weights take no gradient; pre-activations do.
    pub fn tape(&self, x: &Tensor) -> R<Tape> {
        let mut layers: Vec<(Tensor, Tensor)> = Vec::with_capacity(self.0.len());
        for (weight, bias) in &self.0 {
            let input = match layers.last() {
                None => x.shallow_clone(),
                Some((_, before)) => before.f_tanh().hush()?,
            };
            let mut output = input.f_linear(weight, Some(bias)).hush()?;
            if layers.is_empty() {
                output = output.f_set_requires_grad(true).hush()?;
            }
            layers.push((input.f_detach().hush()?, output));
        }
        let last = layers.last().ok_or_else(|| internal("a network has layers"))?;
        let logits = last.1.f_reshape([-1]).hush()?;
        Ok(Tape { layers, logits })
    }
}
