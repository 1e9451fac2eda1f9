//! From a description to operations and first weights.
//!
//! First weights are uniform within ±1/√(numbers that one output reads), from a stream of the public seed by the
//! parameter's name; norms begin at 1 and 0, tables within ±1/√width, logistic regression at 0, adapters' B at 0.

use std::collections::BTreeMap;

use chacha20::rand_core::Rng;
use schemas::R;
use schemas::network::shape::{Shape, Shapes};
use schemas::network::{Input, Layer, Network as Description};
use schemas::pipeline::Model;
use schemas::recipe::{Adapters, Loss, Recipe};
use tch::Kind;

use super::Parameter;
use crate::engine::{Conv, Linear, Lstm, Op};
use crate::fault::{internal, pipeline};
use crate::noise::Streams;

/// What a description comes to.
pub struct Built {
    /// Operations; places count the learnt parameters first, then the frozen ones.
    pub ops: Vec<Op>,
    /// Shape of one row's input.
    pub input: Vec<i64>,
    /// The loss.
    pub loss: Loss,
    /// Precision of the tensors.
    pub kind: Kind,
    /// Learnt parameters.
    pub learnt: Vec<Parameter>,
    /// Frozen parameters.
    pub frozen: Vec<Parameter>,
    /// Memory of one row in a step.
    pub bytes_per_row: u64,
}

/// Builds a model for rows of so many features.
pub fn build(model: &Model, recipe: Option<&Recipe>, features: usize, streams: &Streams) -> R<Built> {
    let (description, kind) = match model {
        Model::LogisticRegression => (fully_connected(features, &[])?, Kind::Double),
        Model::Mlp { hidden } => (fully_connected(features, hidden)?, Kind::Double),
        Model::Network { network } => (network.clone(), Kind::Float),
        Model::Trees { .. } => return Err(pipeline("trees are no network")),
    };
    let shapes = description.shapes()?;
    if shapes.input.numbers() != features as u128 {
        return Err(pipeline("the features do not fill the network's input"));
    }
    let loss = recipe.map_or(Loss::BinaryCrossEntropy {}, |recipe| recipe.loss.clone());
    fits(&loss, shapes.output)?;
    let frozen = frozen(&shapes, recipe)?;
    let adapters = recipe.and_then(|recipe| recipe.adapters.as_ref());
    let mut parameters = Vec::new();
    for parameter in &shapes.parameters {
        let values = match model {
            Model::LogisticRegression => vec![0.0; parameter.shape.iter().product()],
            _ => first(&shapes, &parameter.name, &parameter.shape, streams)?,
        };
        parameters.push(Parameter { name: parameter.name.clone(), shape: parameter.shape.clone(), values });
    }
    let mut adapter_places = Vec::new();
    if let Some(adapters) = adapters {
        for target in &adapters.targets {
            parameters.extend(adapter(target, adapters, &shapes, streams)?);
            adapter_places.push(target.clone());
        }
    }
    let (frozen, learnt): (Vec<_>, Vec<_>) = parameters.into_iter().partition(|p| frozen.contains(&p.name));
    if learnt.is_empty() {
        return Err(pipeline("the recipe leaves nothing to learn"));
    }
    let places = learnt.iter().chain(&frozen).enumerate().map(|(place, p)| (p.name.clone(), place)).collect();
    let scale = adapters.map_or(0.0, |adapters| adapters.alpha.value() / f64::from(adapters.rank.max(1)));
    let ops = Builder { places, scale }.layers(&description.layers, "")?;
    let width = if kind == Kind::Double { 2 } else { 1 };
    let bytes_per_row = shapes.bytes_per_sample().saturating_mul(width);
    Ok(Built { ops, input: input(&description.input), loss, kind, learnt, frozen, bytes_per_row })
}

/// Linear layers with tanh between them and one output.
fn fully_connected(features: usize, hidden: &[u32]) -> R<Description> {
    let features = u32::try_from(features).map_err(|_| pipeline("there are too many features"))?;
    let mut inputs = features;
    let mut layers = Vec::new();
    for width in hidden {
        layers.extend([Layer::Linear { inputs, outputs: *width, bias: true }, Layer::Tanh {}]);
        inputs = *width;
    }
    layers.push(Layer::Linear { inputs, outputs: 1, bias: true });
    Ok(Description { input: Input::Vector { features }, layers })
}

