//! Trees, and what may be released beside the confusion matrix: judged, charged, and let out as planned.

use policies::output::decide;
use policies::privacy::plan;
use policies::{Code, R, pipeline};
use schemas::Digest;
use schemas::metrics::{MeanLoss, NoisedCurve, NoisedLoss, ScoreCurve};
use schemas::pipeline::{FeatureForm, JoinKind, Labels, Model, OutputKind};
use schemas::privacy::{Mechanism, Plan};
use schemas::trees::Trees;
use schemas::worker::{NoiseSampler, NoisedMetrics, Outcome};

use crate::fixtures::{House, expect, real, spoilt};

fn judge(house: &House) -> R<()> {
    house.judge(|facts| pipeline::decide(facts).map(drop))
}

fn forest(house: &mut House, spoil: impl FnOnce(&mut Trees)) {
    let mut trees = Trees { depth: 3, features_per_tree: 2, regularization: real("10") };
    spoil(&mut trees);
    house.training().model = Model::Trees { trees };
}

fn curve() -> ScoreCurve {
    ScoreCurve { noise_multiplier: real("25"), bins: 4, range: real("3") }
}

fn loss() -> MeanLoss {
    MeanLoss { noise_multiplier: real("30"), bound: real("2") }
}

fn released(spoil: impl FnOnce(&mut ScoreCurve, &mut MeanLoss)) -> House {
    let (mut house, mut curve, mut loss) = (House::new(), curve(), loss());
    spoil(&mut curve, &mut loss);
    let metrics = house.training().metrics.as_mut().unwrap();
    (metrics.curve, metrics.loss) = (Some(curve), Some(loss));
    house
}

#[test]
fn trees_within_their_limits_are_allowed() {
    let mut house = House::new();
    forest(&mut house, |_| {});
    house.training().sample_rate = real("1");
    assert_eq!(judge(&house), Ok(()));
    spoilt(
        judge,
        &[
            (Code::PipelineInvalid, |h| forest(h, |trees| trees.depth = 0)),
            (Code::PipelineInvalid, |h| forest(h, |trees| trees.depth = 7)),
            (Code::PipelineInvalid, |h| forest(h, |trees| trees.features_per_tree = 0)),
            (Code::PipelineInvalid, |h| forest(h, |trees| trees.features_per_tree = 4)),
            (Code::PipelineInvalid, |h| forest(h, |trees| trees.regularization = real("0.0009"))),
            (Code::PipelineInvalid, |h| forest(h, |trees| trees.regularization = real("1000001"))),
            (Code::PipelineInvalid, |h| {
                forest(h, |trees| trees.depth = 6);
                h.training().steps = 20_000; // 1,280,000 leaves
            }),
            (Code::PipelineInvalid, |h| {
                forest(h, |_| {});
                h.training().labels = Some(Labels::Classes { classes: vec!["0".into(), "1".into()] });
            }),
            (Code::PipelineInvalid, |h| {
                forest(h, |_| {});
                let form = FeatureForm::Image { channels: 1, height: 2, width: 2 };
                h.training().features[0].form = Some(form);
            }),
        ],
    );
}

#[test]
fn a_tree_is_charged_as_one_plain_gaussian_step() {
    let mut house = House::new();
    forest(&mut house, |_| {});
    house.training().sample_rate = real("1");
    let plan = house.judge(plan).unwrap();
    let Mechanism::SampledGaussian { noise_multiplier, sample_rate, steps } = &plan.charges[0].mechanisms[0] else {
        panic!("{:?}", plan.charges)
    };
    assert_eq!((noise_multiplier, sample_rate.as_str(), *steps), (&plan.noise_multiplier, "1", 198));
    let plain = policies::accountant::gaussian::rdp(noise_multiplier.value(), 8.0).unwrap() * 198.0;
    let charged = policies::budget::vector(&plan.charges[0].mechanisms[..1]).unwrap();
    let at = policies::accountant::ORDERS.iter().position(|order| (*order - 8.0).abs() < 1e-9).unwrap();
    assert!((charged.entries()[at] as f64 / 1e9 - plain).abs() < 1e-8);
}

#[test]
fn releases_beside_the_confusion_matrix_have_limits() {
    assert_eq!(judge(&released(|_, _| {})), Ok(()));
    let spoils: [fn(&mut ScoreCurve, &mut MeanLoss); 9] = [
        |curve, _| curve.noise_multiplier = real("0.99"),
        |curve, _| curve.noise_multiplier = real("1000001"),
        |curve, _| curve.bins = 1,
        |curve, _| curve.bins = 257,
        |curve, _| curve.range = real("0"),
        |_, loss| loss.noise_multiplier = real("0.99"),
        |_, loss| loss.noise_multiplier = real("30001"),
        |_, loss| loss.bound = real("0"),
        |_, loss| loss.bound = real("1001"),
    ];
    for (at, spoil) in spoils.into_iter().enumerate() {
        expect(judge(&released(spoil)), Code::PipelineInvalid, &format!("row {at}"));
    }
    // At factor 2 what counts is half the noise.
    let mut left = released(|curve, _| curve.noise_multiplier = real("1.9"));
    left.join().steps[1].kind = JoinKind::Left;
    expect(judge(&left), Code::PipelineInvalid, "half of 1.9");
}

