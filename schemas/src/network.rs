//! A neural network as data: an input, then layers, each with all of its sizes written out. Never code.
//!
//! **Samples never meet.** Every layer of [`Layer`] works on one sample alone, so a sample's gradient is its own and can
//! be clipped. What mixes the samples of a batch has no variant here; [`refused`] names such operations and what to
//! take in their place. Labels and losses stand in [`crate::recipe`], shapes and bounds in `Network::shapes`.
//!
//! **Names.** A parameter's name is the path of its layer and its part, counted from 0: `3.weight`; inside a residual
//! `3.body.0.weight` and `3.shortcut.1.bias`; inside a skip `2.body.4.weight`; attention has `4.qkv.weight`,
//! `4.qkv.bias`, `4.proj.weight`, `4.proj.bias`; an LSTM `2.ih.weight`, `2.ih.bias`, `2.hh.weight`, `2.hh.bias` (gates
//! in the order i, f, g, o). Weights of linear layers have the shape [outputs, inputs], of convolutions [channels out,
//! channels in, kernel, kernel], of embeddings [count, width].

mod op;
pub mod shape;
mod walk;

use serde::{Deserialize, Serialize};

use crate::text::Real;

/// Numbers to learn in one network, frozen ones included.
pub const MAX_PARAMETERS: u64 = 50_000_000;
/// Layers inside layers: a body counts one deeper than the layer that holds it.
pub const MAX_DEPTH: u32 = 16;
/// Layers of a network, those of all bodies counted.
pub const MAX_LAYERS: u32 = 1_024;
/// Positions of a sequence.
pub const MAX_LENGTH: u32 = 4_096;
/// Entries of an embedding, and tokens of an input.
pub const MAX_VOCABULARY: u32 = 262_144;
/// Any other size: channels, features, width, side of an image.
pub const MAX_WIDTH: u32 = 65_536;
/// Numbers that one sample leaves behind in a forward pass, all layers together.
pub const MAX_ACTIVATIONS: u64 = 64_000_000;

/// What one sample looks like to the first layer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Input {
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
    /// Whole numbers from 0 to below `vocabulary`. A cell is clamped to the bounds of its feature, which lie there, and rounded;
    /// a missing one is the lower bound.
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

/// How an image is enlarged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Upsampling {
    /// Every pixel is repeated.
    Nearest,
    /// Between the pixels' centres (`align_corners` false).
    Bilinear,
}

/// One operation. Sequences are [length, width], images [channels, height, width], each sample for itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Layer {
    /// W x + b on a vector, or on every position of a sequence.
    Linear {
        /// Numbers in.
        inputs: u32,
        /// Numbers out.
        outputs: u32,
        /// Whether b is there.
        bias: bool,
    },
    /// Cross-correlation of an image with square kernels; no groups, no dilation, zeros around.
    #[serde(rename = "conv2d")]
    Conv2d {
        /// Channels in.
        channels_in: u32,
        /// Channels out.
        channels_out: u32,
        /// Side of the kernel.
        kernel: u32,
        /// Step between positions.
        stride: u32,
        /// Rows and columns of zeros put around the image.
        padding: u32,
        /// Whether each channel out has a constant added.
        bias: bool,
    },
    /// Normalises groups of an image's channels within one sample (ε 10^-5), then scales and shifts each channel.
    GroupNorm {
        /// Groups; a divisor of `channels`.
        groups: u32,
        /// Channels.
        channels: u32,
    },
    /// Normalises a vector, or every position of a sequence (ε 10^-5), then scales and shifts each number.
    LayerNorm {
        /// Numbers normalised together.
        width: u32,
    },
    /// Tokens to a sequence of learnt vectors.
    Embedding {
        /// Different tokens.
        count: u32,
        /// Width of a vector.
        width: u32,
    },
    /// Adds a learnt vector to each position of a sequence: parameter `weight` of shape [length, width].
    Positions {
        /// Positions.
        length: u32,
        /// Width of a vector.
        width: u32,
    },
    /// Self-attention of a sequence with its projections (qkv with bias, proj with bias); no residual, no norm.
    Attention {
        /// Width of the sequence.
        width: u32,
        /// Heads; a divisor of `width`.
        heads: u32,
        /// Whether a position sees only itself and those before it.
        causal: bool,
    },
    /// One LSTM layer over a sequence from zero states; gives all hidden states, a sequence of width `hidden`.
    Lstm {
        /// Width of the sequence.
        inputs: u32,
        /// Width of the state.
        hidden: u32,
    },
    /// max(0, x).
    Relu {},
    /// x above zero, slope · x below.
    LeakyRelu {
        /// The slope, from 0 to 1.
        slope: Real,
    },
    /// Hyperbolic tangent.
    Tanh {},
    /// x Φ(x), exactly.
    Gelu {},
    /// 1 / (1 + e^-x).
    Sigmoid {},
    /// x / (1 + e^-x).
    Silu {},
    /// Any sample as a vector, row-major.
    Flatten {},
    /// The mean over all pixels of every channel, as a vector.
    GlobalAveragePool {},
    /// The mean over the positions of a sequence, as a vector.
    MeanTokens {},
    /// The last position of a sequence, as a vector.
    LastToken {},
    /// The largest number of every window; no padding.
    MaxPool {
        /// Side of the window.
        kernel: u32,
        /// Step between windows.
        stride: u32,
    },
    /// The mean of every window; no padding.
    AvgPool {
        /// Side of the window.
        kernel: u32,
        /// Step between windows.
        stride: u32,
    },
    /// An image enlarged by a whole factor.
    Upsample {
        /// The factor.
        factor: u32,
        /// How.
        mode: Upsampling,
    },
    /// The output of `body` plus that of `shortcut`; an empty shortcut is the input itself. Shapes must be equal.
    Residual {
        /// The one path.
        body: Vec<Layer>,
        /// The other path.
        shortcut: Vec<Layer>,
    },
    /// The input and the output of `body` one after the other along the channels of an image: the arms of a UNet.
    Skip {
        /// The path.
        body: Vec<Layer>,
        /// Whether the input's channels come first, or those of the body.
        input_first: bool,
    },
}

