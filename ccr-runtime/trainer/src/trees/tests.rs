use chacha20::rand_core::Rng;
use safetensors::SafeTensors;
use schemas::pipeline::Model;
use schemas::text::{Bytes, Real};
use schemas::worker::{Report, SeedBytes, Start};

use super::*;
use crate::fixtures::{self, Served};

pub fn trees(depth: u8, features_per_tree: u8) -> Trees {
    Trees { depth, features_per_tree, regularization: Real::parse("20").unwrap() }
}

fn settings(noise: &str, depth: u8, clip: &str) -> Settings {
    let (mut start, _) = fixtures::three_tables(1);
    start.plan.noise_multiplier = Real::parse(noise).unwrap();
    (start.plan.sample_rate, start.training.clipping_norm) = (Real::parse("1").unwrap(), Real::parse(clip).unwrap());
    Settings::new(&trees(depth, depth.min(2)), &start.plan, &start.training).unwrap()
}

fn rows(count: usize) -> (Vec<f32>, Vec<f32>) {
    let mut stream = Streams::new(&[8; 32]).init("rows").unwrap();
    let mut unit = || (stream.next_u64() >> 40) as f32 / (1u64 << 24) as f32;
    let features: Vec<f32> = (0..count * 4).map(|_| 2.0 * unit() - 1.0).collect();
    let labels = features.chunks(4).map(|row| f32::from(row[0].abs() > 0.5)).collect();
    (features, labels)
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn one_row_more_moves_the_sums_by_at_most_the_clipping_norm_however_bad_it_is() {
    let (features, labels) = rows(300);
    let mut largest = 0f64;
    for clip in [0.05, 0.5, 1.0, 7.0] {
        let mut deal = Deal::new(4, &trees(3, 2), &Streams::new(&[1; 32])).unwrap();
        for draw in 0..40u32 {
            let shape = deal.shape();
            let logits: Vec<f64> = (0..300).map(|row| f64::from(row * (draw + 1) % 17) - 8.0).collect();
            let sums = |features: &[f32], labels: &[f32], logits: &[f64]| {
                Rows { features, labels, width: 4, logits }.clipped_sums(&shape, 8, 0..labels.len(), clip)
            };
            let before = sums(&features, &labels, &logits);
            for logit in [0.0, 1e308, -1e308, f64::INFINITY, f64::NAN, 40.0, -0.7, 3.0, 0.62] {
                for (label, cell) in [(0.0, 1.0), (1.0, -1.0), (1.0, f32::NAN), (0.0, f32::INFINITY)] {
                    let more = sums(
                        &[&features[..], &[cell; 4]].concat(),
                        &[&labels[..], &[label]].concat(),
                        &[&logits[..], &[logit]].concat(),
                    );
                    let moved = distance(&before, &more);
                    largest = largest.max(moved / clip);
                    assert!(moved <= clip, "clip {clip}, logit {logit}: {moved}");
                }
            }
        }
    }
    println!("largest move over clipping norm {largest:.6} of 5,760 neighbours");
    assert!(largest > 0.999, "the adversary never reached the bound: {largest}");
}

#[test]
fn a_norm_of_one_clips_no_row_and_a_smaller_one_does() {
    for step in 0..=2_000 {
        let logit = f64::from(step) / 50.0 - 20.0;
        for label in [0.0, 1.0] {
            let free = share(logit, label, 1e9);
            assert!(free.0.hypot(free.1) <= 1.0, "{logit}");
            assert!(distance(&[free.0, free.1], &[share(logit, label, 1.0).0, share(logit, label, 1.0).1]) < 2e-5);
            let clipped = share(logit, label, 0.1);
            assert!(clipped.0.hypot(clipped.1) <= 0.1);
        }
    }
}

#[test]
fn splits_come_from_the_public_seed_and_never_from_rows_or_the_secret() {
    let (features, labels) = rows(300);
    let grown = |rows: usize, seed: u8| {
        let streams = Streams::new(&[seed; 32]);
        grow(&features[..rows * 4], &labels[..rows], 4, &settings("1.5", 3, "1"), &streams, |_| Ok(())).unwrap().0
    };
    let shapes = |forest: &Forest| forest.trees.iter().map(|tree| tree.shape.clone()).collect::<Vec<_>>();
    let leaves = |forest: &Forest| forest.trees.iter().map(|tree| tree.leaves.clone()).collect::<Vec<_>>();
    let (all, fewer, other, none) = (grown(300, 1), grown(299, 1), grown(300, 2), grown(0, 1));
    for forest in [&fewer, &other, &none] {
        assert_eq!(shapes(&all), shapes(forest));
        assert_ne!(leaves(&all), leaves(forest));
    }
    assert_eq!(all, grown(300, 1));
    let dealt: Vec<Vec<usize>> =
        shapes(&all).iter().map(|shape| shape.splits.iter().map(|(feature, _)| *feature).collect()).collect();
    assert!(
        dealt.iter().all(|tree| tree.len() == 7 && tree.iter().collect::<std::collections::HashSet<_>>().len() <= 2)
    );
    assert!((0..4).all(|feature| dealt.iter().any(|tree| tree.contains(&feature))));
}

#[test]
fn every_tree_draws_noise_even_without_rows_and_of_the_planned_deviation() {
    let settings = settings("3.0", 2, "0.5");
    let (mut squares, steps) = (Vec::new(), settings.steps);
    for seed in 0..60u8 {
        let (forest, trained) = grow(&[], &[], 4, &settings, &Streams::new(&[seed; 32]), |_| Ok(())).unwrap();
        assert_eq!((trained.noise_draws, forest.trees.len() as u32), (steps, steps));
        // Without rows the weight is noise of deviation 0.5, small beside the regularization of 20, and may be 0.
        squares.extend(forest.trees.iter().flat_map(|t| &t.leaves).map(|leaf| (f64::from(*leaf) * 20.0 / 0.5).powi(2)));
    }
    let deviation = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
    println!("deviation of {} leaves without rows: {deviation:.4}, planned 1.5", squares.len());
    assert!((deviation / 1.5 - 1.0).abs() < 0.04); // 7,200 draws; the weights take about 1 % off
}

fn job(rows: usize) -> (Start, Vec<String>) {
    let (mut start, files) = fixtures::three_tables(rows);
    start.training.model = Model::Trees { trees: trees(3, 2) };
    (start, files)
}

#[test]
fn a_job_of_trees_is_served_and_its_artifact_is_the_model() {
    let (start, files) = job(400);
    let Served { reports, model } = fixtures::serve(&start, &files);
    let Some(Report::Done(outcome)) = reports.last() else { panic!("{reports:?}") };
    assert_eq!((outcome.steps, outcome.noise_draws, outcome.kind.as_str()), (30, 30, "model"));
    assert!(outcome.metrics.is_some());
    let model = model.unwrap();
    let read = SafeTensors::deserialize(&model).unwrap();
    let shapes: Vec<(String, Vec<usize>)> =
        read.tensors().into_iter().map(|(name, tensor)| (name, tensor.shape().to_vec())).collect();
    for (name, shape) in [("trees.feature", [30, 7]), ("trees.leaf", [30, 8]), ("trees.threshold", [30, 7])] {
        assert!(shapes.contains(&(name.to_owned(), shape.to_vec())), "{shapes:?}");
    }
    assert_eq!(fixtures::serve(&start, &files).model.unwrap(), model);
    let mut other = start.clone();
    other.seed = SeedBytes(Bytes(vec![9; 32]));
    assert_ne!(fixtures::serve(&other, &files).model.unwrap(), model);
}

#[test]
fn what_is_said_of_neighbours_differs_in_nothing_but_the_model_and_the_metrics() {
    let (start, files) = job(200);
    let said = |files: &[String]| {
        let mut start = start.clone();
        start.tables.iter_mut().zip(files).for_each(|(head, file)| head.bytes = file.len() as u64);
        let Served { mut reports, model } = fixtures::serve(&start, files);
        if let Some(Report::Done(outcome)) = reports.last_mut() {
            (outcome.sha256, outcome.metrics) = (schemas::Digest([0; 32]), None);
        }
        (reports, model.unwrap())
    };
    let fewer: Vec<String> =
        files.iter().map(|f| f.lines().filter(|l| !l.starts_with("p7,")).map(|l| format!("{l}\n")).collect()).collect();
    let ((all, model), (less, other)) = (said(&files), said(&fewer));
    assert_eq!(all, less);
    assert_eq!(model.len(), other.len());
    assert_ne!(model, other);
}

#[test]
fn trees_out_of_range_are_refused() {
    let refused = |spoil: fn(&mut Trees, &mut Start)| {
        let (mut start, files) = job(20);
        let mut asked = trees(3, 2);
        spoil(&mut asked, &mut start);
        start.training.model = Model::Trees { trees: asked };
        match fixtures::serve(&start, &files).reports.last() {
            Some(Report::Failed { code, .. }) => code.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(|t, _| t.depth = 0), "PIPELINE_INVALID");
    assert_eq!(refused(|t, _| t.depth = 7), "PIPELINE_INVALID");
    assert_eq!(refused(|t, _| t.features_per_tree = 4), "PIPELINE_INVALID");
    assert_eq!(refused(|t, _| t.features_per_tree = 0), "PIPELINE_INVALID");
    assert_eq!(refused(|t, _| t.regularization = Real::parse("0").unwrap()), "PIPELINE_INVALID");
    assert_eq!(refused(|_, s| (s.plan.steps, s.training.steps) = (200_000, 200_000)), "PIPELINE_INVALID");
}
