//! The files of the reference's five scenarios, unmodified: each with what it is read as. Without them: NOT RUN.

#![allow(clippy::unwrap_used, clippy::panic)] // tests

use std::path::{Path, PathBuf};

use models::reference::{Options, Public, ReadTraining, model, training, trees};
use schemas::network::shape::Shape;
use schemas::network::{Input, Layer, Upsampling};
use schemas::recipe::{Loss, Optimizer, Schedule};
use schemas::{Code, R};
use serde_json::Value;

fn folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/depa-scenarios");
    if !folder.is_dir() {
        println!("NOT RUN: the scenario files are not there");
        return None;
    }
    Some(folder)
}

fn json(folder: &Path, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}

fn image(channels: u32, side: u32) -> Input {
    Input::Image { channels, height: side, width: side }
}

/// Input, outputs and public rows of a scenario.
fn public(scenario: &str) -> Public {
    let (input, classes, rows) = match scenario {
        "covid" => (Input::Vector { features: 9 }, Some(1), 2_119),
        "brats" => (image(1, 64), None, 327),
        "mnist" => (image(1, 28), Some(10), 60_000),
        _ => (image(3, 32), Some(10), 50_000),
    };
    Public { input: Some(input), classes, rows: Some(rows) }
}

/// Reads the training out of both files that hold it.
fn read(folder: &Path, scenario: &str) -> R<ReadTraining> {
    let file = |name: &str| json(folder, &format!("{scenario}/{name}_config.json"));
    let one = training(&file("train"), &public(scenario), &Options::default());
    let other = training(&file("pipeline"), &public(scenario), &Options::default());
    assert_eq!(one.as_ref().ok(), other.as_ref().ok(), "{scenario}: the consolidated file says the same");
    one
}

fn text(real: &Option<schemas::text::Real>) -> &str {
    real.as_ref().map_or("-", |real| real.as_str())
}

#[test]
fn the_five_trainings_are_read_unmodified() {
    let Some(folder) = folder() else { return };

    let covid = read(&folder, "covid").unwrap();
    assert_eq!(covid.recipe.loss, Loss::BinaryCrossEntropy {});
    assert!(matches!(covid.recipe.optimizer, Optimizer::Sgd { .. }));
    assert_eq!(covid.recipe.schedule, Schedule::Constant {});
    assert_eq!(covid.learning_rate.as_str(), "0.0001");
    assert_eq!((covid.private, covid.batch_size, covid.epochs, covid.steps), (true, Some(8), 1, Some(265)));
    let figures = [text(&covid.epsilon), text(&covid.delta), text(&covid.clipping_norm)];
    assert_eq!(figures, ["1", "0.01", "0.1"]);
    assert!(covid.model.is_none(), "its model is a file of its own");
    let fields: Vec<&str> = covid.notices.iter().map(|notice| notice.field.as_str()).collect();
    let split = ["dataset_config.splits.random_state", "dataset_config.splits.stratify"];
    assert_eq!(fields, [&split[..], &["batch_size", "loss_config"]].concat());

    let mnist = read(&folder, "mnist").unwrap();
    let Loss::Focal { classes: 10, alpha, gamma } = &mnist.recipe.loss else { panic!("{:?}", mnist.recipe.loss) };
    assert_eq!((alpha.as_str(), gamma.as_str()), ("1", "2"));
    let Schedule::Cyclic { up: 2_000, peak } = &mnist.recipe.schedule else { panic!("{:?}", mnist.recipe.schedule) };
    assert_eq!(peak.as_str(), "100");
    assert_eq!((mnist.private, mnist.steps), (false, Some(3_750)));

    let cifar = read(&folder, "cifar10").unwrap();
    assert_eq!(cifar.recipe.loss, Loss::CrossEntropy { classes: 10 });
    let network = cifar.model.unwrap().network;
    assert_eq!(network.shapes().unwrap().parameter_count, 62_006);
    assert!(matches!(network.layers[0], Layer::Conv2d { channels_in: 3, channels_out: 6, kernel: 5, .. }));
    assert_eq!((cifar.private, cifar.steps), (false, Some(6_250)));

    let refusal = read(&folder, "credit-risk").unwrap_err();
    assert_eq!(refusal.code, Code::ModelForm, "trees are no network: {refusal}");
}

#[test]
fn the_unet_of_brats_keeps_its_arms_its_sigmoid_and_its_composed_loss() {
    let Some(folder) = folder() else { return };
    let brats = read(&folder, "brats").unwrap();
    let Loss::Sum { terms } = &brats.recipe.loss else { panic!("{:?}", brats.recipe.loss) };
    let weights: Vec<&str> = terms.iter().map(|term| term.weight.as_str()).collect();
    assert_eq!(weights, ["1", "2"]);
    assert_eq!(terms[0].loss, Loss::Dice { sigmoid: true, squared: true });
    assert_eq!(terms[1].loss, Loss::MeanAbsoluteError {});

    let read = brats.model.unwrap();
    assert_eq!(read, model(&json(&folder, "brats/model_config.json"), image(1, 64), &Options::default()).unwrap());
    let shapes = read.network.shapes().unwrap();
    assert_eq!(shapes.output, Shape::Image { channels: 1, height: 64, width: 64 });
    assert!(matches!(read.network.layers.last(), Some(Layer::Sigmoid {})));
    let skips = shapes.layers.iter().filter(|row| row.op == "skip").count();
    assert_eq!(skips, 4);
    let bilinear = Layer::Upsample { factor: 2, mode: Upsampling::Bilinear };
    assert!(format!("{:?}", read.network.layers).contains(&format!("{bilinear:?}")));
    // Weights of the reference find their places: 22 convolutions and 22 norms less one on either end.
    let of = |prefix: &str| read.paths.keys().filter(|module| module.starts_with(prefix)).count();
    assert_eq!([of("down_conv"), of("bottleneck"), of("up_conv"), of("up_samp"), of("out_conv")], [16, 4, 16, 8, 2]);
    assert_eq!(read.paths["in_conv"], "0");
    let inner = &read.paths["bottleneck.conv1"];
    assert_eq!(inner.matches("body").count(), 4, "{inner}");
    // Two convolutions a block with their norms, counted by hand from the file's channels.
    let conv = |i: u64, o: u64| 9 * i * o + o;
    let block = |i: u64, m: u64| conv(i, m) + conv(m, m) + 4 * m;
    let up = |i: u64, o: u64| conv(i, o) + 2 * o;
    let down = block(8, 16) + block(16, 32) + block(32, 64) + block(64, 128) + block(128, 256);
    let rise = up(256, 128) + up(128, 64) + up(64, 32) + up(32, 16);
    let blocks = block(256, 128) + block(128, 64) + block(64, 32) + block(32, 16);
    assert_eq!(shapes.parameter_count, conv(1, 8) + down + rise + blocks + conv(16, 8) + conv(8, 1));
}

