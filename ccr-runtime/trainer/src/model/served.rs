//! Networks in the hands of the whole worker: from a job to a model.

use schemas::pipeline::{Labels, Model};
use schemas::recipe::{Loss, Optimizer, Recipe, Schedule};
use schemas::worker::{Report, Resume, Start};

use crate::fixtures::{self, Served, real};

/// A job for a network of four inputs and one output, with Adam under a warm-up.
fn job() -> (Start, Vec<String>) {
    let (mut start, files) = fixtures::three_tables(300);
    let text = r#"{"input":{"kind":"vector","features":4},"layers":[{"op":"linear","inputs":4,"outputs":6,"bias":true},
        {"op":"layer_norm","width":6},{"op":"gelu"},{"op":"linear","inputs":6,"outputs":1,"bias":false}]}"#;
    start.training.model = Model::Network { network: serde_json::from_str(text).unwrap() };
    start.training.recipe = Some(Recipe {
        loss: Loss::BinaryCrossEntropy {},
        optimizer: Optimizer::Adam {
            beta1: real("0.9"),
            beta2: real("0.99"),
            epsilon: real("0.0001"),
            weight_decay: real("0.01"),
        },
        schedule: Schedule::Warmup { steps: 5, then: Box::new(Schedule::Cosine { floor: real("0.1") }) },
        frozen: vec!["1.bias".into()],
        adapters: None,
    });
    start.training.learning_rate = real("0.05");
    (start, files)
}

#[test]
fn a_job_trains_a_network_by_its_recipe() {
    let (start, files) = job();
    let Served { reports, model } = fixtures::serve(&start, &files);
    let Some(Report::Done(outcome)) = reports.last() else { panic!("{reports:?}") };
    assert_eq!((outcome.steps, outcome.noise_draws), (30, 30));
    assert!(outcome.metrics.is_some());
    let model = model.unwrap();
    let read = safetensors::SafeTensors::deserialize(&model).unwrap();
    let mut names = read.names();
    names.sort();
    assert_eq!(names, ["0.bias", "0.weight", "1.bias", "1.weight", "3.weight"]);
    // What is frozen leaves as it began.
    assert!(read.tensor("1.bias").unwrap().data().iter().all(|byte| *byte == 0));
    assert_eq!(fixtures::serve(&start, &files).model.unwrap(), model);
    let mut other = start.clone();
    other.training.recipe.as_mut().unwrap().schedule = Schedule::Constant {};
    assert_ne!(fixtures::serve(&other, &files).model.unwrap(), model);
}

