//! The plan: enough noise for every dataset, charged at its factor.

use policies::accountant::RdpVector;
use policies::budget::vector;
use policies::privacy::{plan, rehearsal};
use policies::{Code, R};
use schemas::pipeline::{JoinKind, Stage};
use schemas::privacy::{Mechanism, Plan};

use crate::fixtures::{House, expect, real, spoilt};

fn planned(house: &House) -> R<Plan> {
    house.judge(plan)
}

fn judge(house: &House) -> R<()> {
    planned(house).map(drop)
}

/// ε of a run of DP-SGD alone, recomputed from a noise multiplier.
fn epsilon(noise: f64, rate: &str) -> f64 {
    let noise_multiplier = real(&format!("{noise:.4}"));
    let mechanism = Mechanism::SampledGaussian { noise_multiplier, sample_rate: real(rate), steps: 198 };
    vector(&[mechanism]).unwrap().epsilon(0.0000472)
}

#[test]
fn three_inner_joins_cost_every_dataset_the_same() {
    let mut house = House::new();
    let with_metrics = planned(&house).unwrap();
    house.training().metrics = None;
    house.training().sample_rate = real("0.0755162241887905604719764011");
    let plan = planned(&house).unwrap();
    // The reference says σ = 4.100 for q = 128/1695, 198 steps, δ = 0.0000472.
    assert!((plan.noise_multiplier.value() - 4.100).abs() < 0.005, "{}", plan.noise_multiplier);
    assert!(with_metrics.noise_multiplier.value() > plan.noise_multiplier.value(), "metrics are paid for");
    assert_eq!((plan.steps, plan.metrics_noise_multiplier.clone()), (198, None));
    assert_eq!(plan.sample_rate, house.training().sample_rate);
    // 0.0755162241887… · 2119 · 0.8, rounded down.
    assert_eq!(plan.expected_batch.as_str(), "128.015103");
    assert_eq!(plan.charges.len(), 3);
    for (charge, dataset) in plan.charges.iter().zip(&house.job.datasets) {
        assert_eq!((&charge.dataset_id, charge.version, charge.factor), (&dataset.dataset_id, 1, 1));
        assert!(charge.epsilon_micro <= 1_000_000 && charge.epsilon_micro > 999_000, "{}", charge.epsilon_micro);
        assert_eq!(charge.delta, house.contracts[0].datasets[0].privacy.delta);
    }
}

#[test]
fn noise_is_the_least_that_suffices() {
    let mut house = House::new();
    house.training().metrics = None;
    let noise = planned(&house).unwrap().noise_multiplier.value();
    assert!(epsilon(noise, "0.0755") <= 1.0 && epsilon(noise - 0.001, "0.0755") > 1.0 - 1e-6);
}

#[test]
fn the_nullable_side_is_charged_with_half_the_noise() {
    let mut house = House::new();
    house.join().steps[1].kind = JoinKind::Left;
    house.training().metrics.as_mut().unwrap().noise_multiplier = real("40");
    let inner = planned(&House::new()).unwrap();
    let left = planned(&house).unwrap();
    let double = left.noise_multiplier.value() / inner.noise_multiplier.value();
    assert!((double - 2.0).abs() < 0.001, "σ is twice as large, not {double} times");
    assert_eq!(left.charges.iter().map(|c| c.factor).collect::<Vec<_>>(), [1, 1, 2]);
    let noise_of = |at: usize| left.charges[at].mechanisms.iter().map(noise).collect::<Vec<_>>();
    assert_eq!(noise_of(0), [left.noise_multiplier.value(), 40.0]);
    assert_eq!(noise_of(2), [left.noise_multiplier.value() / 2.0, 20.0]);
    let cost = |at: usize| left.charges[at].epsilon_micro;
    assert!(cost(2) <= 1_000_000 && cost(2) > 999_000 && cost(0) < cost(2) / 2 + 50_000);
}

fn noise(mechanism: &Mechanism) -> f64 {
    match mechanism {
        Mechanism::SampledGaussian { noise_multiplier, .. } | Mechanism::Gaussian { noise_multiplier } => {
            noise_multiplier.value()
        }
        Mechanism::WithoutDifferentialPrivacy { .. } => panic!("a private plan"),
    }
}

#[test]
fn charges_are_what_their_mechanisms_cost() {
    for charge in planned(&House::new()).unwrap().charges {
        let cost: RdpVector = vector(&charge.mechanisms).unwrap();
        assert_eq!(charge.epsilon_micro, cost.epsilon_micro(47_200_000_000_000));
        assert_eq!(charge.mechanisms.len(), 2);
    }
}

#[test]
fn the_smallest_public_count_divides() {
    let mut house = House::new();
    house.offers[1].public_rows = 1000;
    house.contracts[0].datasets[1].public_rows = 1000;
    house.link();
    let plan = planned(&house).unwrap();
    assert_eq!(plan.expected_batch.as_str(), "60.4");
    // What is lost to rounding follows from the largest: another provider may have declared a count too small.
    assert_eq!(plan.most_expected().as_str(), "127.9876");
    assert_eq!(planned(&House::new()).unwrap().most_expected_batch, None);
}