#[test]
fn dropout_is_refused_with_its_replacement_unless_replacing_is_asked_for() {
    let Some(folder) = folder() else { return };
    let config = json(&folder, "covid/sample_variants/model_config_safetensors.json");
    let input = Input::Vector { features: 10 };
    let refusal = model(&config, input.clone(), &Options::default()).unwrap_err();
    assert_eq!((refusal.code, refusal.field.as_deref()), (Code::ModelLayer, Some("dropout")));
    assert!(refusal.sentence.contains("leave it out"), "{refusal}");
    let read = model(&config, input, &Options { replace: true }).unwrap();
    assert_eq!(read.network.layers.len(), 6);
    assert_eq!(read.notices.iter().filter(|notice| notice.field == "dropout").count(), 2);
}

#[test]
fn the_trees_of_credit_risk_become_the_trainers_own() {
    let Some(folder) = folder() else { return };
    let read = trees(&json(&folder, "credit-risk/train_config.json")).unwrap();
    assert_eq!(read, trees(&json(&folder, "credit-risk/pipeline_config.json")).unwrap());
    assert_eq!((read.trees.depth, read.trees.features_per_tree, read.steps, read.init_seed), (6, 6, 250, 0));
    let figures = [&read.trees.regularization, &read.learning_rate, &read.clipping_norm, &read.sample_rate];
    assert_eq!(figures.map(|real| real.as_str()), ["1", "0.05", "1", "1"]);
    assert_eq!((read.private, text(&read.epsilon), text(&read.delta)), (true, "4", "0.00001"));
    assert_eq!(read.target.as_deref(), Some("TARGET"));
    let fields: Vec<&str> = read.notices.iter().map(|notice| notice.field.as_str()).collect();
    let model = ["model_config", "model_config.min_child_weight", "model_config.eval_metric"];
    let data =
        ["dataset_config.splits.random_state", "dataset_config.splits.stratify", "dataset_config.missing_strategy"];
    assert_eq!(fields, [model, data].concat());

    // The variant for COVID is a model_config alone.
    let variant = json(&folder, "covid/sample_variants/model_config_xgboost.json");
    let variant = trees(&variant).unwrap();
    assert_eq!((variant.trees, variant.steps), (read.trees, 250));
    // Trees are no network, and a network is no trees.
    let refusal = trees(&json(&folder, "mnist/train_config.json")).unwrap_err();
    assert_eq!((refusal.code, refusal.field.as_deref()), (Code::ModelForm, Some("name")));
}

/// From the file as it lies, one member at a time.
#[test]
fn trees_that_the_trainer_cannot_grow_are_refused() {
    let Some(folder) = folder() else { return };
    let file = json(&folder, "credit-risk/train_config.json");
    let with = |pointer: &str, member: &str, value: Value| {
        let mut file = file.clone();
        file.pointer_mut(pointer).unwrap().as_object_mut().unwrap().insert(member.into(), value);
        trees(&file)
    };
    for (pointer, member, value) in [
        ("/config/model_config", "objective", "reg:squarederror".into()),
        ("/config/model_config", "scale_pos_weight", 3.into()),
        ("/config/model_config", "max_depth", 7.into()),
        ("/config/model_config", "max_depth", 0.into()),
        ("/config/model_config", "n_estimators", 0.into()),
        ("/config/model_config", "n_estimators", 16_385.into()),
        ("/config/model_config", "l2_regularization", 0.into()),
        ("/config/model_config", "learning_rate", (-0.1).into()),
        ("/config/model_config", "subsample", 1.5.into()),
        ("/config/model_config", "subsample", 0.into()),
        ("/config/model_config", "monotone_constraints", "(1,-1)".into()),
        ("/config/privacy_params", "noise_seed", 7.into()),
        ("/config/privacy_params", "epsilon", (-1).into()),
        ("/config", "task_type", "regression".into()),
        ("/config", "callbacks", Value::Null),
    ] {
        let refusal = with(pointer, member, value.clone()).expect_err(member);
        assert_eq!(refusal.code, Code::ModelForm, "{member} = {value}: {refusal}");
    }
    let read = with("/config/model_config", "seed", 42.into()).unwrap();
    assert!(read.init_seed == 42 && read.notices.iter().any(|notice| notice.field == "model_config.seed"));
    let read = with("/config/model_config", "subsample", 0.5.into()).unwrap();
    assert_eq!(read.sample_rate.as_str(), "0.5");
}
