//! Shapes of known networks by hand-counted figures, one spoilt layer at a time, and random networks.

use super::Shape;
use crate::network::*;
use crate::problem::Code;
use crate::text::Real;

fn real(text: &str) -> Real {
    Real::parse(text).unwrap()
}

fn linear(inputs: u32, outputs: u32) -> Layer {
    Layer::Linear { inputs, outputs, bias: true }
}

fn conv(channels_in: u32, channels_out: u32, kernel: u32, stride: u32, padding: u32) -> Layer {
    Layer::Conv2d { channels_in, channels_out, kernel, stride, padding, bias: true }
}

const IMAGE: Input = Input::Image { channels: 1, height: 28, width: 28 };

/// The network of Opacus's MNIST example: 26,010 numbers to learn.
fn mnist() -> Network {
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
    Network { input: IMAGE, layers }
}

fn unet() -> Network {
    let (pool, up) =
        (Layer::MaxPool { kernel: 2, stride: 2 }, Layer::Upsample { factor: 2, mode: Upsampling::Bilinear });
    let body = vec![pool, conv(4, 8, 3, 1, 1), up, conv(8, 4, 3, 1, 1)];
    let layers = vec![conv(1, 4, 3, 1, 1), Layer::Skip { body, input_first: false }, conv(8, 1, 1, 1, 0)];
    Network { input: IMAGE, layers }
}

#[test]
fn known_networks_come_to_their_known_figures() {
    let shapes = mnist().shapes().unwrap();
    assert_eq!(shapes.parameter_count, 26_010);
    assert_eq!(shapes.output, Shape::Vector { features: 10 });
    let numbers = |name: &str| shapes.parameters.iter().find(|p| p.name == name).unwrap().shape.clone();
    assert_eq!(numbers("0.weight"), [16, 1, 8, 8]);
    assert_eq!(numbers("3.weight"), [32, 16, 4, 4]);
    assert_eq!(numbers("7.weight"), [32, 512]);
    assert_eq!(numbers("9.bias"), [10]);
    assert_eq!(shapes.parameters.iter().map(|p| p.numbers()).sum::<u64>(), 26_010);
    // 784 in; 16×14×14 twice, 16×13×13, 32×5×5 twice, 32×4×4, the same as 512, 32 twice, 10.
    assert_eq!(shapes.activations, 784 + 2 * 3_136 + 2_704 + 2 * 800 + 512 + 512 + 2 * 32 + 10);
    assert_eq!(shapes.bytes_per_sample(), 8 * shapes.activations);

    let shapes = unet().shapes().unwrap();
    assert_eq!(shapes.output, Shape::Image { channels: 1, height: 28, width: 28 });
    let names: Vec<&str> = shapes.parameters.iter().map(|p| p.name.as_str()).collect();
    let inner = ["1.body.1.weight", "1.body.1.bias", "1.body.3.weight", "1.body.3.bias"];
    assert_eq!(names, [&["0.weight", "0.bias"][..], &inner, &["2.weight", "2.bias"]].concat());
}

#[test]
fn attention_and_lstm_have_their_tensors() {
    let layers = vec![
        Layer::Embedding { count: 50, width: 8 },
        Layer::Positions { length: 6, width: 8 },
        Layer::Residual {
            body: vec![Layer::LayerNorm { width: 8 }, Layer::Attention { width: 8, heads: 2, causal: true }],
            shortcut: vec![],
        },
        Layer::Lstm { inputs: 8, hidden: 5 },
        Layer::LastToken {},
        linear(5, 2),
    ];
    let shapes = Network { input: Input::Tokens { length: 6, vocabulary: 50 }, layers }.shapes().unwrap();
    let named: Vec<_> = shapes.parameters.iter().map(|p| (p.name.as_str(), p.shape.as_slice())).collect();
    let wanted: [(&str, &[usize]); 14] = [
        ("0.weight", &[50, 8]),
        ("1.weight", &[6, 8]),
        ("2.body.0.weight", &[8]),
        ("2.body.0.bias", &[8]),
        ("2.body.1.qkv.weight", &[24, 8]),
        ("2.body.1.qkv.bias", &[24]),
        ("2.body.1.proj.weight", &[8, 8]),
        ("2.body.1.proj.bias", &[8]),
        ("3.ih.weight", &[20, 8]),
        ("3.ih.bias", &[20]),
        ("3.hh.weight", &[20, 5]),
        ("3.hh.bias", &[20]),
        ("5.weight", &[2, 5]),
        ("5.bias", &[2]),
    ];
    assert_eq!(named, wanted);
}

