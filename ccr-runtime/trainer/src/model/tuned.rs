//! Fine-tuning: jobs that begin with weights of their own, from the first frame to the model.

use std::collections::BTreeMap;

use safetensors::SafeTensors;
use schemas::Digest;
use schemas::pipeline::Model;
use schemas::recipe::{Adapters, Loss, Optimizer, Recipe, Schedule};
use schemas::weights::Weights;
use schemas::worker::{Report, Resume, Start};
use tch::{Kind, Tensor};

use super::Network;
use crate::artifact;
use crate::fixtures::{self, real};

/// Weights of somebody's network of four inputs and one output.
fn source() -> Network {
    Network::with(&model(), Some(&recipe()), 4, 77).unwrap()
}

fn model() -> Model {
    let text = r#"{"input":{"kind":"vector","features":4},"layers":[{"op":"linear","inputs":4,"outputs":6,"bias":true},
        {"op":"layer_norm","width":6},{"op":"gelu"},{"op":"linear","inputs":6,"outputs":1,"bias":true}]}"#;
    Model::Network { network: serde_json::from_str(text).unwrap() }
}

fn recipe() -> Recipe {
    let optimizer = Optimizer::Sgd { momentum: real("0.9"), weight_decay: real("0.01") };
    let (loss, schedule) = (Loss::BinaryCrossEntropy {}, Schedule::Constant {});
    Recipe { loss, optimizer, schedule, frozen: vec![], adapters: None }
}

fn adapters() -> Recipe {
    let adapters = Adapters { rank: 2, alpha: real("4"), targets: vec!["0".into()], trained: vec!["3.".into()] };
    Recipe { adapters: Some(adapters), ..recipe() }
}

/// A job that begins with these bytes, and its tables.
fn job(recipe: Recipe, weights: &[u8], fresh: &[&str]) -> (Start, Vec<String>) {
    let (mut start, files) = fixtures::three_tables(300);
    start.training.model = model();
    start.training.recipe = Some(recipe);
    let fresh = fresh.iter().map(|prefix| (*prefix).to_owned()).collect();
    start.training.weights = Some(Weights { sha256: Digest::of(weights), fresh, sealed: None });
    (start, files)
}

/// What the worker says to a job and these weights; the model behind it.
fn served(start: &Start, files: &[String], weights: &[u8]) -> Result<Vec<u8>, String> {
    let frames = fixtures::raw_with(start, files, &[weights]);
    match serde_json::from_slice(&frames[0]).unwrap() {
        Report::Failed { code, .. } => Err(code),
        _ => Ok(frames.last().unwrap().clone()),
    }
}

/// The bytes of every tensor.
fn tensors(model: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let read = SafeTensors::deserialize(model).unwrap();
    read.tensors().into_iter().map(|(name, view)| (name, view.data().to_vec())).collect()
}

/// The names of tensors that are not bit for bit as they were.
fn changed(before: &[u8], after: &[u8]) -> Vec<String> {
    let (before, after) = (tensors(before), tensors(after));
    after.into_iter().filter(|(name, bytes)| before.get(name) != Some(bytes)).map(|(name, _)| name).collect()
}

#[test]
fn frozen_layers_leave_bit_for_bit_as_they_came_in() {
    let weights = artifact::safetensors(&source()).unwrap();
    let frozen = Recipe { frozen: vec!["0.".into(), "1.".into()], ..recipe() };
    let (start, files) = job(frozen, &weights, &[]);
    let model = served(&start, &files, &weights).unwrap();
    assert_eq!(tensors(&model).len(), 6);
    assert_eq!(changed(&weights, &model), ["3.bias", "3.weight"]);
    // All of it is learnt where nothing is frozen, and it matters with what it begins.
    let (start, files) = job(recipe(), &weights, &[]);
    let whole = served(&start, &files, &weights).unwrap();
    assert_eq!(changed(&weights, &whole).len(), 6);
    let mut plain = start.clone();
    plain.training.weights = None;
    assert_ne!(fixtures::serve(&plain, &files).model.unwrap(), whole);
}

