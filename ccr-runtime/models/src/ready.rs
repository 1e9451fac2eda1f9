//! Ready-made networks: what the reference's scenarios and the usual benches take, written out as layers.

use schemas::network::{Input, Layer, Network, Upsampling};
use schemas::{Code, R, Refusal};

/// Names of the ready-made networks, each with what it is.
pub const NAMES: [(&str, &str); 8] = [
    ("mlp", "28 numbers, two hidden layers of 256, two classes"),
    ("covid", "the graph of the COVID scenario: 9 numbers, 128, 64, one logit"),
    ("cnn", "28×28 grey pictures to ten classes, 26,010 parameters"),
    ("cifar-cnn", "32×32 pictures in colour to ten classes, three pairs of convolutions with tanh"),
    ("resnet20", "32×32 pictures in colour to ten classes, ResNet-20 with GroupNorm"),
    ("unet", "64×64 grey pictures to one logit per pixel, GroupNorm, three levels"),
    ("lstm", "32 tokens of 2,000 to two classes, embedding 64, state 128"),
    ("transformer", "64 tokens of 5,000 to two classes, two blocks of width 128, four heads"),
];

/// The network of this name.
///
/// # Errors
/// `NOT_FOUND`, naming those that are there.
pub fn named(name: &str) -> R<Network> {
    match name {
        "mlp" => Ok(mlp(28, &[256, 256], 2)),
        "covid" => Ok(covid()),
        "cnn" => Ok(cnn()),
        "cifar-cnn" => Ok(cifar_cnn()),
        "resnet20" => Ok(resnet(3, 10)),
        "unet" => Ok(unet(64, 8, 3)),
        "lstm" => Ok(lstm(32, 2_000, 64, 128, 2)),
        "transformer" => Ok(transformer(64, 5_000, 128, 4, 2, 2)),
        _ => {
            let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            Err(Refusal::new(Code::NotFound, format!("no such network; there are {}", names.join(", "))))
        }
    }
}

fn linear(inputs: u32, outputs: u32) -> Layer {
    Layer::Linear { inputs, outputs, bias: true }
}

fn conv(channels_in: u32, channels_out: u32, kernel: u32, stride: u32, padding: u32) -> Layer {
    Layer::Conv2d { channels_in, channels_out, kernel, stride, padding, bias: true }
}

/// A convolution that a norm follows: its bias would be taken out again.
fn bare_conv(channels_in: u32, channels_out: u32, kernel: u32, stride: u32) -> Layer {
    Layer::Conv2d { channels_in, channels_out, kernel, stride, padding: kernel / 2, bias: false }
}

fn norm(channels: u32) -> Layer {
    Layer::GroupNorm { groups: channels.min(8), channels }
}

/// Fully connected layers with ReLU between them.
pub fn mlp(features: u32, hidden: &[u32], outputs: u32) -> Network {
    let (mut layers, mut width) = (Vec::new(), features);
    for units in hidden {
        layers.extend([linear(width, *units), Layer::Relu {}]);
        width = *units;
    }
    layers.push(linear(width, outputs));
    Network { input: Input::Vector { features }, layers }
}

/// The COVID scenario's graph 9-128-64-1 without its dropout; its sigmoid belongs to the loss.
pub fn covid() -> Network {
    mlp(9, &[128, 64], 1)
}

/// The MNIST network of Opacus's example (after TensorFlow Privacy): 26,010 parameters.
pub fn cnn() -> Network {
    let pool = Layer::MaxPool { kernel: 2, stride: 1 };
    let layers = vec![
        conv(1, 16, 8, 2, 3),
        Layer::Relu {},
        pool.clone(),
        conv(16, 32, 4, 2, 0),
        Layer::Relu {},
        pool,
        Layer::Flatten {},
        linear(512, 32),
        Layer::Relu {},
        linear(32, 10),
    ];
    Network { input: Input::Image { channels: 1, height: 28, width: 28 }, layers }
}

/// The CIFAR-10 network of Papernot et al. 2021 with tanh.
pub fn cifar_cnn() -> Network {
    let mut layers = Vec::new();
    let mut channels_in = 3;
    for channels in [32, 64, 128] {
        let pair = [conv(channels_in, channels, 3, 1, 1), conv(channels, channels, 3, 1, 1)];
        layers.extend(pair.into_iter().flat_map(|conv| [conv, Layer::Tanh {}]));
        layers.push(Layer::MaxPool { kernel: 2, stride: 2 });
        channels_in = channels;
    }
    layers.extend([Layer::Flatten {}, linear(2_048, 128), Layer::Tanh {}, linear(128, 10)]);
    Network { input: Input::Image { channels: 3, height: 32, width: 32 }, layers }
}

/// A ResNet for 32×32 pictures (He et al. 2016, section 4.2) with `blocks` blocks a stage, GroupNorm for BatchNorm and
/// projections where the size changes; three blocks make ResNet-20.
pub fn resnet(blocks: u32, classes: u32) -> Network {
    let mut layers = vec![bare_conv(3, 16, 3, 1), norm(16), Layer::Relu {}];
    let mut channels_in = 16;
    for channels in [16, 32, 64] {
        for _ in 0..blocks {
            let stride = if channels == channels_in { 1 } else { 2 };
            let body = vec![
                bare_conv(channels_in, channels, 3, stride),
                norm(channels),
                Layer::Relu {},
                bare_conv(channels, channels, 3, 1),
                norm(channels),
            ];
            let shortcut =
                if stride == 1 { vec![] } else { vec![bare_conv(channels_in, channels, 1, 2), norm(channels)] };
            layers.extend([Layer::Residual { body, shortcut }, Layer::Relu {}]);
            channels_in = channels;
        }
    }
    layers.extend([Layer::GlobalAveragePool {}, linear(64, classes)]);
    Network { input: Input::Image { channels: 3, height: 32, width: 32 }, layers }
}