/// A left join takes no row away, however small its table is said to be; an inner one behind it does.
#[test]
fn a_table_of_a_left_join_bounds_no_rows() {
    let joined = |kinds: [JoinKind; 2], counts: [u64; 3]| {
        let mut house = House::new();
        for (step, kind) in house.join().steps.iter_mut().zip(kinds) {
            step.kind = kind;
        }
        for (at, count) in counts.into_iter().enumerate() {
            house.offers[at].public_rows = count;
            house.contracts[0].datasets[at].public_rows = count;
        }
        house.training().metrics.as_mut().unwrap().noise_multiplier = real("60");
        house.link();
        let plan = planned(&house).unwrap();
        (plan.expected_batch.as_str().to_owned(), plan.most_expected().as_str().to_owned())
    };
    let batches = |expected: &str, most: &str| (expected.to_owned(), most.to_owned());
    assert_eq!(joined([JoinKind::Inner, JoinKind::Left], [2119, 2119, 10]), batches("127.9876", "127.9876"));
    assert_eq!(joined([JoinKind::Left, JoinKind::Left], [2119, 10, 21_000]), batches("127.9876", "127.9876"));
    assert_eq!(joined([JoinKind::Left, JoinKind::Inner], [2119, 10, 1000]), batches("60.4", "127.9876"));
}

#[test]
fn a_lower_delta_than_granted_is_charged_at_the_granted_one() {
    let mut house = House::new();
    house.training().delta = Some(real("0.00001"));
    let plan = planned(&house).unwrap();
    for charge in &plan.charges {
        assert_eq!(charge.delta.as_str(), "0.0000472");
        assert!(charge.epsilon_micro < 1_000_000);
        let cost = vector(&charge.mechanisms).unwrap();
        assert!(cost.epsilon_micro(10_000_000_000_000) <= 1_000_000);
    }
}

#[test]
fn no_more_than_granted_is_planned() {
    spoilt(
        judge,
        &[
            (Code::EpsilonExceedsContract, |h| h.training().epsilon = Some(real("1.50000000000000000001"))),
            (Code::EpsilonExceedsContract, |h| h.contracts[0].datasets[2].privacy.epsilon = real("0.9")),
            (Code::EpsilonOutOfRange, |h| h.training().epsilon = Some(real("0.0"))),
            (Code::EpsilonOutOfRange, |h| h.training().delta = Some(real("0"))),
            (Code::DeltaTooLarge, |h| h.training().delta = Some(real("0.0000473"))),
            (Code::DeltaTooLarge, |h| h.contracts[0].datasets[1].privacy.delta = real("0.00001")),
            (Code::DeltaTooLarge, |h| h.contracts[0].datasets[1].public_rows = 21_187),
            // Metrics that alone cost more than what is asked.
            (Code::EpsilonOutOfRange, |h| h.training().metrics.as_mut().unwrap().noise_multiplier = real("1")),
            (Code::PipelineInvalid, |h| {
                (h.training().sample_rate, h.training().train_ppm) = (real("0.000000000001"), 1);
            }),
            (Code::PipelineNotPrivate, |h| h.training().private = false),
        ],
    );
    let mut all = House::new();
    all.training().epsilon = Some(real("1.5"));
    assert_eq!(judge(&all), Ok(()), "all that is granted");
}

#[test]
fn the_plan_is_a_pure_function() {
    let house = House::new();
    assert_eq!(planned(&house), planned(&house.clone()));
    let mut other = House::new();
    other.training().steps = 199;
    assert_ne!(planned(&house).unwrap(), planned(&other).unwrap());
    other.job.stages.clear();
    expect(planned(&other), Code::PipelineInvalid, "no pipeline, no plan");
}

/// A rehearsal outside any room is planned and judged as the run under contract is.
#[test]
fn a_rehearsal_is_planned_as_the_run() {
    let rehearse = |house: &House| {
        house.judge(|facts| {
            let pipeline = policies::pipeline::decide(facts).ok();
            let (join, training) = match &pipeline {
                Some(pipeline) => (pipeline.join, pipeline.training),
                None => match &facts.job.stages[..] {
                    [Stage::Join(join), Stage::Train(training), ..] => (join, training),
                    other => panic!("{other:?}"),
                },
            };
            rehearsal(join, training, &facts.tables()?)
        })
    };
    let mut house = House::new();
    assert_eq!(rehearse(&house), planned(&house));
    house.join().steps[1].kind = JoinKind::Left;
    assert_eq!(rehearse(&house), planned(&house));
    let judge = |house: &House| rehearse(house).map(drop);
    spoilt(
        judge,
        &[
            (Code::EpsilonExceedsContract, |h| h.training().epsilon = Some(real("1.6"))),
            (Code::DeltaTooLarge, |h| h.training().delta = Some(real("0.01"))),
            (Code::PipelineNotPrivate, |h| h.training().private = false),
            (Code::PipelineBounds, |h| h.training().features[0].upper = real("41")),
            (Code::PipelineInvalid, |h| h.training().input = "other".into()),
        ],
    );
}
