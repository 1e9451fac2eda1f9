//! The audit of one who sees every noised sum (Nasr et al., "Tight Auditing of Differentially Private Machine Learning",
//! 2023): n of them without a canary and n with it, projected on the canary's gradient. A threshold, chosen on the first
//! fifth, tells them apart with error rates whose upper bounds (97.5 % each) give the least μ of Gaussian differential
//! privacy, and so a least ε of the whole training by the accountant.

use policies::accountant::pld;

use super::statistics::{normal_quantile, upper_bound};
use super::{Finding, data, logistic, settings};
use crate::dpsgd::Acts;
use crate::noise::{Grid, Streams};

/// A training and what it claims.
pub struct Claim {
    check: &'static str,
    rate: f64,
    steps: u32,
    noise_multiplier: f64,
}

pub const GATE: Claim = Claim { check: "white box, q 0.01 T 480 σ 1", rate: 0.01, steps: 480, noise_multiplier: 1.0 };

pub const LONG: [Claim; 3] = [
    GATE,
    Claim { check: "white box, q 0.02 T 500 σ 1.5", rate: 0.02, steps: 500, noise_multiplier: 1.5 },
    Claim { check: "white box, q 0.1 T 60 σ 3", rate: 0.1, steps: 60, noise_multiplier: 3.0 },
];

const DELTA: f64 = 1e-5;
const FEATURES: usize = 4;
const ROWS: usize = 10;

pub fn finding(acts: &dyn Acts, claim: &Claim, observations: u32) -> Finding {
    let epsilon = |sigma| pld::epsilon(sigma, claim.rate, claim.steps, DELTA).unwrap();
    let bound = epsilon(claim.noise_multiplier);
    assert!((0.5..=1.5).contains(&bound), "a claim of {bound}");
    let without = observe(acts, claim, false, observations);
    let with = observe(acts, claim, true, observations);
    let first = observations as usize / 5;
    // The threshold that tells the first fifth apart best.
    let apart = |threshold: f64, without: &[f64], with: &[f64], wrong: f64| {
        let false_hits = without.iter().filter(|value| **value > threshold).count() as u32;
        let misses = with.iter().filter(|value| **value <= threshold).count() as u32;
        let (false_hits, misses) =
            (upper_bound(false_hits, without.len() as u32, wrong), upper_bound(misses, with.len() as u32, wrong));
        -normal_quantile(false_hits) - normal_quantile(misses)
    };
    let candidates = (-8..=24).map(|at| f64::from(at) / 8.0);
    let best = candidates
        .map(|threshold| (apart(threshold, &without[..first], &with[..first], 0.025), threshold))
        .fold((f64::NEG_INFINITY, 0.0), |best, next| if next.0 > best.0 { next } else { best });
    let mu = apart(best.1, &without[first..], &with[first..], 0.025);
    let statistic = if mu > 0.0 { epsilon(1.0 / mu) } else { 0.0 };
    Finding { check: claim.check, statistic, bound }
}

/// Noised sums of a step over a few rows, with the canary or without, on its gradient's direction and in clipping norms.
fn observe(acts: &dyn Acts, claim: &Claim, canary: bool, observations: u32) -> Vec<f64> {
    let (mut x, mut y) = ([0.5f32, -0.25, 0.125, 0.0].repeat(ROWS), vec![0.0; ROWS]);
    if canary {
        x.extend([0.0, 0.0, 0.0, 20.0]);
        y.push(1.0);
    }
    let rows: Vec<i64> = (0..y.len() as i64).collect();
    let data = data(x, y, FEATURES);
    let settings = settings("0.01", 1, claim.noise_multiplier, 1.0, ROWS as f64 * 0.01);
    let network = logistic(FEATURES);
    let grid = Grid::new(settings.noise_multiplier, settings.clip, network.coordinates()).unwrap();
    let streams = Streams::new(&[if canary { 41 } else { 42 }; 32]);
    let sums = acts.sums(&network, &data, &rows, &settings).unwrap();
    let scale = settings.expected_batch / acts.divisor(&settings, &data);
    // The canary's gradient points down along the last feature; the others have none there.
    let one = |step| {
        let mut sums = sums.clone();
        acts.noise(&network, &grid, &mut sums, &streams, step).unwrap();
        -sums[0][FEATURES - 1] * scale
    };
    (1..=observations).map(one).collect()
}