/// A network: its input, then its layers in order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// What a sample is.
    pub input: Input,
    /// The layers; the last one's output is what the loss reads.
    pub layers: Vec<Layer>,
}

/// What to take in place of an operation that no network here may have, by its name in any of the usual spellings
/// (`BatchNorm2d`, `nn.Dropout`, `conv_transpose2d`, `BatchNormalization`); `None` for names that are not known as such.
pub fn refused(operation: &str) -> Option<&'static str> {
    let name: String = operation.rsplit('.').next().unwrap_or(operation).chars().filter(|c| *c != '_').collect();
    let name = name.to_ascii_lowercase();
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if starts(&["batchnorm", "lazybatchnorm", "syncbatchnorm"]) {
        Some("it mixes the samples of a batch: use group_norm (images) or layer_norm (vectors, sequences)")
    } else if starts(&["instancenorm"]) {
        Some("use group_norm with one group for every channel")
    } else if starts(&["dropout", "alphadropout", "featurealphadropout", "droppath", "stochasticdepth"]) {
        Some("the noise of private training regularises already: leave it out")
    } else if starts(&["convtranspose"]) {
        Some("use upsample and then conv2d")
    } else if starts(&["crossmapnorm", "localresponsenorm", "lrn"]) {
        Some("use group_norm")
    } else if starts(&["spectralnorm", "weightnorm"]) {
        Some("a weight that is computed from others has no per-sample gradient here: use the plain layer")
    } else if starts(&["gru", "rnn"]) {
        Some("use lstm")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mixes_samples_cannot_be_written_and_its_replacement_is_named() {
        let network = |op: &str| format!(r#"{{"input":{{"kind":"vector","features":2}},"layers":[{{"op":"{op}"}}]}}"#);
        assert!(serde_json::from_str::<Network>(&network("relu")).is_ok());
        for op in ["batch_norm", "dropout", "conv_transpose2d", "instance_norm", "gru", "eval"] {
            assert!(serde_json::from_str::<Network>(&network(op)).is_err(), "{op}");
        }
        for name in ["batch_norm", "nn.BatchNorm2d", "BatchNormalization", "torch.nn.SyncBatchNorm"] {
            assert!(refused(name).is_some_and(|sentence| sentence.contains("group_norm")), "{name}");
        }
        for name in ["nn.Dropout", "F.dropout2d", "nn.ConvTranspose2d", "nn.GRU"] {
            assert!(refused(name).is_some(), "{name}");
        }
        assert!(["nn.Linear", "group_norm", "relu"].iter().all(|name| refused(name).is_none()));
    }

    #[test]
    fn unknown_members_are_refused_at_every_depth() {
        let text = r#"{"input":{"kind":"vector","features":2},"layers":[{"op":"residual","shortcut":[],"body":
            [{"op":"linear","inputs":2,"outputs":2,"bias":true}]}]}"#;
        let network: Network = serde_json::from_str(text).unwrap();
        assert_eq!(network, serde_json::from_value(serde_json::to_value(&network).unwrap()).unwrap());
        for (old, new) in [(r#""bias":true"#, r#""bias":true,"x":1"#), (r#""shortcut":[]"#, r#""shortcut":[],"x":1"#)] {
            assert!(serde_json::from_str::<Network>(&text.replace(old, new)).is_err(), "{new}");
        }
        let deep = "{\"op\":\"residual\",\"shortcut\":[],\"body\":[".repeat(5_000) + &"]}".repeat(5_000);
        let text = format!(r#"{{"input":{{"kind":"vector","features":2}},"layers":[{deep}]}}"#);
        assert!(serde_json::from_str::<Network>(&text).is_err(), "nesting ends the reading, not the stack");
    }
}
