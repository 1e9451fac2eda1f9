//! The audit of one training run (Steinke, Nasr, Jagielski, "Privacy Auditing with One (1) Training Run", 2023): each of m
//! canaries is in the data with probability ½; from the model the auditor guesses which were, and how often the guesses
//! are right bounds ε from below, at 95 %. The p-value is that of the paper's appendix D.

use chacha20::rand_core::Rng;

use super::statistics::binomial;
use super::{Finding, data, logistic, settings};
use crate::dpsgd::{Acts, Position, train_by};
use crate::noise::Streams;
use policies::accountant::pld;

/// A training and what it claims.
pub struct Claim {
    check: &'static str,
    rate: &'static str,
    steps: u32,
    noise_multiplier: f64,
}

pub const DELTA: f64 = 1e-5;

pub const GATE: [Claim; 2] = [
    Claim { check: "one run, q 1 T 1 σ 4.5", rate: "1", steps: 1, noise_multiplier: 4.5 },
    Claim { check: "one run, q 0.1 T 60 σ 4", rate: "0.1", steps: 60, noise_multiplier: 4.0 },
];

pub const LONG: [Claim; 3] = [
    Claim { check: "one run 5,000, q 1 T 1 σ 4.5", rate: "1", steps: 1, noise_multiplier: 4.5 },
    Claim { check: "one run 5,000, q 0.1 T 60 σ 4", rate: "0.1", steps: 60, noise_multiplier: 4.0 },
    Claim { check: "one run 5,000, q 0.01 T 300 σ 0.9", rate: "0.01", steps: 300, noise_multiplier: 0.9 },
];

/// The lower bound against the claim, which is between 0.5 and 1.5: of larger claims this audit sees nothing.
pub fn finding(acts: &dyn Acts, claim: &Claim, canaries: usize) -> Finding {
    let rate: f64 = claim.rate.parse().unwrap();
    let bound = pld::epsilon(claim.noise_multiplier, rate, claim.steps, DELTA).unwrap();
    assert!((0.5..=1.5).contains(&bound), "a claim of {bound}");
    Finding { check: claim.check, statistic: lower_bound(acts, claim, rate, canaries), bound }
}

/// Each canary is a feature of its own, with a gradient ten times the clipping norm.
fn lower_bound(acts: &dyn Acts, claim: &Claim, rate: f64, canaries: usize) -> f64 {
    let mut coins = Streams::new(&[31; 32]).init("coins").unwrap();
    let member: Vec<bool> = (0..canaries).map(|_| coins.next_u64() & 1 == 1).collect();
    let members: Vec<usize> = (0..canaries).filter(|at| member[*at]).collect();
    let mut x = vec![0f32; members.len() * canaries];
    for (row, at) in members.iter().enumerate() {
        x[row * canaries + at] = 20.0;
    }
    let data = data(x, vec![1.0; members.len()], canaries);
    let settings = settings(claim.rate, claim.steps, claim.noise_multiplier, 1.0, rate * canaries as f64 / 2.0);
    let mut network = logistic(canaries);
    let streams = Streams::new(&[32; 32]);
    if train_by(acts, &mut network, &data, &settings, &streams, Position::default(), |_, _| Ok(())).is_err() {
        return 0.0; // nothing came out
    }
    let mut by_score: Vec<(f64, bool)> = network.parameters[0].values.iter().copied().zip(member).collect();
    by_score.sort_by(|a, b| a.0.total_cmp(&b.0));
    let right = |guesses: usize| {
        let out = by_score[..guesses].iter().filter(|(_, member)| !member).count();
        (out + by_score[canaries - guesses..].iter().filter(|(_, member)| *member).count()) as u32
    };
    let bounds = [40, 20, 10, 4].map(|part| {
        let guesses = canaries / part;
        epsilon(canaries as u32, 2 * guesses as u32, right(guesses), 0.05 / 4.0)
    });
    bounds.into_iter().fold(0.0, f64::max)
}

/// The largest ε that so many right guesses refute.
fn epsilon(canaries: u32, guesses: u32, right: u32, wrong: f64) -> f64 {
    let (mut low, mut high) = (0.0, 20.0);
    if p_value(canaries, guesses, right, 0.0) >= wrong {
        return 0.0;
    }
    for _ in 0..40 {
        let middle = (low + high) / 2.0;
        if p_value(canaries, guesses, right, middle) < wrong { low = middle } else { high = middle }
    }
    low
}

/// The most probable that (ε, δ)-privacy makes so many right guesses or more.
fn p_value(canaries: u32, guesses: u32, right: u32, epsilon: f64) -> f64 {
    let masses = binomial(guesses, 1.0 / (1.0 + (-epsilon).exp()));
    let (below, above) = masses.split_at(right as usize);
    let (mut sum, mut steepest) = (0.0, 0.0f64);
    for (at, mass) in below.iter().rev().enumerate() {
        sum += mass;
        steepest = steepest.max(sum / (at as f64 + 1.0));
    }
    (above.iter().sum::<f64>() + steepest * DELTA * 2.0 * f64::from(canaries)).min(1.0)
}

#[test]
fn the_p_value_is_right_where_it_is_known() {
    // Without δ it is the binomial tail: 5 of 5 right under ε = 0 has 1/32; ε = ln 3 has (3/4)^5.
    let tail = |epsilon: f64| p_value(0, 5, 5, epsilon);
    assert!((tail(0.0) - 1.0 / 32.0).abs() < 1e-12 && (tail(3f64.ln()) - 0.75f64.powi(5)).abs() < 1e-12);
    // With it: P[v > B >= v − i] / i is largest at i = 3 here: (5 + 10 + 10) / 32 / 3.
    assert!((p_value(100, 5, 5, 0.0) - (1.0 / 32.0 + 25.0 / 96.0 * DELTA * 200.0)).abs() < 1e-12);
    assert!(p_value(1_000, 100, 90, 0.5) < p_value(1_000, 100, 90, 1.5));
    // 490 of 500 right refutes every ε up to about 3, and chance refutes none.
    assert!((2.5..4.0).contains(&epsilon(1_000, 500, 490, 0.0125)) && epsilon(1_000, 500, 250, 0.0125) == 0.0);
}
