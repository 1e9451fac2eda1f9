//! What a network comes to: the shape after every layer, its parameters by name, what one sample leaves behind.
//!
//! Pure and bounded: sizes are judged before anything is multiplied, sums are checked, bodies are walked no deeper than
//! [`MAX_DEPTH`]. Policies ask this before a charge, the trainer before it makes a tensor, `depa model check` for people.
//! A refusal names the layer by its path, as parameters are named (`3.body.0`).

use serde::Serialize;

use super::walk::{Walk, refuse};
use super::{Input, MAX_LENGTH, MAX_VOCABULARY, MAX_WIDTH, Network};
use crate::problem::{Code, R};

/// What one sample is between two layers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Shape {
    /// So many numbers.
    Vector {
        /// How many.
        features: u32,
    },
    /// Channels × height × width numbers.
    Image {
        /// Channels.
        channels: u32,
        /// Rows of pixels.
        height: u32,
        /// Pixels of a row.
        width: u32,
    },
    /// Tokens, which only an embedding reads.
    Tokens {
        /// How many of them.
        length: u32,
        /// How many different ones there are.
        vocabulary: u32,
    },
    /// Length × width numbers.
    Sequence {
        /// Positions.
        length: u32,
        /// Numbers of each position.
        width: u32,
    },
}

impl Shape {
    /// How many numbers (or tokens) that is. Never overflows: three sizes of at most 2³² fit 128 bits.
    pub fn numbers(self) -> u128 {
        match self {
            Shape::Vector { features } => features.into(),
            Shape::Image { channels, height, width } => u128::from(channels) * u128::from(height) * u128::from(width),
            Shape::Tokens { length, .. } => length.into(),
            Shape::Sequence { length, width } => u128::from(length) * u128::from(width),
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Shape::Vector { features } => write!(f, "vector {features}"),
            Shape::Image { channels, height, width } => write!(f, "image {channels}×{height}×{width}"),
            Shape::Tokens { length, vocabulary } => write!(f, "{length} tokens of {vocabulary}"),
            Shape::Sequence { length, width } => write!(f, "sequence {length}×{width}"),
        }
    }
}

/// A tensor to learn.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Parameter {
    /// The path of its layer and its part, `3.body.0.weight`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

impl Parameter {
    /// How many numbers it has.
    pub fn numbers(&self) -> u64 {
        self.shape.iter().fold(1u64, |product, n| product.saturating_mul(*n as u64))
    }
}

/// One layer with what comes out of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Row {
    /// Its path, `3.body.0`.
    pub path: String,
    /// Its operation, as a network writes it.
    pub op: &'static str,
    /// The shape of its output.
    pub output: Shape,
    /// Numbers to learn of its own, those of its bodies not counted.
    pub parameters: u64,
}

/// A network that holds together.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Shapes {
    /// What goes in.
    pub input: Shape,
    /// What the loss reads.
    pub output: Shape,
    /// Parameters in the order of the layers; of a residual, those of the body come first.
    pub parameters: Vec<Parameter>,
    /// Numbers to learn.
    pub parameter_count: u64,
    /// Numbers that one sample leaves behind in a forward pass.
    pub activations: u64,
    /// Every layer, bodies before the layer that holds them.
    pub layers: Vec<Row>,
}

impl Shapes {
    /// Bytes that one sample takes in a training step: what the forward pass leaves behind and the gradients of it, in
    /// single precision. Per-sample gradients that are kept come on top, within the trainer's own budget.
    pub fn bytes_per_sample(&self) -> u64 {
        self.activations.saturating_mul(8)
    }
}

impl Network {
    /// What this network comes to.
    ///
    /// # Errors
    /// `MODEL_SHAPE` where a layer does not fit what comes to it, `LIMIT_EXCEEDED` beyond a bound of this module; both
    /// name the layer.
    pub fn shapes(&self) -> R<Shapes> {
        let input = input(&self.input)?;
        if self.layers.is_empty() {
            return Err(refuse(Code::ModelShape, "layers", "a network has at least one layer"));
        }
        let mut walk = Walk::new(input)?;
        let output = walk.layers(&self.layers, input, "", 1)?;
        if let Shape::Tokens { .. } = output {
            return Err(refuse(Code::ModelShape, "layers", "tokens need an embedding"));
        }
        Ok(walk.end(input, output))
    }
}

fn input(input: &Input) -> R<Shape> {
    let within = |sizes: &[(u32, u32)]| {
        let fits = sizes.iter().all(|(size, most)| (1..=*most).contains(size));
        let bounds = format!(
            "an input has sizes from 1 to {MAX_WIDTH}, at most {MAX_LENGTH} positions and {MAX_VOCABULARY} tokens"
        );
        if fits { Ok(()) } else { Err(refuse(Code::LimitExceeded, "input", bounds)) }
    };
    match *input {
        Input::Vector { features } => {
            within(&[(features, MAX_WIDTH)])?;
            Ok(Shape::Vector { features })
        }
        Input::Image { channels, height, width } => {
            within(&[(channels, MAX_WIDTH), (height, MAX_WIDTH), (width, MAX_WIDTH)])?;
            Ok(Shape::Image { channels, height, width })
        }
        Input::Tokens { length, vocabulary } => {
            within(&[(length, MAX_LENGTH), (vocabulary, MAX_VOCABULARY)])?;
            Ok(Shape::Tokens { length, vocabulary })
        }
        Input::Sequence { length, width } => {
            within(&[(length, MAX_LENGTH), (width, MAX_WIDTH)])?;
            Ok(Shape::Sequence { length, width })
        }
    }
}

#[cfg(test)]
mod tests;