/// Weights beyond are no network's, but one's who looks for the edges of single precision.
#[test]
fn a_training_begins_with_no_weight_above_ten_thousand() {
    for (value, allowed) in [(1e4, true), (-1e4, true), (10_001.0, false), (-1e18, false)] {
        let mut large = source();
        large.parameters[0].values[1] = value;
        let weights = artifact::safetensors(&large).unwrap();
        let named = Weights { sha256: Digest::of(&weights), fresh: vec![], sealed: None };
        let mut network = Network::with(&model(), Some(&recipe()), 4, 5).unwrap();
        let code = network.begin_with(&named, &weights).err().map(|refusal| refusal.code);
        assert_eq!(code, (!allowed).then_some(schemas::Code::ModelWeights), "{value}");
        // A model that was trained is read whatever it holds.
        network.load(&weights).unwrap();
    }
}

#[test]
fn adapters_begin_at_the_loaded_function_and_alone_are_learnt() {
    let weights = artifact::safetensors(&source()).unwrap();
    let mut network = Network::with(&model(), Some(&adapters()), 4, 5).unwrap();
    let named = Weights { sha256: Digest::of(&weights), fresh: vec![], sealed: None };
    network.begin_with(&named, &weights).unwrap();
    let x = Tensor::from_slice(&[0.3f32, -0.2, 0.9, 0.1, -1.0, 0.5, 0.25, -0.75]).reshape([2, 4]);
    let output = |network: &Network| {
        let output = network.leaves().unwrap().output(&x).unwrap().to_kind(Kind::Double).reshape([-1]);
        Vec::<f64>::try_from(output).unwrap()
    };
    assert_eq!(output(&network), output(&source()));
    let first = artifact::safetensors(&network).unwrap();

    let (start, files) = job(adapters(), &weights, &[]);
    let tuned = served(&start, &files, &weights).unwrap();
    let mut learnt = changed(&weights, &tuned);
    assert_eq!(learnt, ["0.lora_a", "0.lora_b", "3.bias", "3.weight"]);
    learnt.retain(|name| name.ends_with("lora_b"));
    let b = &tensors(&tuned)[&learnt[0]];
    assert!(b.as_chunks::<4>().0.iter().any(|word| f32::from_le_bytes(*word) != 0.0), "B has left zero");
    assert_ne!(changed(&first, &tuned), Vec::<String>::new());

    // What was tuned is where the next tuning begins, adapters and all.
    let (start, files) = job(adapters(), &tuned, &[]);
    assert!(served(&start, &files, &tuned).is_ok());
}

#[test]
fn a_new_head_begins_from_the_seed_and_nothing_else_may_be_missing() {
    let mut headless = source();
    headless.parameters.retain(|parameter| !parameter.name.starts_with("3."));
    let weights = artifact::safetensors(&headless).unwrap();
    let frozen = Recipe { frozen: vec!["0.".into(), "1.".into()], ..recipe() };
    let (start, files) = job(frozen.clone(), &weights, &["3."]);
    let model = served(&start, &files, &weights).unwrap();
    assert_eq!(changed(&weights, &model), ["3.bias", "3.weight"]);
    let mut other = start.clone();
    other.training.init_seed += 1;
    assert_ne!(tensors(&served(&other, &files, &weights).unwrap())["3.weight"], tensors(&model)["3.weight"]);
    // Not declared, or declared and there all the same.
    let (start, files) = job(frozen.clone(), &weights, &[]);
    assert_eq!(served(&start, &files, &weights), Err("MODEL_WEIGHTS".into()));
    let whole = artifact::safetensors(&source()).unwrap();
    let (start, files) = job(frozen, &whole, &["3."]);
    assert_eq!(served(&start, &files, &whole), Err("MODEL_WEIGHTS".into()));
}