/// A network with this layer in place of the one at `at`.
fn with(mut network: Network, at: usize, layer: Layer) -> Network {
    network.layers[at] = layer;
    network
}

#[test]
fn one_spoilt_layer_is_refused_by_its_path() {
    let plain = |layer: Layer| Network { input: Input::Vector { features: 4 }, layers: vec![layer] };
    let sequence = |layer: Layer| Network { input: Input::Sequence { length: 4, width: 6 }, layers: vec![layer] };
    let inside =
        |layer: Layer| with(unet(), 1, Layer::Skip { body: vec![conv(4, 4, 3, 1, 1), layer], input_first: true });
    let cases = [
        (with(mnist(), 3, conv(15, 32, 4, 2, 0)), Code::ModelShape, "3"),
        (with(mnist(), 3, conv(16, 32, 40, 2, 0)), Code::ModelShape, "3"),
        (with(mnist(), 3, conv(16, 32, 4, 0, 0)), Code::LimitExceeded, "3"),
        (with(mnist(), 3, conv(16, 70_000, 4, 2, 0)), Code::LimitExceeded, "3"),
        (with(mnist(), 6, Layer::Relu {}), Code::ModelShape, "7"),
        (with(mnist(), 7, linear(511, 32)), Code::ModelShape, "7"),
        (with(mnist(), 2, Layer::MaxPool { kernel: 15, stride: 1 }), Code::ModelShape, "2"),
        (with(mnist(), 1, Layer::GroupNorm { groups: 3, channels: 16 }), Code::ModelShape, "1"),
        (with(mnist(), 1, Layer::GroupNorm { groups: 0, channels: 16 }), Code::LimitExceeded, "1"),
        (with(mnist(), 1, Layer::LeakyRelu { slope: real("1.1") }), Code::ModelShape, "1"),
        (with(mnist(), 8, Layer::Upsample { factor: 2, mode: Upsampling::Nearest }), Code::ModelShape, "8"),
        (with(mnist(), 8, Layer::MeanTokens {}), Code::ModelShape, "8"),
        (with(mnist(), 8, Layer::Residual { body: vec![], shortcut: vec![] }), Code::ModelShape, "8"),
        (with(mnist(), 8, Layer::Residual { body: vec![linear(32, 31)], shortcut: vec![] }), Code::ModelShape, "8"),
        (inside(conv(3, 4, 3, 1, 1)), Code::ModelShape, "1.body.1"),
        (inside(Layer::MaxPool { kernel: 2, stride: 2 }), Code::ModelShape, "1"),
        (inside(Layer::Flatten {}), Code::ModelShape, "1"),
        (plain(Layer::Embedding { count: 9, width: 2 }), Code::ModelShape, "0"),
        (plain(Layer::LayerNorm { width: 5 }), Code::ModelShape, "0"),
        (sequence(Layer::Attention { width: 6, heads: 4, causal: false }), Code::ModelShape, "0"),
        (sequence(Layer::Positions { length: 5, width: 6 }), Code::ModelShape, "0"),
        (sequence(Layer::Lstm { inputs: 7, hidden: 2 }), Code::ModelShape, "0"),
        (Network { input: IMAGE, layers: vec![] }, Code::ModelShape, "layers"),
        (Network { input: Input::Vector { features: 0 }, layers: vec![linear(0, 1)] }, Code::LimitExceeded, "input"),
    ];
    for (network, code, path) in cases {
        let refusal = network.shapes().unwrap_err();
        assert_eq!((refusal.code, refusal.field.as_deref()), (code, Some(path)), "{refusal}");
    }
    let tokens = Input::Tokens { length: 4, vocabulary: 9 };
    for layer in [Layer::Relu {}, Layer::Flatten {}, linear(4, 1), Layer::Embedding { count: 8, width: 2 }] {
        let refusal = Network { input: tokens.clone(), layers: vec![layer] }.shapes().unwrap_err();
        assert_eq!(refusal.code, Code::ModelShape);
    }
}

