//! The names of operations, as a network writes them.

use super::Layer;

impl Layer {
    /// The operation's name, as a network writes it.
    pub fn op(&self) -> &'static str {
        match self {
            Layer::Linear { .. } => "linear",
            Layer::Conv2d { .. } => "conv2d",
            Layer::GroupNorm { .. } => "group_norm",
            Layer::LayerNorm { .. } => "layer_norm",
            Layer::Embedding { .. } => "embedding",
            Layer::Positions { .. } => "positions",
            Layer::Attention { .. } => "attention",
            Layer::Lstm { .. } => "lstm",
            Layer::Relu {} => "relu",
            Layer::LeakyRelu { .. } => "leaky_relu",
            Layer::Tanh {} => "tanh",
            Layer::Gelu {} => "gelu",
            Layer::Sigmoid {} => "sigmoid",
            Layer::Silu {} => "silu",
            Layer::Flatten {} => "flatten",
            Layer::GlobalAveragePool {} => "global_average_pool",
            Layer::MeanTokens {} => "mean_tokens",
            Layer::LastToken {} => "last_token",
            Layer::MaxPool { .. } => "max_pool",
            Layer::AvgPool { .. } => "avg_pool",
            Layer::Upsample { .. } => "upsample",
            Layer::Residual { .. } => "residual",
            Layer::Skip { .. } => "skip",
        }
    }
}
