//! Names, shapes, first weights, chunks, weights that come in.

use schemas::Code;
use schemas::pipeline::Model;
use schemas::recipe::{Adapters, Loss, Optimizer, Recipe, Schedule};

use super::*;
use crate::artifact;
use crate::fixtures::real;

fn recipe() -> Recipe {
    let optimizer = Optimizer::Sgd { momentum: real("0.9"), weight_decay: real("0") };
    let loss = Loss::CrossEntropy { classes: 2 };
    Recipe { loss, optimizer, schedule: Schedule::Constant {}, frozen: vec![], adapters: None }
}

fn small() -> Model {
    let text = r#"{"input":{"kind":"image","channels":1,"height":4,"width":4},"layers":[
        {"op":"conv2d","channels_in":1,"channels_out":4,"kernel":3,"stride":1,"padding":1,"bias":true},
        {"op":"group_norm","groups":2,"channels":4},{"op":"relu"},{"op":"flatten"},
        {"op":"linear","inputs":64,"outputs":2,"bias":true}]}"#;
    Model::Network { network: serde_json::from_str(text).unwrap() }
}

fn told(network: &Network) -> Vec<String> {
    network.parameters.iter().map(|p| format!("{} {:?}", p.name, p.shape)).collect()
}

#[test]
fn names_shapes_and_weights_follow_from_public_figures() {
    let model = Model::Mlp { hidden: vec![5, 3] };
    let network = Network::new(&model, 4, 7).unwrap();
    let expected = ["0.weight [5, 4]", "0.bias [5]", "2.weight [3, 5]", "2.bias [3]", "4.weight [1, 3]", "4.bias [1]"];
    assert_eq!(told(&network), expected);
    assert_eq!(network.coordinates(), 20 + 5 + 15 + 3 + 3 + 1);
    assert!(network.parameters[0].values.iter().all(|v| v.abs() <= 0.5));
    assert_eq!(network, Network::new(&model, 4, 7).unwrap());
    assert_ne!(network, Network::new(&model, 4, 8).unwrap());
    let linear = Network::new(&Model::LogisticRegression, 3, 7).unwrap();
    assert_eq!(told(&linear), ["0.weight [1, 3]", "0.bias [1]"]);
    assert!(linear.parameters.iter().flat_map(|p| &p.values).all(|v| *v == 0.0));
    let network = Network::with(&small(), Some(&recipe()), 16, 7).unwrap();
    let expected =
        ["0.weight [4, 1, 3, 3]", "0.bias [4]", "1.weight [4]", "1.bias [4]", "4.weight [2, 64]", "4.bias [2]"];
    assert_eq!(told(&network), expected);
    assert_eq!(network.parameters[2].values, vec![1.0; 4]);
    assert!(network.parameters[4].values.iter().all(|v| v.abs() <= 0.125));
    assert_eq!(network.memory.len(), 6);
}

