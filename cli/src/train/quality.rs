//! How good a model is on the held-out part: exact figures, computed where the samples lie and nowhere else.

use schemas::network::Layer;
use schemas::pipeline::{Labels, Model, Training};
use serde::Serialize;

use super::Evaluation;

/// Figures of the held-out part, those that fit the kind of label.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Quality {
    /// Held-out rows.
    pub rows: usize,
    /// Share of right answers; of right pixels for masks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Area under the ROC curve, of two classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auc: Option<f64>,
    /// Mean F1 over the classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macro_f1: Option<f64>,
    /// 2 |A ∩ B| / (|A| + |B|), the mean over masks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dice: Option<f64>,
    /// Root of the mean squared error, in units of half the bounds' span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rmse: Option<f64>,
}

impl Quality {
    /// Reads the figures from what a model said: logits, or probabilities where it is a network that ends in a sigmoid.
    pub fn of(training: &Training, evaluation: &Evaluation) -> Quality {
        let rows = evaluation.outputs.len();
        let pairs = || evaluation.outputs.iter().zip(&evaluation.labels);
        let first = |values: &[f64]| values.first().copied().unwrap_or_default();
        let label = |values: &[f32]| f64::from(values.first().copied().unwrap_or_default());
        let cut = if ends_in_sigmoid(&training.model) { 0.5 } else { 0.0 };
        match &training.labels {
            None => {
                let scored: Vec<(f64, bool)> = pairs().map(|(o, l)| (first(o), label(l) > 0.5)).collect();
                let right = scored.iter().filter(|(logit, positive)| (*logit >= cut) == *positive).count();
                Quality { rows, accuracy: Some(share(right, rows)), auc: Some(auc(scored)), ..Quality::default() }
            }
            Some(Labels::Classes { classes }) => {
                let said: Vec<(usize, usize)> = pairs().map(|(o, l)| (greatest(o), label(l) as usize)).collect();
                let right = said.iter().filter(|(said, is)| said == is).count();
                let f1 = macro_f1(&said, classes.len());
                Quality { rows, accuracy: Some(share(right, rows)), macro_f1: Some(f1), ..Quality::default() }
            }
            Some(Labels::Number { .. }) => {
                let squares: f64 = pairs().map(|(o, l)| (first(o) - label(l)).powi(2)).sum();
                Quality { rows, rmse: Some((squares / rows.max(1) as f64).sqrt()), ..Quality::default() }
            }
            Some(Labels::Mask { .. }) => {
                let (mut dice, mut right, mut all) = (0.0, 0, 0);
                for (outputs, labels) in pairs() {
                    let pixels = || outputs.iter().zip(labels).map(|(o, l)| (*o >= cut, *l > 0.5));
                    let both = pixels().filter(|(a, b)| *a && *b).count();
                    let either = pixels().map(|(a, b)| usize::from(a) + usize::from(b)).sum::<usize>();
                    dice += if either == 0 { 1.0 } else { 2.0 * both as f64 / either as f64 };
                    right += pixels().filter(|(a, b)| a == b).count();
                    all += labels.len();
                }
                let dice = Some(dice / rows.max(1) as f64);
                Quality { rows, accuracy: Some(share(right, all)), dice, ..Quality::default() }
            }
        }
    }

    /// In words, figure by figure.
    pub fn words(&self) -> String {
        let figures = [
            ("AUC", self.auc),
            ("accuracy", self.accuracy),
            ("macro F1", self.macro_f1),
            ("Dice", self.dice),
            ("RMSE", self.rmse),
        ];
        let words: Vec<String> =
            figures.iter().filter_map(|(name, figure)| figure.map(|f| format!("{name} {f:.4}"))).collect();
        format!("{} over {} held-out rows", words.join(", "), self.rows)
    }
}

fn ends_in_sigmoid(model: &Model) -> bool {
    matches!(model, Model::Network { network } if network.layers.last() == Some(&Layer::Sigmoid {}))
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn greatest(outputs: &[f64]) -> usize {
    outputs.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(place, _)| place)
}

fn macro_f1(said: &[(usize, usize)], classes: usize) -> f64 {
    let f1 = |class: usize| {
        let both = said.iter().filter(|(s, i)| *s == class && *i == class).count();
        let either = said.iter().map(|(s, i)| usize::from(*s == class) + usize::from(*i == class)).sum::<usize>();
        if either == 0 { 0.0 } else { 2.0 * both as f64 / either as f64 }
    };
    (0..classes).map(f1).sum::<f64>() / classes.max(1) as f64
}

/// Mann and Whitney's statistic with half a point for ties; one half where a class is missing.
pub fn auc(mut scored: Vec<(f64, bool)>) -> f64 {
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = scored.iter().filter(|(_, positive)| *positive).count() as f64;
    let negatives = scored.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return 0.5;
    }
    let (mut below, mut sum) = (0.0, 0.0);
    for tied in scored.chunk_by(|a, b| a.0 == b.0) {
        let up = tied.iter().filter(|(_, positive)| *positive).count() as f64;
        let down = tied.len() as f64 - up;
        sum += up * (below + down / 2.0);
        below += down;
    }
    sum / (positives * negatives)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auc_counts_pairs() {
        assert_eq!(auc(vec![(0.1, false), (0.3, true), (0.2, true), (0.2, false)]), 0.875);
        assert_eq!(auc(vec![(0.5, false), (0.5, true)]), 0.5);
        assert_eq!(auc(vec![(0.3, true)]), 0.5);
    }

    #[test]
    fn f1_is_the_mean_over_classes() {
        assert_eq!(macro_f1(&[(0, 0), (1, 1)], 2), 1.0);
        assert!((macro_f1(&[(0, 0), (0, 1)], 2) - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(greatest(&[0.1, 3.0, -1.0]), 1);
    }
}
