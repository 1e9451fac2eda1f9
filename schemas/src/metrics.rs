//! Metrics beside the confusion matrix: what a job asks for, and what leaves the room, noised and charged.
//!
//! Everything derived is arithmetic on noised whole numbers, so that whoever holds them can check it.

use serde::{Deserialize, Serialize};

use crate::text::Real;

/// Parts of the bound in which losses are counted.
pub const LOSS_UNITS: u64 = 1 << 12;
/// The most bins of a curve.
pub const MAX_BINS: u16 = 256;

/// The curve of true against false positives: for each class a histogram of the logits over public bins, every count
/// noised. A row lies in one of all these bins (sensitivity 1).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreCurve {
    /// Noise standard deviation of each count.
    pub noise_multiplier: Real,
    /// Bins of equal width between −`range` and `range`, 2 to [`MAX_BINS`]; what lies outside counts in the outermost.
    pub bins: u16,
    /// Largest logit told apart, from 0.001 to 1,000.
    pub range: Real,
}

impl ScoreCurve {
    /// Whether its figures lie in range.
    pub fn in_range(&self) -> bool {
        (2..=MAX_BINS).contains(&self.bins) && (0.001..=1e3).contains(&self.range.value())
    }

    /// The bin of a logit; one that is no number lies in the first.
    pub fn bin(&self, logit: f64) -> usize {
        let range = self.range.value();
        let place = (logit / range + 1.0) / 2.0 * f64::from(self.bins);
        // The cast saturates: NaN and what lies below give 0.
        (place.floor() as usize).min(usize::from(self.bins.saturating_sub(1)))
    }
}

/// The mean loss: every row's loss clipped to a public bound, the sum noised, over the noised number of rows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeanLoss {
    /// Noise standard deviation of the sum over the bound.
    pub noise_multiplier: Real,
    /// The largest loss of a row in nats, from 0.001 to 1,000.
    pub bound: Real,
}

impl MeanLoss {
    /// Whether its figures lie in range.
    pub fn in_range(&self) -> bool {
        (0.001..=1e3).contains(&self.bound.value())
    }
}

/// A noised curve and the area under it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoisedCurve {
    /// Rows of the positive class per bin plus noise, may be negative.
    pub positives: Vec<i64>,
    /// Rows of the other class per bin plus noise.
    pub negatives: Vec<i64>,
    /// The area under the curve from the noised counts, clamped to 0 ..= 1, in parts per million.
    pub auc_ppm: u32,
}

impl NoisedCurve {
    /// The curve of noised counts.
    pub fn new(positives: Vec<i64>, negatives: Vec<i64>) -> NoisedCurve {
        let mut curve = NoisedCurve { positives, negatives, auc_ppm: 0 };
        curve.auc_ppm = curve.auc_of_counts();
        curve
    }

    /// The share of pairs whose positive lies in the higher bin, half of those in one bin counted; 1/2 where a class has
    /// no rows. Negative counts enter as they are: so noise favours neither side.
    pub fn auc_of_counts(&self) -> u32 {
        let sum = |counts: &[i64]| counts.iter().map(|count| i128::from(*count)).sum::<i128>();
        let pairs = sum(&self.positives).max(0).saturating_mul(sum(&self.negatives).max(0)).saturating_mul(2);
        if pairs == 0 {
            return 500_000;
        }
        let (mut below, mut won) = (0i128, 0i128);
        for (positive, negative) in self.positives.iter().zip(&self.negatives) {
            let ahead = below.saturating_mul(2).saturating_add(i128::from(*negative));
            won = won.saturating_add(i128::from(*positive).saturating_mul(ahead));
            below += i128::from(*negative);
        }
        let ppm = won.max(0).saturating_mul(1_000_000).checked_div(pairs).unwrap_or(0);
        u32::try_from(ppm.min(1_000_000)).unwrap_or(1_000_000)
    }
}

/// A noised sum of losses and the mean that follows from it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoisedLoss {
    /// The sum of the clipped losses plus noise, in units of the bound / [`LOSS_UNITS`].
    pub sum: i64,
    /// The mean over the noised number of rows, clamped to 0 ..= bound, in 10^-6 nats.
    pub mean_micro: u64,
}

impl NoisedLoss {
    /// The loss of a noised sum over so many rows, a noised number too.
    pub fn new(sum: i64, rows: i64, asked: &MeanLoss) -> NoisedLoss {
        NoisedLoss { sum, mean_micro: NoisedLoss::mean_of(sum, rows, asked) }
    }

    /// The mean of a noised sum over so many rows; the bound where no row was counted.
    pub fn mean_of(sum: i64, rows: i64, asked: &MeanLoss) -> u64 {
        let bound = asked.bound.scaled_up(6).and_then(|micro| i128::try_from(micro).ok()).unwrap_or(0);
        let rows = i128::from(rows.max(0)).saturating_mul(i128::from(LOSS_UNITS));
        let mean = i128::from(sum.max(0)).saturating_mul(bound).checked_div(rows).unwrap_or(bound);
        u64::try_from(mean.min(bound)).unwrap_or(0)
    }
}