#[test]
fn frozen_parameters_and_adapters_are_told_apart() {
    let frozen = Recipe { frozen: vec!["0.".into(), "1.bias".into()], ..recipe() };
    let network = Network::with(&small(), Some(&frozen), 16, 7).unwrap();
    assert_eq!(told(&network), ["1.weight [4]", "4.weight [2, 64]", "4.bias [2]"]);
    assert_eq!(network.frozen.len(), 3);
    let adapters = Adapters { rank: 2, alpha: real("4"), targets: vec!["4".into()], trained: vec!["4.bias".into()] };
    let adapted = |adapters| Network::with(&small(), Some(&Recipe { adapters: Some(adapters), ..recipe() }), 16, 7);
    let network = adapted(adapters.clone()).unwrap();
    assert_eq!(told(&network), ["4.bias [2]", "4.lora_a [2, 64]", "4.lora_b [2, 2]"]);
    assert_eq!(network.coordinates(), 2 + 128 + 4);
    // B begins at zero: the adapter changes nothing at first.
    let x = Tensor::ones([3, 16], (Kind::Float, tch::Device::Cpu));
    let plain = Network::with(&small(), Some(&recipe()), 16, 7).unwrap();
    let output = |network: &Network| network.leaves().unwrap().output(&x).unwrap();
    assert_eq!(output(&network), output(&plain));
    for (name, target, trained) in [("conv", "0", "4."), ("nothing", "9", "4."), ("prefix", "4", "7.")] {
        let wrong = Adapters { targets: vec![target.into()], trained: vec![trained.into()], ..adapters.clone() };
        assert_eq!(adapted(wrong).unwrap_err().code, Code::PipelineInvalid, "{name}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let with = |recipe: Recipe, features| Network::with(&small(), Some(&recipe), features, 1).map(|_| ());
    assert!(with(recipe(), 16).is_ok());
    let cases = [
        (recipe(), 15),
        (Recipe { loss: Loss::CrossEntropy { classes: 3 }, ..recipe() }, 16),
        (Recipe { loss: Loss::Sum { terms: vec![] }, ..recipe() }, 16),
        (Recipe { frozen: vec!["5.".into()], ..recipe() }, 16),
        (Recipe { frozen: vec![String::new()], ..recipe() }, 16),
    ];
    for (at, (recipe, features)) in cases.into_iter().enumerate() {
        assert_eq!(with(recipe, features).unwrap_err().code, Code::PipelineInvalid, "case {at}");
    }
}

#[test]
fn chunks_are_equal_and_fit_the_memory() {
    let network = Network::with(&small(), Some(&recipe()), 16, 7).unwrap();
    let rows: Vec<i64> = (0..10_000).collect();
    let sizes: Vec<usize> = network.chunks(&rows).map(<[i64]>::len).collect();
    assert_eq!(sizes, [3_334, 3_334, 3_332]);
    assert_eq!(network.chunks(&[]).count(), 0);
    assert_eq!(network.chunks(&rows[..1]).count(), 1);
}

#[test]
fn weights_come_in_exactly_or_not_at_all() {
    let source = Network::with(&small(), Some(&recipe()), 16, 7).unwrap();
    let bytes = artifact::safetensors(&source).unwrap();
    let mut network = Network::with(&small(), Some(&recipe()), 16, 8).unwrap();
    assert_ne!(network, source);
    network.load(&bytes).unwrap();
    assert_eq!(artifact::safetensors(&network).unwrap(), bytes);
    // Frozen weights come in too; adapters are not asked for.
    let adapters = Adapters { rank: 2, alpha: real("4"), targets: vec!["4".into()], trained: vec![] };
    let tuned = Recipe { adapters: Some(adapters), ..recipe() };
    let mut network = Network::with(&small(), Some(&tuned), 16, 8).unwrap();
    network.load(&bytes).unwrap();
    assert_eq!(network.frozen.len(), 6);
    let frozen = network.frozen.iter().find(|p| p.name == "4.weight").unwrap();
    assert!(frozen.values.iter().zip(&source.parameters[4].values).all(|(a, b)| *a == f64::from(*b as f32)));
    // What was tuned comes in with its adapters.
    network.parameters[1].values[0] = 0.5;
    let mut again = Network::with(&small(), Some(&tuned), 16, 9).unwrap();
    again.load(&artifact::safetensors(&network).unwrap()).unwrap();
    assert_eq!(again.parameters[1].values[0], 0.5);

    let refused = |bytes: &[u8]| {
        let mut network = Network::with(&small(), Some(&recipe()), 16, 8).unwrap();
        let before = network.clone();
        let code = network.load(bytes).unwrap_err().code;
        assert_eq!(network, before);
        code == Code::ModelWeights
    };
    let spoilt = |spoil: fn(&mut Network)| {
        let mut network = source.clone();
        spoil(&mut network);
        artifact::safetensors(&network).unwrap()
    };
    assert!(refused(&spoilt(|n| n.parameters[0].name = "0.wight".into())));
    assert!(refused(&spoilt(|n| n.parameters[4].shape = vec![64, 2])));
    assert!(refused(&spoilt(|n| n.parameters[1].values[2] = f64::NAN)));
    assert!(refused(&spoilt(|n| n.parameters.truncate(5))));
    assert!(refused(&bytes[..bytes.len() - 1]));
    assert!(refused(b"PK\x03\x04 a pickle in a zip"));
    let other: Vec<u8> = String::from_utf8_lossy(&bytes[8..400]).replacen("F32", "I32", 1).into_bytes();
    assert!(refused(&[&bytes[..8], &other, &bytes[400..]].concat()));
}