/// Classes are told apart by a network with as many outputs; nothing but the model leaves.
#[test]
fn a_job_trains_a_network_for_classes() {
    let (mut start, files) = job();
    let text = serde_json::to_string(&start.training.model).unwrap().replace(r#""outputs":1"#, r#""outputs":3"#);
    start.training.model = serde_json::from_str(&text).unwrap();
    start.training.recipe.as_mut().unwrap().loss = Loss::CrossEntropy { classes: 3 };
    start.training.labels = Some(Labels::Classes { classes: ["0", "1", "none"].map(str::to_owned).to_vec() });
    start.training.positive = String::new();
    start.training.metrics = None;
    start.plan.metrics_noise_multiplier = None;
    let Served { reports, model } = fixtures::serve(&start, &files);
    let Some(Report::Done(outcome)) = reports.last() else { panic!("{reports:?}") };
    assert_eq!((outcome.steps, outcome.noise_draws, &outcome.metrics), (30, 30, &None));
    let model = model.unwrap();
    let read = safetensors::SafeTensors::deserialize(&model).unwrap();
    assert_eq!(read.tensor("3.weight").unwrap().shape(), [3, 6]);
}

/// Cells reach an embedding as they are: without noise just the entries of those tokens move that rows hold.
#[test]
fn a_job_trains_a_network_that_reads_tokens() {
    let entries = |rows: usize| -> Vec<Vec<u8>> {
        let (mut start, _) = job();
        let (three, files) = fixtures::three_tables(rows);
        start.tables = three.tables;
        let text = r#"{"input":{"kind":"tokens","length":4,"vocabulary":60},"layers":[
            {"op":"embedding","count":60,"width":5},{"op":"lstm","inputs":5,"hidden":6},{"op":"last_token"},
            {"op":"linear","inputs":6,"outputs":1,"bias":true}]}"#;
        start.training.model = Model::Network { network: serde_json::from_str(text).unwrap() };
        start.training.recipe = None;
        (start.training.private, start.plan.without_differential_privacy) = (false, true);
        (start.training.epsilon, start.training.delta, start.training.metrics) = (None, None, None);
        (start.plan.noise_multiplier, start.plan.metrics_noise_multiplier) = (real("0"), None);
        let Served { reports, model } = fixtures::serve(&start, &files);
        assert!(matches!(reports.last(), Some(Report::Done(_))), "{reports:?}");
        let model = model.unwrap();
        let read = safetensors::SafeTensors::deserialize(&model).unwrap();
        let table = read.tensor("0.weight").unwrap();
        assert_eq!(table.shape(), [60, 5]);
        table.data().chunks(table.data().len() / 60).map(<[u8]>::to_vec).collect()
    };
    let (before, after) = (entries(0), entries(300));
    let moved: Vec<bool> = before.iter().zip(&after).map(|(before, after)| before != after).collect();
    // Column b has 0 to 49, the other three 0 and 1.
    assert_eq!(moved.iter().position(|moved| !moved), Some(50), "{moved:?}");
    assert!(moved[50..].iter().all(|moved| !moved), "{moved:?}");
}

#[test]
fn what_the_optimiser_remembers_goes_on_too() {
    let (mut start, files) = job();
    let whole = fixtures::serve(&start, &files).model.unwrap();
    start.checkpoint_every = Some(11);
    let frames = fixtures::raw(&start, &files, None);
    let told = frames.iter().zip(&frames[1..]).find_map(|(report, state)| match serde_json::from_slice(report) {
        Ok(Report::Checkpoint { step: 22, .. }) => Some(state.clone()),
        _ => None,
    });
    let state = told.unwrap();
    start.resume = Some(Resume { step: 22, bytes: state.len() as u64 });
    assert_eq!(fixtures::raw(&start, &files, Some(&state)).last().unwrap(), &whole);
}

#[test]
fn jobs_with_broken_networks_fail_by_their_code() {
    type Spoil = fn(&mut Start);
    fn network(start: &mut Start, old: &str, new: &str) {
        let text = serde_json::to_string(&start.training.model).unwrap();
        assert!(text.contains(old));
        start.training.model = serde_json::from_str(&text.replace(old, new)).unwrap();
    }
    let cases: [(&str, Spoil); 6] = [
        ("LIMIT_EXCEEDED", |s| s.plan.expected_batch = fixtures::real("49951")),
        ("MODEL_SHAPE", |s| network(s, r#""inputs":6"#, r#""inputs":5"#)),
        ("LIMIT_EXCEEDED", |s| network(s, r#""outputs":6"#, r#""outputs":70000"#)),
        ("PIPELINE_INVALID", |s| network(s, r#""outputs":1"#, r#""outputs":2"#)),
        ("PIPELINE_INVALID", |s| s.training.recipe.as_mut().unwrap().frozen = vec!["2.".into()]),
        ("PIPELINE_INVALID", |s| s.training.recipe.as_mut().unwrap().loss = Loss::CrossEntropy { classes: 2 }),
    ];
    let (mut start, _) = job();
    start.plan.expected_batch = fixtures::real("49950");
    crate::limits::check(&start).unwrap();
    for (at, (code, spoil)) in cases.into_iter().enumerate() {
        let (mut start, files) = job();
        spoil(&mut start);
        let served = fixtures::serve(&start, &files);
        let [Report::Failed { code: told, .. }] = &served.reports[..] else { panic!("{at}: {served:?}") };
        assert_eq!((told.as_str(), &served.model), (code, &None), "case {at}");
    }
}
