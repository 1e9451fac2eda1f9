//! What trees are worth: a generated credit table whose risk is no straight line, the private trees and the private
//! linear model at the same ε, judged outside of the worker by their artifacts alone.

use std::fmt::Write as _;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::Rng;
use policies::accountant::{Event, RdpVector, calibrate};
use safetensors::SafeTensors;
use schemas::pipeline::{Join, Model};
use schemas::text::{Bytes, Real};
use schemas::worker::Start;

use super::tests::trees;
use crate::fixtures::{column, feature, head, real, serve, start};
use crate::noise::Streams;
use crate::quality::{auc, numbers};
use crate::table;

const ROWS: usize = 8_000;
const FEATURES: usize = 20;
const DELTA: f64 = 1e-5;

/// Uniform and normal numbers of a public seed.
struct Draw(ChaCha20Rng);

impl Draw {
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * 2f64.powi(-53)
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().max(1e-300).ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// A table of applicants: some figures uniform, some normal and correlated, some skewed. Risk rises at both ends of some,
/// beyond thresholds of others, and straight with a few; one pair works only together. About one in eight defaults.
fn table() -> String {
    let mut draw = Draw(Streams::new(&[77; 32]).init("credit").unwrap());
    let names: Vec<String> = (0..FEATURES).map(|j| format!("f{j}")).collect();
    let mut text = format!("id,target,{}\n", names.join(","));
    for person in 0..ROWS {
        let common = draw.normal();
        let x: Vec<f64> = (0..FEATURES)
            .map(|j| match j % 4 {
                0 => 2.0 * draw.unit() - 1.0,
                1 => ((0.5 * common + draw.normal()) * 0.4).clamp(-1.0, 1.0),
                2 => 2.0 * draw.unit().powi(2) - 1.0,
                _ => (0.35 * draw.normal()).clamp(-1.0, 1.0),
            })
            .collect();
        let when = |holds: bool, risk: f64| if holds { risk } else { 0.0 };
        let z = -4.3
            + when(x[0].abs() > 0.6, 1.2)
            + when(x[2] > 0.2, 1.5)
            + when(x[4] > 0.0 && x[5] > 0.0, 1.0)
            + 1.2 * (2.0 * x[3].abs()).min(1.0)
            + 0.6 * (3.0 * x[8]).sin()
            - x[1]
            - 0.8 * x[6]
            + 0.5 * x[7]
            + 0.4 * x[9];
        let target = u8::from(draw.unit() < 1.0 / (1.0 + (-z).exp()));
        write!(text, "{person},{target}").unwrap();
        x.iter().for_each(|value| write!(text, ",{:.5}", value + 1.0).unwrap()); // bounds are never negative
        text.push('\n');
    }
    text
}

/// A job over the table at this ε: sample rate 1, so every step is a plain Gaussian, priced by the accountant.
fn job(text: &str, model: Model, epsilon: f64, steps: u32, clip: &str, rate: &str) -> Start {
    let names: Vec<String> = (0..FEATURES).map(|j| format!("f{j}")).collect();
    let columns: Vec<&str> = ["id", "target"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let projection = columns.iter().map(|name| column(&format!("t.{name}"))).collect();
    let join =
        Join { name: "j".into(), first: "t".into(), steps: vec![], projection, filters: vec![], aggregates: vec![] };
    let features = names.iter().map(|name| feature(&format!("t.{name}"), "0", "2")).collect();
    let mut start = start(vec![head("t", &columns, text.len())], join, features, "t.target", "t.id", steps);
    let noise = calibrate(epsilon, DELTA, 1.0, steps, &RdpVector::zero(), 1.0).unwrap();
    let spent = RdpVector::of(&[Event::Gaussian { noise_multiplier: noise, count: steps }]).unwrap().epsilon(DELTA);
    assert!(spent <= epsilon, "{spent}");
    (start.training.model, start.training.metrics) = (model, None);
    (start.training.clipping_norm, start.training.learning_rate) = (real(clip), real(rate));
    (start.training.sample_rate, start.plan.sample_rate) = (real("1"), real("1"));
    start.plan.noise_multiplier = Real::rounded_up(noise, 3).unwrap();
    start.plan.expected_batch = real("6400");
    start.plan.metrics_noise_multiplier = None;
    start
}

/// Scores from the artifact alone, as its documentation says.
fn scores(model: &[u8], rows: &[f32]) -> Vec<f64> {
    let model = SafeTensors::deserialize(model).unwrap();
    let rows = rows.chunks(FEATURES);
    if model.names().iter().any(|name| name.as_str() == "0.weight") {
        let (weights, bias) = (numbers(&model, "0.weight"), numbers(&model, "0.bias")[0]);
        return rows.map(|x| x.iter().zip(&weights).map(|(x, w)| f64::from(*x) * w).sum::<f64>() + bias).collect();
    }
    let shape = model.tensor("trees.leaf").unwrap().shape().to_vec();
    let (count, leaves) = (shape[0], shape[1]);
    let data = model.tensor("trees.feature").unwrap();
    let features: Vec<usize> =
        data.data().chunks(4).map(|b| i32::from_le_bytes(b.try_into().unwrap()) as usize).collect();
    let (thresholds, values) = (numbers(&model, "trees.threshold"), numbers(&model, "trees.leaf"));
    let score = |x: &[f32]| {
        let of_tree = |tree: usize| {
            let mut at = 0;
            while at < leaves - 1 {
                let split = tree * (leaves - 1) + at;
                at = 2 * at + 1 + usize::from(f64::from(x[features[split]]) >= thresholds[split]);
            }
            values[tree * leaves + at - (leaves - 1)]
        };
        (0..count).map(of_tree).sum()
    };
    rows.map(score).collect()
}

/// Median area over some secret seeds and splits.
fn median(start: &Start, text: &str, seeds: u8) -> f64 {
    let mut areas: Vec<f64> = (1..=seeds)
        .map(|seed| {
            let mut start = start.clone();
            start.training.split_salt = Bytes(vec![seed; 32]);
            start.seed.0 = Bytes(vec![100 + seed; 32]);
            let model = serve(&start, &[text.to_owned()]).model.unwrap();
            let read = table::read(&start.tables[0], text.as_bytes()).unwrap();
            let held_out = table::prepare(&start, vec![read]).unwrap().held_out;
            auc(&scores(&model, &held_out.features), &held_out.labels)
        })
        .collect();
    areas.sort_by(f64::total_cmp);
    areas[areas.len() / 2]
}

fn forest(text: &str, epsilon: f64) -> Start {
    job(text, Model::Trees { trees: trees(2, 1) }, epsilon, 200, "0.3", "0.3")
}

/// The linear model with the best of some steps, rates and norms: chosen on the held-out part, which favours it.
fn best_linear(text: &str, epsilon: f64, seeds: u8) -> f64 {
    let tried = [(30, "16", "1"), (60, "8", "1"), (30, "16", "0.5"), (60, "16", "0.5"), (60, "16", "0.3")];
    let areas = tried.map(|(steps, rate, clip)| {
        median(&job(text, Model::LogisticRegression, epsilon, steps, clip, rate), text, seeds)
    });
    areas.into_iter().fold(0.0, f64::max)
}

#[test]
fn private_trees_rank_better_than_the_private_linear_model_at_the_same_epsilon() {
    let text = table();
    let defaults = text.lines().filter(|line| line.split(',').nth(1) == Some("1")).count();
    println!("{ROWS} rows, {FEATURES} features, {defaults} defaults, δ = {DELTA}");
    let (trees, linear) = (median(&forest(&text, 1.0), &text, 3), best_linear(&text, 1.0, 3));
    println!("ε = 1: median AUC of private trees {trees:.4}, of the best private linear model {linear:.4}");
    assert!(trees > linear + 0.01, "{trees} against {linear}");
    assert!(trees > 0.70, "{trees}");
}

#[test]
#[ignore = "minutes: four ε, nine splits"]
fn private_trees_rank_better_from_an_epsilon_of_one_on() {
    let text = table();
    for epsilon in [0.5, 1.0, 2.0, 4.0] {
        let (trees, linear) = (median(&forest(&text, epsilon), &text, 9), best_linear(&text, epsilon, 9));
        println!("ε = {epsilon}: median AUC of private trees {trees:.4}, of the best private linear model {linear:.4}");
        // Below, 6,400 rows are too few for curves: the linear model, which has 21 numbers to learn, is ahead or level.
        assert!(trees > linear || epsilon < 1.0, "ε {epsilon}: {trees} against {linear}");
    }
}