fn input(input: &Input) -> Vec<i64> {
    match *input {
        Input::Vector { features } => vec![features.into()],
        Input::Image { channels, height, width } => vec![channels.into(), height.into(), width.into()],
        Input::Tokens { length, .. } => vec![length.into()],
        Input::Sequence { length, width } => vec![length.into(), width.into()],
    }
}

/// Classes need a vector of as many logits; an unused output would never learn.
fn fits(loss: &Loss, output: Shape) -> R<()> {
    if let Loss::Sum { terms } = loss {
        if terms.is_empty() {
            return Err(pipeline("a sum of losses has terms"));
        }
        return terms.iter().try_for_each(|term| fits(&term.loss, output));
    }
    match (loss.classes(), output) {
        (None, _) => Ok(()),
        (Some(classes), Shape::Vector { features }) if classes >= 2 && classes == features => Ok(()),
        _ => Err(pipeline("the network's output is no vector with one number for each class")),
    }
}

/// Names of the parameters that keep their first values.
fn frozen(shapes: &Shapes, recipe: Option<&Recipe>) -> R<Vec<String>> {
    let Some(recipe) = recipe else { return Ok(Vec::new()) };
    let known = |prefix: &String| shapes.parameters.iter().any(|p| p.name.starts_with(prefix));
    let trained = recipe.adapters.as_ref().map(|adapters| &adapters.trained);
    if !recipe.frozen.iter().chain(trained.into_iter().flatten()).all(known) {
        return Err(pipeline("the recipe names parameters that the network does not have"));
    }
    Ok(shapes.parameters.iter().map(|p| p.name.clone()).filter(|name| recipe.keeps(name)).collect())
}

/// A and B of one target.
fn adapter(target: &str, adapters: &Adapters, shapes: &Shapes, streams: &Streams) -> R<[Parameter; 2]> {
    let weight = shapes.parameters.iter().find(|p| p.name == format!("{target}.weight"));
    let path = target.strip_suffix(".qkv").or(target.strip_suffix(".proj")).unwrap_or(target);
    let linear = shapes.layers.iter().any(|row| row.path == path && ["linear", "attention"].contains(&row.op));
    let Some(([outputs, inputs], true)) = weight.and_then(|p| p.shape.as_chunks().0.first()).map(|s| (*s, linear))
    else {
        return Err(pipeline("an adapter's target is no linear layer"));
    };
    let rank = adapters.rank as usize;
    let name = format!("{target}.lora_a");
    let values = uniform(rank * inputs, 1.0 / (inputs as f64).sqrt(), streams, &name)?;
    let b = vec![0.0; outputs * rank];
    Ok([
        Parameter { name, shape: vec![rank, inputs], values },
        Parameter { name: format!("{target}.lora_b"), shape: vec![outputs, rank], values: b },
    ])
}

/// The first values of a parameter.
fn first(shapes: &Shapes, name: &str, shape: &[usize], streams: &Streams) -> R<Vec<f64>> {
    let count = shape.iter().product();
    let holds = |path: &str| name.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    let row = shapes.layers.iter().filter(|row| holds(&row.path)).max_by_key(|row| row.path.len());
    let op = row.map_or("", |row| row.op);
    if op.ends_with("_norm") {
        return Ok(vec![if name.ends_with("weight") { 1.0 } else { 0.0 }; count]);
    }
    // A bias reads what its weight reads.
    let weight = format!("{}weight", name.strip_suffix("bias").or(name.strip_suffix("weight")).unwrap_or(name));
    let of = shapes.parameters.iter().find(|p| p.name == weight).map_or(shape, |p| &p.shape);
    let reads: usize = match op {
        "lstm" => of.first().map_or(1, |gates| gates / 4),
        _ => of.get(1..).unwrap_or_default().iter().product(),
    };
    uniform(count, 1.0 / (reads.max(1) as f64).sqrt(), streams, name)
}

