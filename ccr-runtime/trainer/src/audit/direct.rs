//! What can be measured without guessing: how far one row moves a sum, what the noise looks like, whom a step takes.

use chacha20::rand_core::Rng;
use schemas::pipeline::Model;

use super::bugs::norm;
use super::statistics::normal_cdf;
use super::{Finding, data, logistic, settings};
use crate::dpsgd::{Acts, Position, train_by};
use crate::model::Network;
use crate::noise::{Grid, Streams};

const FEATURES: usize = 6;
/// Rows before the adversary's is added: all alike, so that nothing cancels.
const ROWS: usize = 50;

/// Without noise: the most that one row more, whatever it holds, moves the mean of a step, in clipping norms over the
/// public divisor.
pub fn sensitivity(acts: &dyn Acts) -> Finding {
    let (clip, rate) = (0.3, 0.5);
    let settings = settings("0.5", 1, 1.0, clip, rate * ROWS as f64);
    let (mut worst, mut stream) = (0.0f64, Streams::new(&[21; 32]).init("adversary").unwrap());
    let mut unit = || (stream.next_u64() >> 40) as f32 / (1u64 << 24) as f32;
    for model in [Model::LogisticRegression, Model::Mlp { hidden: vec![7, 5] }] {
        let mut network = Network::new(&model, FEATURES, 3).unwrap();
        for (place, value) in network.parameters.iter_mut().flat_map(|p| &mut p.values).enumerate() {
            *value = *value * 2.0 + ((place * 7 % 5) as f64 - 2.0) * 0.2;
        }
        let (base, label) = ((0..FEATURES).map(|at| 0.9 - at as f32 * 0.1).collect::<Vec<_>>(), 0.0f32);
        let step = |extra: Option<(&[f32], f32)>| {
            let (mut x, mut y) = (base.repeat(ROWS), vec![label; ROWS]);
            if let Some((row, label)) = extra {
                x.extend_from_slice(row);
                y.push(label);
            }
            let rows: Vec<i64> = (0..y.len() as i64).collect();
            let data = data(x, y, FEATURES);
            let scale = settings.expected_batch / acts.divisor(&settings, &data);
            let sums = acts.sums(&network, &data, &rows, &settings).unwrap().concat();
            sums.into_iter().map(|sum| sum * scale).collect::<Vec<f64>>()
        };
        let without = step(None);
        for at in 0..60 {
            let size = [0.1, 1.0, 30.0, 1e12, 3e38][at % 5];
            let mut row: Vec<f32> = (0..FEATURES).map(|_| size * (2.0 * unit() - 1.0)).collect();
            match at {
                0 => row.clone_from(&base),
                1 => row = base.iter().map(|value| -value).collect(),
                2..10 => row[at % FEATURES] = [f32::NAN, f32::INFINITY][at % 2],
                _ => {}
            }
            for label in [0.0, 1.0] {
                let moved: Vec<f64> =
                    step(Some((&row, label))).iter().zip(&without).map(|(with, without)| with - without).collect();
                worst = worst.max(norm(&moved) / clip);
            }
        }
    }
    Finding { check: "sensitivity / C, noise off", statistic: worst, bound: 1.0 + 1e-6 }
}

const SIGMA: f64 = 1.5;
const CLIP: f64 = 0.7;

/// A million draws as steps make them, in deviations.
fn draws(acts: &dyn Acts, features: usize, steps: u32) -> Vec<Vec<f64>> {
    let network = logistic(features);
    let grid = Grid::new(SIGMA, CLIP, network.coordinates()).unwrap();
    let streams = Streams::new(&[22; 32]);
    let draw = |step| {
        let mut sums = vec![vec![0.0; features], vec![0.0]];
        acts.noise(&network, &grid, &mut sums, &streams, step).unwrap();
        sums.concat().into_iter().map(|value| value / SIGMA / CLIP).collect()
    };
    (1..=steps).map(draw).collect()
}

/// How far the noise's deviation lies from the planned one, at 10^6 draws (its own deviation: 0.0007).
pub fn deviation(acts: &dyn Acts) -> Finding {
    let values = draws(acts, 999, 1_000).concat();
    let square = values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64;
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let statistic = (square.sqrt() - 1.0).abs().max(mean.abs());
    Finding { check: "noise: deviation and mean, 10^6", statistic, bound: 0.01 }
}