#[test]
fn weights_that_do_not_fit_are_refused_before_the_first_step() {
    let spoilt = |spoil: fn(&mut Network)| {
        let mut network = source();
        spoil(&mut network);
        artifact::safetensors(&network).unwrap()
    };
    let whole = spoilt(|_| ());
    let half = String::from_utf8_lossy(&whole[8..200]).replacen("F32", "I32", 1).into_bytes();
    let files: [(&str, Vec<u8>); 8] = [
        ("missing", spoilt(|n| drop(n.parameters.pop()))),
        (
            "too many",
            spoilt(|n| n.parameters.push(super::Parameter { name: "9.bias".into(), ..n.parameters[1].clone() })),
        ),
        ("another shape", spoilt(|n| n.parameters[0].shape = vec![4, 6])),
        ("no number", spoilt(|n| n.parameters[0].values[3] = f64::NAN)),
        ("infinite", spoilt(|n| n.parameters[0].values[3] = f64::INFINITY)),
        ("another type", [&whole[..8], &half, &whole[200..]].concat()),
        ("cut off", whole[..whole.len() - 1].to_vec()),
        ("a pickle", b"\x80\x02}q\x00.".to_vec()),
    ];
    for (what, weights) in files {
        let (start, tables) = job(recipe(), &weights, &[]);
        assert_eq!(served(&start, &tables, &weights), Err("MODEL_WEIGHTS".into()), "{what}");
    }
    // Another file than the training names, none at all, and trees.
    let (start, tables) = job(recipe(), &whole, &[]);
    let other = spoilt(|n| n.parameters[0].values[0] += 1.0);
    assert_eq!(served(&start, &tables, &other), Err("WEIGHTS_MISMATCH".into()));
    let alone = fixtures::raw_with(&start, &tables, &[]);
    assert!(
        matches!(serde_json::from_slice(&alone[0]).unwrap(), Report::Failed { code, .. } if code == "WORKER_PROTOCOL")
    );
    let mut trees = start;
    trees.training.recipe = None;
    trees.training.model =
        serde_json::from_str(r#"{"kind":"trees","trees":{"depth":2,"features_per_tree":1,"regularization":"1"}}"#)
            .unwrap();
    assert_eq!(served(&trees, &tables, &whole), Err("PIPELINE_INVALID".into()));
}

/// Noise, sampling and checkpoints are bound to the weights, and a worker's successor begins with them again.
#[test]
fn a_successor_begins_with_the_same_weights_and_noise_is_bound_to_them() {
    let weights = artifact::safetensors(&source()).unwrap();
    let (mut start, files) = job(adapters(), &weights, &[]);
    let whole = served(&start, &files, &weights).unwrap();
    start.checkpoint_every = Some(11);
    let frames = fixtures::raw_with(&start, &files, &[&weights]);
    let state = frames.iter().zip(&frames[1..]).find_map(|(report, state)| match serde_json::from_slice(report) {
        Ok(Report::Checkpoint { step: 22, .. }) => Some(state.clone()),
        _ => None,
    });
    let state = state.unwrap();
    start.resume = Some(Resume { step: 22, bytes: state.len() as u64 });
    assert_eq!(fixtures::raw_with(&start, &files, &[&weights, &state]).last().unwrap(), &whole);

    // The state of one file's training is none of another's.
    let mut other = source();
    other.parameters[0].values[0] += 0.5;
    let others = artifact::safetensors(&other).unwrap();
    let configuration = start.configuration().unwrap();
    start.training.weights.as_mut().unwrap().sha256 = Digest::of(&others);
    assert_ne!(start.configuration().unwrap(), configuration);
    let frames = fixtures::raw_with(&start, &files, &[&others, &state]);
    assert!(
        matches!(serde_json::from_slice(&frames[0]).unwrap(), Report::Failed { code, .. } if code == "WORKER_PROTOCOL")
    );
}
