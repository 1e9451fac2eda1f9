use schemas::pipeline::Model;

use super::*;
use crate::fixtures;
use crate::table::Rows;

/// 6,000 rows whose label is the sign of the only feature, but for every tenth.
fn fixture() -> Scored {
    let mut network = Network::new(&Model::LogisticRegression, 1, 0).unwrap();
    network.parameters[0].values[0] = 2.0;
    let features: Vec<f32> = (0..6_000).map(|i| if i % 3 == 0 { 1.0 } else { -1.0 }).collect();
    let labels = features.iter().enumerate().map(|(i, x)| f32::from((*x > 0.0) != (i % 10 == 0))).collect();
    Scored::by_network(&network, &Data::new(&Rows { features, labels }, 1).unwrap()).unwrap()
}

fn plan(noise: &str) -> Plan {
    let mut plan = fixtures::three_tables(1).0.plan;
    plan.metrics_noise_multiplier = Some(Real::parse(noise).unwrap());
    plan
}

fn curve_of(bins: u16) -> ScoreCurve {
    ScoreCurve { noise_multiplier: Real::parse("2").unwrap(), bins, range: Real::parse("4").unwrap() }
}

fn mean_loss() -> MeanLoss {
    MeanLoss { noise_multiplier: Real::parse("3").unwrap(), bound: Real::parse("4").unwrap() }
}

/// Scores and labels without pattern, scores of positives a little higher.
fn mixed(rows: usize) -> Scored {
    let mut stream = Streams::new(&[6; 32]).init("mixed").unwrap();
    let mut unit = || chacha20::rand_core::Rng::next_u64(&mut stream) as f64 / 2f64.powi(64);
    let mut scored = Scored::default();
    for _ in 0..rows {
        let positive = unit() < 0.3;
        scored.logits.push(4.0 * (unit() + unit() - 1.0) - 0.5 + if positive { 0.8 } else { 0.0 });
        scored.labels.push(if positive { 1.0 } else { 0.0 });
    }
    scored
}

fn with(mut scored: Scored, logit: f64, label: f32) -> Scored {
    scored.logits.push(logit);
    scored.labels.push(label);
    scored
}

#[test]
fn counts_are_exact_inside_and_noised_outside() {
    let scored = fixture();
    let exact = confusion(&scored);
    assert_eq!(exact, [1_800, 200, 3_600, 400]);
    let plan = plan("20");
    let mut squares = Vec::new();
    for seed in 0..200u8 {
        let m = measure(&scored, &plan, &Streams::new(&[seed; 32])).unwrap().unwrap();
        let noised = [m.true_positives, m.false_positives, m.true_negatives, m.false_negatives];
        squares.extend(noised.iter().zip(exact).map(|(a, b)| ((a - b) as f64).powi(2)));
        assert_eq!(Some(m), measure(&scored, &plan, &Streams::new(&[seed; 32])).unwrap());
    }
    let deviation = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
    assert!((deviation / 20.0 - 1.0).abs() < 0.1, "deviation {deviation}");
}

#[test]
fn nothing_held_out_is_noise_alone_and_nothing_charged_is_nothing() {
    let mut plan = plan("5");
    (plan.curve, plan.loss) = (Some(curve_of(8)), Some(mean_loss()));
    let metrics = measure(&Scored::default(), &plan, &Streams::new(&[1; 32])).unwrap().unwrap();
    assert_eq!(metrics.curve.unwrap().positives.len(), 8);
    assert!(metrics.loss.unwrap().mean_micro <= 4_000_000);
    plan.metrics_noise_multiplier = None;
    assert_eq!(measure(&Scored::default(), &plan, &Streams::new(&[1; 32])).unwrap(), None);
}

#[test]
fn one_row_more_moves_each_release_by_at_most_its_sensitivity() {
    let (asked, bound) = (curve_of(16), mean_loss());
    let before = mixed(500);
    let (counts, bins, sum) = (confusion(&before), histograms(&before, &asked), loss_units(&before, &bound));
    let logits = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1e308, 0.0, -0.0, 4.0, -4.0, 3.9999, 0.7, 700.0];
    for logit in logits {
        for label in [0.0, 1.0] {
            let after = with(mixed(500), logit, label);
            let squared = |a: &[i64], b: &[i64]| a.iter().zip(b).map(|(a, b)| (a - b).pow(2)).sum::<i64>();
            assert_eq!(squared(&counts, &confusion(&after)), 1, "confusion {logit} {label}");
            let moved = histograms(&after, &asked);
            let moved = squared(&bins[0], &moved[0]) + squared(&bins[1], &moved[1]);
            assert_eq!(moved, 1, "curve {logit} {label}");
            let moved = loss_units(&after, &bound) - sum;
            assert!((0..=LOSS_UNITS as i64).contains(&moved), "loss {logit} {label}: {moved}");
        }
    }
}