#[test]
fn every_release_is_charged_by_itself_and_paid_for_by_noise() {
    let bare = House::new().judge(plan).unwrap();
    let mut house = released(|_, _| {});
    let both = house.judge(plan).unwrap();
    assert_eq!((both.curve.clone(), both.loss.clone()), (Some(curve()), Some(loss())));
    assert!(both.noise_multiplier.value() > bare.noise_multiplier.value());
    for charge in &both.charges {
        let gaussians: Vec<&str> = charge
            .mechanisms
            .iter()
            .filter_map(|m| match m {
                Mechanism::Gaussian { noise_multiplier } => Some(noise_multiplier.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(gaussians[1..], ["25", "30"], "{gaussians:?}");
        assert!(charge.epsilon_micro <= 1_000_000);
    }
    house.join().steps[1].kind = JoinKind::Left;
    house.training().metrics.as_mut().unwrap().noise_multiplier = real("40");
    let left = house.judge(plan).unwrap();
    let last = left.charges[2].mechanisms.last().unwrap();
    assert_eq!(*last, Mechanism::Gaussian { noise_multiplier: real("15") });
}

fn noised() -> NoisedMetrics {
    let mut metrics = NoisedMetrics::of_counts([60, 20, 200, 30]);
    metrics.curve = Some(NoisedCurve::new(vec![-2, 10, 40, 42], vec![120, 80, 21, -1]));
    metrics.loss = Some(NoisedLoss::new(300_000, metrics.rows(), &loss()));
    metrics
}

fn leaves(spoil: impl FnOnce(&mut NoisedMetrics, &mut Plan)) -> R<()> {
    let (mut plan, mut metrics) = (released(|_, _| {}).judge(plan).unwrap(), noised());
    spoil(&mut metrics, &mut plan);
    let header = br#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let model = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat();
    let outcome = Outcome {
        kind: "model".into(),
        bytes: model.len() as u64,
        sha256: Digest::of(&model),
        steps: 198,
        noise_draws: 198,
        configuration: Digest([7; 32]),
        noise: NoiseSampler::DiscreteGaussian,
        metrics: Some(metrics),
    };
    decide(outcome, model, &plan, &Digest([7; 32]), OutputKind::Model).map(drop)
}

#[test]
fn curve_and_loss_leave_as_planned_and_as_they_follow() {
    assert_eq!(leaves(|_, _| {}), Ok(()));
    let spoils: [fn(&mut NoisedMetrics, &mut Plan); 8] = [
        |m, _| m.curve = None,
        |_, p| p.curve = None,
        |m, _| m.curve.as_mut().unwrap().auc_ppm += 1,
        |m, _| m.curve.as_mut().unwrap().negatives.truncate(3),
        |m, _| m.curve.as_mut().unwrap().positives.push(0),
        |m, _| m.loss = None,
        |_, p| p.loss = None,
        |m, _| m.loss.as_mut().unwrap().mean_micro += 1,
    ];
    for (at, spoil) in spoils.into_iter().enumerate() {
        expect(leaves(spoil), Code::OutputRefused, &format!("row {at}"));
    }
}

#[test]
fn area_and_mean_are_arithmetic_on_noised_numbers() {
    let area = |positives: &[i64], negatives: &[i64]| NoisedCurve::new(positives.to_vec(), negatives.to_vec()).auc_ppm;
    assert_eq!(area(&[0, 10], &[10, 0]), 1_000_000);
    assert_eq!(area(&[10, 0], &[0, 10]), 0);
    assert_eq!(area(&[5, 5], &[5, 5]), 500_000);
    assert_eq!(area(&[0, 1, 1], &[1, 1, 0]), 875_000);
    assert_eq!((area(&[0, 0], &[3, 3]), area(&[-1, 0], &[3, 3])), (500_000, 500_000));
    assert_eq!(area(&[-5, 10], &[10, -5]), 1_000_000);
    assert!(area(&[i64::MAX; 2], &[i64::MAX; 2]) <= 1_000_000);
    let mean = |sum, rows| NoisedLoss::mean_of(sum, rows, &loss());
    assert_eq!(mean(4_096 * 50, 100), 1_000_000);
    assert_eq!((mean(-5, 100), mean(i64::MAX, 1), mean(5, 0), mean(5, -3)), (0, 2_000_000, 2_000_000, 2_000_000));
}