#[test]
fn bounds_hold_without_an_overflow() {
    let vector = |features: u32, layers: Vec<Layer>| Network { input: Input::Vector { features }, layers };
    let code = |network: Network| network.shapes().unwrap_err().code;
    assert_eq!(code(vector(60_000, vec![linear(60_000, 60_000)])), Code::LimitExceeded);
    let image = Input::Image { channels: 65_536, height: 65_536, width: 65_536 };
    assert_eq!(code(Network { input: image, layers: vec![Layer::Flatten {}] }), Code::LimitExceeded);
    assert_eq!(code(with(mnist(), 1, conv(16, 65_536, 1, 1, 65_536))), Code::LimitExceeded);
    assert_eq!(code(vector(1, vec![Layer::Relu {}; 1_025])), Code::LimitExceeded);
    let mut deep = linear(1, 1);
    for _ in 0..MAX_DEPTH {
        deep = Layer::Residual { body: vec![deep], shortcut: vec![] };
    }
    assert_eq!(code(vector(1, vec![deep.clone()])), Code::LimitExceeded);
    let Layer::Residual { mut body, .. } = deep else { panic!("a residual") };
    assert!(vector(1, vec![body.remove(0)]).shapes().is_ok(), "one less is allowed");
}

/// A small generator (xorshift), so that the test is the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    /// Mostly small sizes that may fit one another, now and then the ends of the type.
    fn size(&mut self) -> u32 {
        match self.below(24) {
            0 => 0,
            1 => u32::MAX,
            2 => 65_536,
            3 => 1 << 31,
            n => 1 << (n % 4),
        }
    }

    fn layer(&mut self, depth: u32) -> Layer {
        let (a, b, c) = (self.size(), self.size(), self.size());
        match self.below(if depth > 3 { 21 } else { 23 }) {
            0 => Layer::Linear { inputs: a, outputs: b, bias: c > 1 },
            1 | 2 => Layer::Conv2d {
                channels_in: a,
                channels_out: b,
                kernel: c,
                stride: self.size(),
                padding: self.size(),
                bias: true,
            },
            3 => Layer::GroupNorm { groups: a, channels: b },
            4 => Layer::LayerNorm { width: a },
            5 => Layer::Embedding { count: a, width: b },
            6 => Layer::Positions { length: a, width: b },
            7 => Layer::Attention { width: a, heads: b, causal: true },
            8 => Layer::Lstm { inputs: a, hidden: b },
            9 => Layer::Relu {},
            10 => Layer::LeakyRelu { slope: real("0.1") },
            11 => Layer::Tanh {},
            12 => Layer::Gelu {},
            13 => Layer::Sigmoid {},
            14 => Layer::Silu {},
            15 => Layer::Flatten {},
            16 => Layer::GlobalAveragePool {},
            17 => Layer::MeanTokens {},
            18 => Layer::LastToken {},
            19 => Layer::AvgPool { kernel: a, stride: b },
            20 => Layer::Upsample { factor: a, mode: Upsampling::Nearest },
            21 => Layer::Residual { body: self.layers(depth + 1), shortcut: self.layers(depth + 1) },
            _ => Layer::Skip { body: self.layers(depth + 1), input_first: a > 1 },
        }
    }

    fn layers(&mut self, depth: u32) -> Vec<Layer> {
        (0..self.below(3)).map(|_| self.layer(depth)).collect()
    }

    fn network(&mut self) -> Network {
        let input = match self.below(4) {
            0 => Input::Vector { features: self.size() },
            1 => Input::Image { channels: self.size(), height: self.size(), width: self.size() },
            2 => Input::Tokens { length: self.size(), vocabulary: self.size() },
            _ => Input::Sequence { length: self.size(), width: self.size() },
        };
        let layers = (0..1 + self.below(4)).map(|_| self.layer(0)).collect();
        Network { input, layers }
    }
}

#[test]
fn random_networks_are_judged_and_never_panic() {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let (mut taken, mut codes) = (0, std::collections::BTreeSet::new());
    for _ in 0..60_000 {
        let network = dice.network();
        match network.shapes() {
            Ok(shapes) => {
                taken += 1;
                assert!(shapes.parameter_count <= MAX_PARAMETERS && shapes.activations <= MAX_ACTIVATIONS);
                assert_eq!(shapes.parameters.iter().map(|p| p.numbers()).sum::<u64>(), shapes.parameter_count);
                assert_eq!(shapes.layers.iter().map(|row| row.parameters).sum::<u64>(), shapes.parameter_count);
                let names: std::collections::BTreeSet<_> = shapes.parameters.iter().map(|p| &p.name).collect();
                assert_eq!(names.len(), shapes.parameters.len());
                assert!(!matches!(shapes.output, Shape::Tokens { .. }) && shapes.output.numbers() > 0);
            }
            Err(refusal) => {
                assert!(refusal.field.is_some());
                codes.insert(refusal.code);
            }
        }
    }
    assert!(taken > 1_000, "only {taken} networks held together");
    assert_eq!(codes, [Code::LimitExceeded, Code::ModelShape].into());
}