#[test]
fn area_and_loss_come_near_the_exact_ones() {
    let scored = mixed(20_000);
    let mut pairs = (0.0, 0.0);
    let of = |wanted: bool| scored.rows().filter(move |(_, label)| *label == wanted).map(|(logit, _)| logit);
    for positive in of(true) {
        for negative in of(false) {
            pairs.0 += f64::from(u8::from(positive > negative));
            pairs.1 += 1.0;
        }
    }
    let (area, mean) = (pairs.0 / pairs.1, loss_units(&scored, &mean_loss()) as f64 / 4096.0 * 4.0 / 20_000.0);
    let direct = scored.rows().map(|(z, y)| (1.0 + (if y { -z } else { z }).exp()).ln()).sum::<f64>() / 20_000.0;
    assert!((mean - direct).abs() < 1e-3, "mean {mean} against {direct}");
    let mut plan = plan("10");
    (plan.curve, plan.loss) = (Some(curve_of(64)), Some(mean_loss()));
    let (mut worst_area, mut worst_mean) = (0f64, 0f64);
    for seed in 0..20 {
        let noised = measure(&scored, &plan, &Streams::new(&[seed; 32])).unwrap().unwrap();
        let (curve, loss) = (noised.curve.unwrap(), noised.loss.unwrap());
        assert_eq!(curve.auc_ppm, curve.auc_of_counts());
        worst_area = worst_area.max((f64::from(curve.auc_ppm) / 1e6 - area).abs());
        worst_mean = worst_mean.max((loss.mean_micro as f64 / 1e6 - direct).abs());
    }
    println!("20,000 rows, σ = 2 of 64 bins: AUC {area:.4}, largest error {worst_area:.4} of 20");
    println!("σ = 3 at bound 4: loss {direct:.4}, largest error {worst_mean:.4} of 20");
    assert!(worst_area < 0.01 && worst_mean < 0.01);
}

#[test]
fn noise_of_curve_and_loss_has_the_planned_deviation_and_streams_of_its_own() {
    let mut plan = plan("5");
    (plan.curve, plan.loss) = (Some(curve_of(32)), Some(mean_loss()));
    let (mut bins, mut sums) = (Vec::new(), Vec::new());
    for seed in 0..200u8 {
        let noised = measure(&Scored::default(), &plan, &Streams::new(&[seed; 32])).unwrap().unwrap();
        let curve = noised.curve.unwrap();
        bins.extend(curve.positives.iter().chain(&curve.negatives).map(|n| *n as f64));
        sums.push(noised.loss.unwrap().sum as f64 / 4096.0);
    }
    let deviation = |values: &[f64]| (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt();
    assert!((deviation(&bins) / 2.0 - 1.0).abs() < 0.03, "{}", deviation(&bins)); // 12,800 draws
    assert!((deviation(&sums) / 3.0 - 1.0).abs() < 0.2, "{}", deviation(&sums)); // 200 draws
}

#[test]
fn a_noise_that_cannot_be_drawn_is_refused() {
    for noise in ["0", "99999999999"] {
        assert!(measure(&Scored::default(), &plan(noise), &Streams::new(&[1; 32])).is_err(), "{noise}");
        let mut plan = plan("5");
        plan.curve = Some(ScoreCurve { noise_multiplier: Real::parse(noise).unwrap(), ..curve_of(4) });
        assert!(measure(&Scored::default(), &plan, &Streams::new(&[1; 32])).is_err(), "curve {noise}");
        (plan.curve, plan.loss) =
            (None, Some(MeanLoss { noise_multiplier: Real::parse(noise).unwrap(), ..mean_loss() }));
        assert!(measure(&Scored::default(), &plan, &Streams::new(&[1; 32])).is_err(), "loss {noise}");
    }
}
