//! The metrics that leave the room, all of the held-out part and all noised.
//!
//! - The confusion matrix: taking one principal away changes one of the four counts by one.
//! - The curve, where the plan charges it: a histogram of the logits for each class; it changes one of all counts by one.
//! - The loss, where the plan charges it: every row's loss is clipped to a public bound and rounded to whole parts of it
//!   ([`LOSS_UNITS`]); the sum changes by at most the bound.
//!
//! Each gets a discrete Gaussian with its planned noise multiplier as σ (rounded up to hundredths), from a stream of its
//! own. What follows from the noised numbers is arithmetic.

use schemas::R;
use schemas::metrics::{LOSS_UNITS, MeanLoss, NoisedCurve, NoisedLoss, ScoreCurve};
use schemas::privacy::Plan;
use schemas::text::Real;
use schemas::worker::NoisedMetrics;

use crate::dpsgd::{CHUNK, Data};
use crate::fault::{Hush, protocol};
use crate::gaussian::DiscreteGaussian;
use crate::model::Network;
use crate::noise::Streams;

/// What the model says of each held-out row, and what is true: exact, so it stays here.
#[derive(Default)]
pub struct Scored {
    /// One logit per row.
    pub logits: Vec<f64>,
    /// Labels 0 or 1.
    pub labels: Vec<f32>,
}

impl Scored {
    /// The logits of a network.
    pub fn by_network(network: &Network, held_out: &Data) -> R<Scored> {
        let leaves = network.leaves()?;
        let mut scored = Scored::default();
        let rows: Vec<i64> = (0..held_out.rows() as i64).collect();
        for chunk in rows.chunks(CHUNK) {
            let (x, y) = held_out.chunk(chunk)?;
            let (mut logits, mut labels) = (vec![0f64; chunk.len()], vec![0f32; chunk.len()]);
            leaves.logits(&x)?.f_contiguous().and_then(|t| t.f_copy_data(&mut logits, chunk.len())).hush()?;
            y.f_copy_data(&mut labels, chunk.len()).hush()?;
            scored.logits.extend(logits);
            scored.labels.extend(labels);
        }
        Ok(scored)
    }

    fn rows(&self) -> impl Iterator<Item = (f64, bool)> {
        self.logits.iter().zip(&self.labels).map(|(logit, label)| (*logit, *label >= 0.5))
    }
}

/// Noises what the plan charges; none where it charges no metrics. A logit of at least 0 counts as positive.
pub fn measure(scored: &Scored, plan: &Plan, streams: &Streams) -> R<Option<NoisedMetrics>> {
    let Some(noise) = &plan.metrics_noise_multiplier else { return Ok(None) };
    let (gaussian, mut stream) = (of_counts(noise)?, streams.metrics()?);
    let mut metrics =
        NoisedMetrics::of_counts(confusion(scored).map(|count| count.saturating_add(gaussian.draw(&mut stream))));
    metrics.curve = plan.curve.as_ref().map(|asked| curve(scored, asked, streams)).transpose()?;
    let rows = metrics.rows();
    metrics.loss = plan.loss.as_ref().map(|asked| loss(scored, asked, rows, streams)).transpose()?;
    Ok(Some(metrics))
}

/// Noise for counts.
fn of_counts(noise_multiplier: &Real) -> R<DiscreteGaussian> {
    let hundredths = noise_multiplier.scaled_up(2).and_then(|units| u64::try_from(units).ok());
    hundredths.and_then(|units| DiscreteGaussian::new(units, 100)).ok_or_else(out_of_range)
}

fn out_of_range() -> schemas::Refusal {
    protocol("the noise multiplier of the metrics is out of range")
}

/// True positives, false positives, true negatives, false negatives.
fn confusion(scored: &Scored) -> [i64; 4] {
    let mut counts = [0i64; 4];
    for (logit, label) in scored.rows() {
        let [true_pos, false_pos, true_neg, false_neg] = &mut counts;
        let count = match (logit >= 0.0, label) {
            (true, true) => true_pos,
            (true, false) => false_pos,
            (false, false) => true_neg,
            (false, true) => false_neg,
        };
        *count += 1;
    }
    counts
}

fn curve(scored: &Scored, asked: &ScoreCurve, streams: &Streams) -> R<NoisedCurve> {
    let (gaussian, mut stream) = (of_counts(&asked.noise_multiplier)?, streams.noise(0, "metrics.curve")?);
    let [positives, negatives] = histograms(scored, asked)
        .map(|counts| counts.into_iter().map(|count| count.saturating_add(gaussian.draw(&mut stream))).collect());
    Ok(NoisedCurve::new(positives, negatives))
}

/// Positives and negatives per bin.
fn histograms(scored: &Scored, asked: &ScoreCurve) -> [Vec<i64>; 2] {
    let mut counts = [vec![0i64; usize::from(asked.bins)], vec![0i64; usize::from(asked.bins)]];
    for (logit, label) in scored.rows() {
        let [positives, negatives] = &mut counts;
        let class = if label { positives } else { negatives };
        if let Some(count) = class.get_mut(asked.bin(logit)) {
            *count += 1;
        }
    }
    counts
}

fn loss(scored: &Scored, asked: &MeanLoss, rows: i64, streams: &Streams) -> R<NoisedLoss> {
    let hundredths = asked.noise_multiplier.scaled_up(2).and_then(|units| u64::try_from(units).ok());
    let units = hundredths.and_then(|units| units.checked_mul(LOSS_UNITS)).map(|units| units.div_ceil(100));
    let gaussian = units.and_then(|units| DiscreteGaussian::new(units, 1)).ok_or_else(out_of_range)?;
    let noise = gaussian.draw(&mut streams.noise(0, "metrics.loss")?);
    Ok(NoisedLoss::new(loss_units(scored, asked).saturating_add(noise), rows, asked))
}

/// The sum of the rows' logistic losses, each in 0 ..= [`LOSS_UNITS`]; the bound for a row whose loss is no number.
fn loss_units(scored: &Scored, asked: &MeanLoss) -> i64 {
    let (bound, units) = (asked.bound.value(), LOSS_UNITS as f64);
    let of_row = |(logit, label): (f64, bool)| {
        let wrong = if label { -logit } else { logit };
        // ln(1 + e^wrong), without overflow.
        let loss = wrong.max(0.0) + (-wrong.abs()).exp().ln_1p();
        let share = loss / bound;
        if share < 1.0 { (share * units).round() as i64 } else { LOSS_UNITS as i64 }
    };
    scored.rows().map(of_row).fold(0, i64::saturating_add)
}

#[cfg(test)]
mod tests;