/// A UNet after the BraTS scenario for square grey pictures: `levels` times halved, one logit per pixel.
pub fn unet(side: u32, channels: u32, levels: u32) -> Network {
    let mut layers = vec![conv(1, channels, 3, 1, 1)];
    layers.extend(level(channels, levels));
    layers.extend([conv(channels * 2, channels, 3, 1, 1), leaky(), conv(channels, 1, 3, 1, 1)]);
    Network { input: Input::Image { channels: 1, height: side, width: side }, layers }
}

fn leaky() -> Layer {
    // Written so, a slope always reads.
    schemas::text::Real::parse("0.1").map_or(Layer::Relu {}, |slope| Layer::LeakyRelu { slope })
}

/// Two convolutions, each with its norm.
fn block(channels_in: u32, channels: u32) -> [Layer; 6] {
    let first = [conv(channels_in, channels, 3, 1, 1), Layer::GroupNorm { groups: 1, channels }, leaky()];
    let [a, b, c] = first;
    [a, b, c, conv(channels, channels, 3, 1, 1), Layer::GroupNorm { groups: 1, channels }, leaky()]
}

/// From `channels` to twice as many: a block, then the way down, through what lies below, and up again, beside a skip.
fn level(channels: u32, levels: u32) -> Vec<Layer> {
    let wide = channels * 2;
    let mut layers = block(channels, wide).to_vec();
    if levels == 0 {
        return layers;
    }
    let mut body = vec![Layer::MaxPool { kernel: 2, stride: 2 }];
    body.extend(level(wide, levels - 1));
    let up = [
        Layer::Upsample { factor: 2, mode: Upsampling::Bilinear },
        conv(wide * 2, wide, 3, 1, 1),
        Layer::GroupNorm { groups: 1, channels: wide },
        leaky(),
    ];
    body.extend(up);
    layers.push(Layer::Skip { body, input_first: false });
    layers.extend(block(wide * 2, wide));
    layers
}

/// An embedding, one LSTM layer, the last state, classes.
pub fn lstm(length: u32, vocabulary: u32, width: u32, hidden: u32, classes: u32) -> Network {
    let layers = vec![
        Layer::Embedding { count: vocabulary, width },
        Layer::Lstm { inputs: width, hidden },
        Layer::LastToken {},
        linear(hidden, classes),
    ];
    Network { input: Input::Tokens { length, vocabulary }, layers }
}

/// An encoder with norms before attention and before the wide layers (four times the width, GELU), mean over positions.
pub fn transformer(length: u32, vocabulary: u32, width: u32, heads: u32, blocks: u32, classes: u32) -> Network {
    let mut layers = vec![Layer::Embedding { count: vocabulary, width }, Layer::Positions { length, width }];
    for _ in 0..blocks {
        let attention = vec![Layer::LayerNorm { width }, Layer::Attention { width, heads, causal: false }];
        let wide = width.saturating_mul(4);
        let feed = vec![Layer::LayerNorm { width }, linear(width, wide), Layer::Gelu {}, linear(wide, width)];
        layers.extend([attention, feed].map(|body| Layer::Residual { body, shortcut: vec![] }));
    }
    layers.extend([Layer::LayerNorm { width }, Layer::MeanTokens {}, linear(width, classes)]);
    Network { input: Input::Tokens { length, vocabulary }, layers }
}

#[cfg(test)]
mod tests {
    use schemas::network::shape::Shape;

    use super::*;

    #[test]
    fn every_ready_made_network_holds_together_and_has_its_known_size() {
        let counts: Vec<(&str, u64)> =
            NAMES.iter().map(|(name, _)| (*name, named(name).unwrap().shapes().unwrap().parameter_count)).collect();
        let known = [
            ("mlp", 29 * 256 + 257 * 256 + 257 * 2),
            ("covid", 10 * 128 + 129 * 64 + 65),
            ("cnn", 26_010),
            ("cifar-cnn", 550_570),
            // The 269,722 of ResNet-20 with padded shortcuts, and two projections with their norms.
            ("resnet20", 269_722 + 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64),
            ("lstm", 2_000 * 64 + 4 * 128 * (64 + 128 + 2) + 129 * 2),
            ("transformer", 5_000 * 128 + 64 * 128 + 2 * (12 * 128 * 128 + 13 * 128) + 2 * 128 + 129 * 2),
        ];
        for (name, count) in known {
            assert!(counts.contains(&(name, count)), "{name}: {count} is not in {counts:?}");
        }
        assert_eq!(counts.len(), NAMES.len());
        let output = named("unet").unwrap().shapes().unwrap().output;
        assert_eq!(output, Shape::Image { channels: 1, height: 64, width: 64 });
        assert_eq!(named("alexnet").unwrap_err().code, Code::NotFound);
    }
}
