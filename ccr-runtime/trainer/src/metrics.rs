//! The metrics that leave the room: the confusion matrix of the held-out part, every count noised.
//!
//! Taking one principal away changes one of the four counts by one, so each gets a discrete Gaussian with the plan's
//! noise multiplier as σ (rounded up to hundredths). What follows from the noised counts is arithmetic.

use schemas::R;
use schemas::text::Real;
use schemas::worker::NoisedMetrics;

use crate::dpsgd::{CHUNK, Data};
use crate::fault::{Hush, protocol};
use crate::gaussian::DiscreteGaussian;
use crate::model::Network;
use crate::noise::Streams;

/// Counts the held-out part and noises the counts; a logit of at least 0 counts as positive.
pub fn measure(network: &Network, held_out: &Data, noise_multiplier: &Real, streams: &Streams) -> R<NoisedMetrics> {
    let hundredths = noise_multiplier.scaled_up(2).and_then(|units| u64::try_from(units).ok());
    let gaussian = hundredths
        .and_then(|units| DiscreteGaussian::new(units, 100))
        .ok_or_else(|| protocol("the noise multiplier of the metrics is out of range"))?;
    let mut stream = streams.metrics()?;
    Ok(report(confusion(network, held_out)?.map(|count| count.saturating_add(gaussian.draw(&mut stream)))))
}

/// True positives, false positives, true negatives, false negatives: exact, so they stay here.
fn confusion(network: &Network, data: &Data) -> R<[i64; 4]> {
    let leaves = network.leaves()?;
    let mut counts = [0i64; 4];
    let rows: Vec<i64> = (0..data.rows() as i64).collect();
    for chunk in rows.chunks(CHUNK) {
        let (x, y) = data.chunk(chunk)?;
        let (mut logits, mut labels) = (vec![0f64; chunk.len()], vec![0f64; chunk.len()]);
        leaves.logits(&x)?.f_contiguous().and_then(|t| t.f_copy_data(&mut logits, chunk.len())).hush()?;
        y.f_copy_data(&mut labels, chunk.len()).hush()?;
        for (logit, label) in logits.iter().zip(&labels) {
            let [true_pos, false_pos, true_neg, false_neg] = &mut counts;
            let count = match (*logit >= 0.0, *label >= 0.5) {
                (true, true) => true_pos,
                (true, false) => false_pos,
                (false, false) => true_neg,
                (false, true) => false_neg,
            };
            *count += 1;
        }
    }
    Ok(counts)
}

fn report(noised: [i64; 4]) -> NoisedMetrics {
    let [true_positives, false_positives, true_negatives, false_negatives] = noised;
    let mut metrics =
        NoisedMetrics { true_positives, false_positives, true_negatives, false_negatives, accuracy_ppm: 0 };
    metrics.accuracy_ppm = metrics.accuracy_of_counts();
    metrics
}

#[cfg(test)]
mod tests {
    use schemas::pipeline::Model;

    use super::*;
    use crate::table::Rows;

    /// 6,000 rows whose label is the sign of the only feature, but for every tenth.
    fn fixture() -> (Network, Data) {
        let mut network = Network::new(&Model::LogisticRegression, 1, 0).unwrap();
        network.parameters[0].values[0] = 2.0;
        let features: Vec<f32> = (0..6_000).map(|i| if i % 3 == 0 { 1.0 } else { -1.0 }).collect();
        let labels = features.iter().enumerate().map(|(i, x)| f32::from((*x > 0.0) != (i % 10 == 0))).collect();
        (network, Data::new(&Rows { features, labels }, 1).unwrap())
    }

    #[test]
    fn counts_are_exact_inside_and_noised_outside() {
        let (network, data) = fixture();
        let exact = confusion(&network, &data).unwrap();
        assert_eq!(exact, [1_800, 200, 3_600, 400]);
        let sigma = Real::parse("20").unwrap();
        let mut squares = Vec::new();
        for seed in 0..200u8 {
            let m = measure(&network, &data, &sigma, &Streams::new(&[seed; 32])).unwrap();
            let noised = [m.true_positives, m.false_positives, m.true_negatives, m.false_negatives];
            squares.extend(noised.iter().zip(exact).map(|(a, b)| ((a - b) as f64).powi(2)));
            assert_eq!(m, measure(&network, &data, &sigma, &Streams::new(&[seed; 32])).unwrap());
        }
        let deviation = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
        assert!((deviation / 20.0 - 1.0).abs() < 0.1, "deviation {deviation}");
    }

    #[test]
    fn accuracy_is_arithmetic_on_noised_counts_and_stays_in_range() {
        for (noised, ppm) in [
            ([60, 10, 30, 0], 900_000),
            ([-5, 3, 2, 1], 0),
            ([5, -3, 2, -1], 1_000_000),
            ([-1, -1, -1, -1], 0),
            ([0, 0, 0, 0], 0),
        ] {
            assert_eq!(report(noised).accuracy_ppm, ppm, "{noised:?}");
        }
    }

    #[test]
    fn nothing_held_out_is_noise_alone() {
        let (network, _) = fixture();
        let data = Data::new(&Rows::default(), 1).unwrap();
        assert!(measure(&network, &data, &Real::parse("5").unwrap(), &Streams::new(&[1; 32])).is_ok());
    }
}