/// Kolmogorov and Smirnov's distance from the normal distribution, in units of its 99.99 % point.
pub fn distribution(acts: &dyn Acts) -> Finding {
    let mut values = draws(acts, 999, 200).concat();
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let distance = |(at, value): (usize, &f64)| {
        let cdf = normal_cdf(*value);
        (cdf - at as f64 / n).max((at as f64 + 1.0) / n - cdf)
    };
    let statistic = values.iter().enumerate().map(distance).fold(0.0, f64::max) * n.sqrt() / 2.226;
    Finding { check: "noise: Kolmogorov-Smirnov", statistic, bound: 1.0 }
}

/// The largest correlation between steps and between parameters, in its own deviations.
pub fn independence(acts: &dyn Acts) -> Finding {
    let steps = draws(acts, 9_999, 21);
    let product = |a: &[f64], b: &[f64]| {
        let n = a.len().min(b.len());
        a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>().abs() / (n as f64).sqrt()
    };
    let mut worst = 0.0f64;
    for (at, step) in steps.iter().enumerate() {
        for lag in 1..4 {
            worst = worst.max(product(step, &step[lag..]));
            worst = steps.get(at + lag).map_or(worst, |later| worst.max(product(step, later)));
        }
    }
    Finding { check: "noise: correlation", statistic: worst, bound: 4.8 }
}

/// Whom steps take: variance of the counts of rows, variance of the sizes of batches, and how often pairs meet, each over
/// what independent draws have; the largest distance from 1.
pub fn sampling(acts: &dyn Acts) -> Finding {
    let (rows, steps, rate) = (500usize, 2_000u32, 0.05);
    let settings = settings("0.05", steps, 1.0, 1.0, rate * rows as f64);
    let data = data(vec![0.0; rows], vec![0.0; rows], 1);
    let streams = Streams::new(&[23; 32]);
    let (mut counts, mut sizes, mut pairs) = (vec![0.0f64; rows], vec![], vec![0u16; rows * rows]);
    for step in 1..=steps {
        let taken = acts.rows(&settings, &data, &streams, step).unwrap();
        sizes.push(taken.len() as f64);
        for (at, one) in taken.iter().enumerate() {
            counts[*one as usize] += 1.0;
            for other in &taken[at + 1..] {
                let (low, high) = (*one.min(other) as usize, *one.max(other) as usize);
                pairs[low * rows + high] += 1;
            }
        }
    }
    let (n, t) = (rows as f64, f64::from(steps));
    let spread = |values: &[f64], mean: f64, variance: f64| {
        values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64 / variance
    };
    let of_rows = spread(&counts, t * rate, t * rate * (1.0 - rate));
    let of_sizes = spread(&sizes, n * rate, n * rate * (1.0 - rate));
    let both = rate * rate;
    let met: Vec<f64> = (0..rows)
        .flat_map(|low| (low + 1..rows).map(move |high| (low, high)))
        .map(|(low, high)| f64::from(pairs[low * rows + high]))
        .collect();
    let of_pairs = spread(&met, t * both, t * both * (1.0 - both));
    let statistic = [of_rows, of_sizes, of_pairs].iter().map(|ratio| (ratio - 1.0).abs()).fold(0.0, f64::max);
    Finding { check: "sampler: counts, sizes, pairs", statistic, bound: 0.25 }
}

/// Steps of a training without rows that leave some weight as it was, or are not counted.
pub fn empty_steps(acts: &dyn Acts) -> Finding {
    let settings = settings("0.01", 40, 1.0, 1.0, 10.0);
    let (mut network, data) = (logistic(3), data(vec![], vec![], 3));
    let mut before = network.clone();
    let mut idle = 0.0;
    let trained =
        train_by(acts, &mut network, &data, &settings, &Streams::new(&[24; 32]), Position::default(), |now, _| {
            let still = |(a, b): (&crate::model::Parameter, &crate::model::Parameter)| {
                a.values.iter().zip(&b.values).any(|(a, b)| a == b)
            };
            idle += f64::from(u8::from(now.parameters.iter().zip(&before.parameters).any(still)));
            before = now.clone();
            Ok(())
        });
    let uncounted = if trained.is_ok_and(|trained| trained.noise_draws == settings.steps) { 0.0 } else { 1.0 };
    Finding { check: "empty steps without noise", statistic: idle + uncounted, bound: 0.0 }
}
