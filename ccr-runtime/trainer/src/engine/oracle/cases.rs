//! The networks that the oracle judges: every operation stands in one of them at least.

use chacha20::rand_core::Rng;
use schemas::network::Network as Description;
use schemas::pipeline::Model;
use schemas::recipe::{Adapters, Loss, Optimizer, Recipe, Schedule, Term};
use tch::Tensor;

use crate::fixtures::real;
use crate::model::Network;
use crate::noise::Streams;

fn recipe(loss: Loss) -> Recipe {
    let optimizer = Optimizer::Sgd { momentum: real("0"), weight_decay: real("0") };
    Recipe { loss, optimizer, schedule: Schedule::Constant {}, frozen: vec![], adapters: None }
}

fn classes(classes: u32) -> Recipe {
    recipe(Loss::CrossEntropy { classes })
}

fn described(text: &str) -> Model {
    let network: Description = serde_json::from_str(text).unwrap();
    Model::Network { network }
}

fn vector(features: u32, layers: &str) -> Model {
    described(&format!(r#"{{"input":{{"kind":"vector","features":{features}}},"layers":[{layers}]}}"#))
}

fn image(channels: u32, side: u32, layers: &str) -> Model {
    let input = format!(r#"{{"kind":"image","channels":{channels},"height":{side},"width":{side}}}"#);
    described(&format!(r#"{{"input":{input},"layers":[{layers}]}}"#))
}

fn tokens(length: u32, vocabulary: u32, layers: &str) -> Model {
    let input = format!(r#"{{"kind":"tokens","length":{length},"vocabulary":{vocabulary}}}"#);
    described(&format!(r#"{{"input":{input},"layers":[{layers}]}}"#))
}

fn linear(inputs: u32, outputs: u32) -> String {
    format!(r#"{{"op":"linear","inputs":{inputs},"outputs":{outputs},"bias":true}}"#)
}

fn conv(channels_in: u32, channels_out: u32, kernel: u32, stride: u32, padding: u32, bias: bool) -> String {
    format!(
        r#"{{"op":"conv2d","channels_in":{channels_in},"channels_out":{channels_out},"kernel":{kernel},"stride":{stride},
            "padding":{padding},"bias":{bias}}}"#
    )
}

fn norm(channels: u32) -> String {
    format!(r#"{{"op":"group_norm","groups":2,"channels":{channels}}}"#)
}

fn op(name: &str) -> String {
    format!(r#"{{"op":"{name}"}}"#)
}

fn lstm(inputs: u32, hidden: u32) -> String {
    format!(r#"{{"op":"lstm","inputs":{inputs},"hidden":{hidden}}}"#)
}

fn attention(width: u32, causal: bool) -> String {
    format!(r#"{{"op":"attention","width":{width},"heads":2,"causal":{causal}}}"#)
}

fn residual(body: &[String], shortcut: &[String]) -> String {
    format!(r#"{{"op":"residual","body":[{}],"shortcut":[{}]}}"#, body.join(","), shortcut.join(","))
}

fn upsample(mode: &str) -> String {
    format!(r#"{{"op":"upsample","factor":2,"mode":"{mode}"}}"#)
}

fn pool(kind: &str) -> String {
    format!(r#"{{"op":"{kind}_pool","kernel":2,"stride":2}}"#)
}

fn block(from: u32, to: u32, stride: u32) -> String {
    let body = [conv(from, to, 3, stride, 1, false), norm(to), op("relu"), conv(to, to, 3, 1, 1, false), norm(to)];
    let shortcut = if from == to && stride == 1 { vec![] } else { vec![conv(from, to, 1, stride, 0, false), norm(to)] };
    residual(&body, &shortcut)
}

/// A network with its recipe and the numbers of a row's features and label.
pub struct Case {
    pub name: &'static str,
    pub model: Model,
    pub recipe: Recipe,
    pub features: usize,
    pub labels: usize,
}

fn case(name: &'static str, model: Model, recipe: Recipe, features: usize, labels: usize) -> Case {
    Case { name, model, recipe, features, labels }
}

pub fn cases() -> Vec<Case> {
    let bce = || recipe(Loss::BinaryCrossEntropy {});
    let transformer = |causal| {
        let width = r#"{"op":"layer_norm","width":8}"#.to_owned();
        let part = residual(&[width.clone(), attention(8, causal)], &[]);
        let feed = residual(&[width.clone(), linear(8, 16), op("gelu"), linear(16, 8)], &[]);
        let embed = r#"{"op":"embedding","count":11,"width":8},{"op":"positions","length":6,"width":8}"#;
        let end = if causal { op("last_token") } else { op("mean_tokens") };
        format!("{embed},{part},{feed},{width},{end},{}", linear(8, 3))
    };
    let skip =
        |first: bool, body: &[String]| format!(r#"{{"op":"skip","input_first":{first},"body":[{}]}}"#, body.join(","));
    let unet = [
        conv(1, 4, 3, 1, 1, true),
        r#"{"op":"leaky_relu","slope":"0.1"}"#.to_owned(),
        skip(
            true,
            &[
                pool("max"),
                conv(4, 6, 3, 1, 1, true),
                norm(6),
                op("silu"),
                skip(false, &[pool("avg"), conv(6, 6, 3, 1, 1, true), op("tanh"), upsample("bilinear")]),
                conv(12, 4, 1, 1, 0, true),
                upsample("nearest"),
            ],
        ),
        conv(8, 1, 3, 1, 1, true),
    ]
    .join(",");
    let mask = Loss::Sum {
        terms: vec![
            Term { weight: real("1"), loss: Loss::Dice { sigmoid: true, squared: true } },
            Term { weight: real("2"), loss: Loss::BinaryCrossEntropy {} },
        ],
    };
    let resnet = [
        conv(3, 4, 3, 1, 1, false),
        norm(4),
        op("relu"),
        block(4, 4, 1),
        block(4, 8, 2),
        op("global_average_pool"),
        linear(8, 4),
    ];
    let cnn = [
        conv(1, 6, 4, 2, 0, true),
        op("relu"),
        pool("max"),
        conv(6, 5, 2, 1, 1, true),
        op("tanh"),
        op("flatten"),
        linear(80, 3),
    ];
    let sequence = r#"{"input":{"kind":"sequence","length":5,"width":4},"layers":["#;
    let read = format!(r#"{{"op":"embedding","count":9,"width":5}},{},{}"#, lstm(5, 6), lstm(6, 4));
    let nested = residual(&[linear(4, 4), lstm(4, 4)], &[]);
    let wide = format!("{}],", linear(4, 32)).replace("],", "");
    let adapters =
        Adapters { rank: 2, alpha: real("4"), targets: vec!["0".into(), "2".into()], trained: vec!["4.".into()] };
    let mlp = format!("{},{},{},{},{}", linear(5, 8), op("relu"), linear(8, 7), op("sigmoid"), linear(7, 3));
    let attended = Adapters {
        rank: 2,
        alpha: real("2"),
        targets: vec!["2.body.1.qkv".into(), "2.body.1.proj".into()],
        trained: vec![],
    };
    // Wide enough for products that another library makes: see `products`.
    let wide_mlp = format!("{},{},{},{},{}", linear(64, 256), op("tanh"), linear(256, 128), op("relu"), linear(128, 3));
    let wide_cnn = [
        conv(8, 32, 3, 1, 1, true),
        op("tanh"),
        pool("avg"),
        conv(32, 96, 3, 2, 1, true),
        op("relu"),
        conv(96, 96, 3, 1, 1, true),
        op("global_average_pool"),
        linear(96, 3),
    ];
    let wide_transformer = [
        r#"{"op":"embedding","count":9,"width":64}"#.to_owned(),
        residual(&[attention(64, false)], &[]),
        residual(&[linear(64, 128), op("gelu"), linear(128, 64)], &[]),
        op("mean_tokens"),
        linear(64, 3),
    ];
    let wide_lstm =
        [r#"{"op":"embedding","count":9,"width":32}"#.to_owned(), lstm(32, 96), op("last_token"), linear(96, 3)];
    vec![
        case("logistic regression", Model::LogisticRegression, bce(), 6, 1),
        case("mlp", Model::Mlp { hidden: vec![16, 8, 4] }, bce(), 6, 1),
        case(
            "mlp, focal",
            vector(5, &mlp),
            recipe(Loss::Focal { classes: 3, alpha: real("1"), gamma: real("2") }),
            5,
            1,
        ),
        case("linear, huber", vector(5, &linear(5, 2)), recipe(Loss::Huber { delta: real("0.3") }), 5, 2),
        case("linear, squares", vector(5, &linear(5, 2)), recipe(Loss::MeanSquaredError {}), 5, 2),
        case("linear, absolute", vector(5, &linear(5, 2)), recipe(Loss::MeanAbsoluteError {}), 5, 2),
        case("cnn, strides", image(1, 14, &cnn.join(",")), classes(3), 196, 1),
        case(
            "many channels, few pixels",
            image(40, 2, &format!("{},{},{}", conv(40, 40, 3, 1, 1, true), op("flatten"), linear(160, 2))),
            classes(2),
            160,
            1,
        ),
        case("residual, group norm", image(3, 8, &resnet.join(",")), classes(4), 192, 1),
        case("unet, dice and entropy", image(1, 8, &unet), recipe(mask), 64, 64),
        case("transformer", tokens(6, 11, &transformer(false)), classes(3), 6, 1),
        case("causal transformer", tokens(6, 11, &transformer(true)), classes(3), 6, 1),
        case(
            "lstm on tokens",
            tokens(7, 9, &format!("{read},{},{}", op("last_token"), linear(4, 3))),
            classes(3),
            7,
            1,
        ),
        case(
            "lstm in a body",
            described(&format!("{sequence}{nested},{},{}]}}", op("mean_tokens"), linear(4, 2))),
            classes(2),
            20,
            1,
        ),
        case(
            "lstm, then by position",
            described(&format!("{sequence}{},{},{}]}}", lstm(4, 3), op("flatten"), linear(15, 2))),
            classes(2),
            20,
            1,
        ),
        case(
            "wide over positions",
            described(&format!("{sequence}{wide},{},{}]}}", linear(32, 40), op("flatten"),)),
            recipe(Loss::MeanSquaredError {}),
            20,
            200,
        ),
        case("wide mlp", vector(64, &wide_mlp), recipe(Loss::MeanSquaredError {}), 64, 3),
        case("wide cnn", image(8, 12, &wide_cnn.join(",")), classes(3), 1_152, 1),
        case("wide transformer", tokens(32, 9, &wide_transformer.join(",")), classes(3), 32, 1),
        case("wide lstm", tokens(6, 9, &wide_lstm.join(",")), classes(3), 6, 1),
        case(
            "frozen layers",
            vector(5, &mlp),
            Recipe { frozen: vec!["0.".into(), "2.bias".into()], ..classes(3) },
            5,
            1,
        ),
        case("adapters", vector(5, &mlp), Recipe { adapters: Some(adapters), ..classes(3) }, 5, 1),
        case(
            "adapters of attention",
            tokens(6, 11, &transformer(false)),
            Recipe { adapters: Some(attended), ..classes(3) },
            6,
            1,
        ),
        case(
            "frozen below an lstm",
            tokens(7, 9, &format!("{read},{},{}", op("last_token"), linear(4, 3))),
            Recipe { frozen: vec!["0.".into(), "1.hh".into(), "2.ih".into()], ..classes(3) },
            7,
            1,
        ),
    ]
}

impl Case {
    pub fn network(&self) -> Network {
        let mut network = Network::with(&self.model, Some(&self.recipe), self.features, 3).unwrap();
        // Off the first values, so that no gradient vanishes by symmetry.
        for (place, value) in network.parameters.iter_mut().flat_map(|p| &mut p.values).enumerate() {
            *value += ((place * 7 % 5) as f64 - 2.0) * 0.05;
        }
        network
    }

    pub fn rows(&self, count: usize) -> (Tensor, Tensor) {
        let mut stream = Streams::new(&[8; 32]).init(self.name).unwrap();
        let mut unit = || (stream.next_u64() >> 40) as f32 / (1u64 << 24) as f32;
        let tokens = self.model.reads_tokens();
        // Few different tokens, so that some stand twice in a row.
        let x: Vec<f32> = (0..count * self.features)
            .map(|_| if tokens { (unit() * 6.0).floor() } else { 2.0 * unit() - 1.0 })
            .collect();
        let most = self.recipe.loss.classes().unwrap_or(2);
        let y: Vec<f32> = (0..count * self.labels).map(|_| (unit() * most as f32).floor()).collect();
        (
            Tensor::from_slice(&x).reshape([-1, self.features as i64]),
            Tensor::from_slice(&y).reshape([-1, self.labels as i64]),
        )
    }
}