fn uniform(count: usize, bound: f64, streams: &Streams, name: &str) -> R<Vec<f64>> {
    let mut stream = streams.init(name)?;
    let unit = 2f64.powi(-53);
    Ok((0..count).map(|_| bound * (2.0 * ((stream.next_u64() >> 11) as f64 * unit) - 1.0)).collect())
}

struct Builder {
    places: BTreeMap<String, usize>,
    /// The factor of adapters.
    scale: f64,
}

impl Builder {
    fn layers(&self, layers: &[Layer], above: &str) -> R<Vec<Op>> {
        layers.iter().enumerate().map(|(at, layer)| self.layer(layer, &format!("{above}{at}"))).collect()
    }

    fn place(&self, path: &str, part: &str) -> R<usize> {
        self.places.get(&format!("{path}.{part}")).copied().ok_or_else(|| internal("a parameter has no place"))
    }

    fn linear(&self, path: &str, bias: bool) -> R<Linear> {
        let adapter = match (self.place(path, "lora_a"), self.place(path, "lora_b")) {
            (Ok(a), Ok(b)) => Some((a, b, self.scale)),
            _ => None,
        };
        let bias = bias.then(|| self.place(path, "bias")).transpose()?;
        Ok(Linear { weight: self.place(path, "weight")?, bias, adapter })
    }

    fn layer(&self, layer: &Layer, path: &str) -> R<Op> {
        let place = |part: &str| self.place(path, part);
        Ok(match layer {
            Layer::Linear { bias, .. } => Op::Linear(self.linear(path, *bias)?),
            Layer::Conv2d { kernel, stride, padding, bias, .. } => Op::Conv(Conv {
                weight: place("weight")?,
                bias: bias.then(|| place("bias")).transpose()?,
                kernel: (*kernel).into(),
                stride: (*stride).into(),
                padding: (*padding).into(),
            }),
            Layer::GroupNorm { groups, .. } => Op::GroupNorm(place("weight")?, place("bias")?, (*groups).into()),
            Layer::LayerNorm { .. } => Op::LayerNorm(place("weight")?, place("bias")?),
            Layer::Embedding { .. } => Op::Embedding(place("weight")?),
            Layer::Positions { .. } => Op::Positions(place("weight")?),
            Layer::Attention { heads, causal, .. } => {
                let qkv = self.linear(&format!("{path}.qkv"), true)?;
                Op::Attention(qkv, self.linear(&format!("{path}.proj"), true)?, (*heads).into(), *causal)
            }
            Layer::Lstm { hidden, .. } => Op::Lstm(Lstm {
                ih: (place("ih.weight")?, place("ih.bias")?),
                hh: (place("hh.weight")?, place("hh.bias")?),
                hidden: (*hidden).into(),
            }),
            Layer::Relu {} => Op::Relu,
            Layer::LeakyRelu { slope } => Op::LeakyRelu(slope.value()),
            Layer::Tanh {} => Op::Tanh,
            Layer::Gelu {} => Op::Gelu,
            Layer::Sigmoid {} => Op::Sigmoid,
            Layer::Silu {} => Op::Silu,
            Layer::Flatten {} => Op::Flatten,
            Layer::GlobalAveragePool {} => Op::GlobalAveragePool,
            Layer::MeanTokens {} => Op::MeanTokens,
            Layer::LastToken {} => Op::LastToken,
            Layer::MaxPool { kernel, stride } => Op::MaxPool((*kernel).into(), (*stride).into()),
            Layer::AvgPool { kernel, stride } => Op::AvgPool((*kernel).into(), (*stride).into()),
            Layer::Upsample { factor, mode } => Op::Upsample((*factor).into(), *mode),
            Layer::Residual { body, shortcut } => Op::Residual(
                self.layers(body, &format!("{path}.body."))?,
                self.layers(shortcut, &format!("{path}.shortcut."))?,
            ),
            Layer::Skip { body, input_first } => Op::Skip(self.layers(body, &format!("{path}.body."))?, *input_first),
        })
    }
}
