//! How a model learns beyond the plain case: loss, optimiser, schedule, frozen parameters, adapters. Data, never code.
//!
//! Losses are per sample, so that each sample's gradient is its own. Optimisers and schedules work on the noised mean
//! alone: post-processing, which costs no privacy.

mod fit;
mod loss;

use serde::{Deserialize, Serialize};

use crate::text::Real;

/// Terms of a composed loss, inner ones counted.
pub const MAX_TERMS: usize = 8;
/// Prefixes of frozen parameters, targets of adapters.
pub const MAX_PREFIXES: usize = 256;
/// Rank of an adapter.
pub const MAX_RANK: u32 = 256;

/// The loss of one sample, from the network's output and the sample's label.
///
/// Where a label has one number per output (all but the two of classes), the loss is the mean over the outputs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Loss {
    /// −y ln σ(z) − (1 − y) ln(1 − σ(z)) of every output z, a logit.
    BinaryCrossEntropy {},
    /// −ln softmax(z) at the label's class; the output is a vector of `classes` logits.
    CrossEntropy {
        /// Classes.
        classes: u32,
    },
    /// α (1 − p)^γ (−ln p), p the softmax at the label's class (Lin et al. 2017).
    Focal {
        /// Classes.
        classes: u32,
        /// α, above 0.
        alpha: Real,
        /// γ, 0 or from 1 to 10: between, the derivative has a pole at p = 1.
        gamma: Real,
    },
    /// (z − y)².
    MeanSquaredError {},
    /// |z − y|.
    MeanAbsoluteError {},
    /// (z − y)² / 2 within δ of the label, δ (|z − y| − δ / 2) beyond.
    Huber {
        /// δ, above 0.
        delta: Real,
    },
    /// 1 − (2 Σ p y + s) / (Σ p + Σ y + s) with s = 10^-5, over all outputs of one sample (a mask).
    Dice {
        /// Whether p = σ(z); else p = z, for a network that ends in a sigmoid.
        sigmoid: bool,
        /// Whether the denominator adds squares, p² and y².
        squared: bool,
    },
    /// The weighted sum of others on the same output and label.
    Sum {
        /// Its terms.
        terms: Vec<Term>,
    },
}

/// One term of a composed loss.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// The factor, above 0.
    pub weight: Real,
    /// The loss.
    pub loss: Loss,
}

/// What is done with the noised mean gradient; the rate is the training's learning rate under its schedule.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Optimizer {
    /// v ← momentum · v + g + decay · w; w ← w − rate · v.
    Sgd {
        /// Momentum, from 0 to below 1.
        momentum: Real,
        /// L2 penalty.
        weight_decay: Real,
    },
    /// Adam (Kingma, Ba 2015); decay is added to the gradient.
    Adam {
        /// Decay of the first moment, from 0 to below 1.
        beta1: Real,
        /// Decay of the second moment, from 0 to below 1.
        beta2: Real,
        /// Added to the root of the second moment, above 0.
        epsilon: Real,
        /// L2 penalty.
        weight_decay: Real,
    },
    /// AdamW (Loshchilov, Hutter 2019); decay acts on the weights.
    #[serde(rename = "adamw")]
    AdamW {
        /// Decay of the first moment, from 0 to below 1.
        beta1: Real,
        /// Decay of the second moment, from 0 to below 1.
        beta2: Real,
        /// Added to the root of the second moment, above 0.
        epsilon: Real,
        /// Decay of the weights, times the rate.
        weight_decay: Real,
    },
}

/// The learning rate of each step as a factor of the training's, from the step's number alone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// Always 1.
    Constant {},
    /// factor^⌊steps done / every⌋.
    Step {
        /// Steps between two falls.
        every: u32,
        /// The factor, above 0 and at most 1.
        factor: Real,
    },
    /// From 1 to `floor` along half a cosine over all steps.
    Cosine {
        /// The last factor, from 0 to 1.
        floor: Real,
    },
    /// Up from 1 to `peak` in `up` steps and down again in as many, again and again.
    Cyclic {
        /// Steps of one flank.
        up: u32,
        /// The largest factor, at least 1.
        peak: Real,
    },
    /// From 1/steps to 1 in so many steps, then another schedule over the rest.
    Warmup {
        /// Steps of the rise.
        steps: u32,
        /// What follows; no further warm-up.
        then: Box<Schedule>,
    },
}

/// Low-rank adapters (Hu et al. 2021): W x + (alpha / rank) · B A x, with W frozen and A, B learnt.
///
/// With adapters every parameter of the network is frozen but those that `trained` names. A and B of the layer `4.qkv`
/// are the parameters `4.qkv.lora_a` [rank, inputs], from the initial seed, and `4.qkv.lora_b` [outputs, rank], zero.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Adapters {
    /// Rank of the product, 1 to 256.
    pub rank: u32,
    /// Scale, divided by the rank.
    pub alpha: Real,
    /// Paths of linear layers, of `qkv` and of `proj`, each named whole: `0`, `4.qkv`, `3.body.1`.
    pub targets: Vec<String>,
    /// Prefixes of parameters that are learnt whole besides, such as `6.` for the last layer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trained: Vec<String>,
}

/// What a training says beyond the plain case: binary cross-entropy, plain SGD, a constant rate, all parameters learnt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The loss.
    pub loss: Loss,
    /// The optimiser.
    pub optimizer: Optimizer,
    /// The schedule.
    pub schedule: Schedule,
    /// Prefixes of the names of parameters that keep their initial weights: they are in no gradient and in no norm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frozen: Vec<String>,
    /// Low-rank adapters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapters: Option<Adapters>,
}

impl Loss {
    /// The number of classes if the label is one class's number, in the order of the public list; `None` if the label
    /// has one number for each output.
    pub fn classes(&self) -> Option<u32> {
        match self {
            Loss::CrossEntropy { classes } | Loss::Focal { classes, .. } => Some(*classes),
            Loss::Sum { terms } => terms.iter().find_map(|term| term.loss.classes()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
