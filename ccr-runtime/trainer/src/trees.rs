//! Gradient-boosted trees with differential privacy.
//!
//! **Construction.** One tree is one step. Its splits are drawn from the public seed of the job, before any row is
//! looked at ([`shape`]): a totally random tree over the features that the step is dealt, as Maddock et al.
//! ("Federated Boosted Decision Trees with Differential Privacy", CCS 2022) found best at small ε. With one feature a
//! tree this is the cyclic boosting of Nori et al. ("Accuracy, Interpretability, and Differential Privacy via
//! Explainable Boosting", ICML 2021): the sum of a curve per feature. Rows decide the leaves alone, by one noised Newton
//! step for the logistic loss: leaf = learning rate · G / (max(H, 0) + λ), G and H the noised sums of the leaf's residuals
//! y − p and weights p(1 − p), p from the trees before.
//!
//! **Sensitivity.** A row lies in one leaf of a tree, and adds (r, 3w) = (y − p, 3 p(1 − p)) to it, clipped to the norm
//! C: so one row more moves the vector of all leaves' sums by at most C in the Euclidean norm. For C = 1 nothing is
//! clipped: with e = |y − p| and w = e(1 − e), e² + 9e²(1 − e)² ≤ 1 for every e in [0, 1]. The factor 3 thus makes the
//! noise of H three times smaller for nothing. p of a row follows from the row and from leaves that were noised already,
//! so the steps compose adaptively; each is the (Poisson-sampled) Gaussian mechanism of noise multiplier σ, exactly as
//! a step of DP-SGD, and is accounted as such. At sample rate 1, the usual choice, it is the plain Gaussian.
//!
//! **Noise.** The grid and exact discrete Gaussian of [`crate::noise::Grid`], once a tree, from the stream
//! `noise/<step>/trees.leaf`, over both sums of every leaf, empty ones too. Sums are in double precision: the rows'
//! order can move one by 10^-16 a row, against a margin of 10^-5 · C.
//!
//! Where every dataset's contract allows training without differential privacy and the plan says so, rows are not clipped
//! and no noise is drawn; splits and steps are the same.

pub mod artifact;
mod shape;

use schemas::R;
use schemas::pipeline::Training;
use schemas::privacy::Plan;
use schemas::trees::Trees;
use schemas::worker::NoiseSampler;

use crate::dpsgd::Trained;
use crate::fault::{internal, pipeline};
use crate::noise::{Grid, PoissonSampling, Streams};
use shape::{Deal, Shape};

/// Name of the leaves in the artifact and of the noise's stream.
const LEAF: &str = "trees.leaf";
/// The factor of a row's weight beside its residual.
const WEIGHT_SCALE: f64 = 3.0;
/// Rows are clipped to this share of the clipping norm, so that rounding cannot carry the sum's move above it.
const MARGIN: f64 = 1.0 - 1e-5;
/// A leaf beyond this is set back to it (post-processing).
const MAX_LEAF: f64 = 1.0;

/// A trained ensemble: the logit of a row is the sum of one leaf of each tree.
#[derive(Clone, PartialEq, Debug)]
pub struct Forest {
    depth: usize,
    trees: Vec<Tree>,
}

/// A tree with its leaves.
#[derive(Clone, PartialEq, Debug)]
struct Tree {
    shape: Shape,
    leaves: Vec<f32>,
}

impl Forest {
    /// The logit of a row of scaled features.
    pub fn logit(&self, row: &[f32]) -> f64 {
        self.trees.iter().map(|tree| f64::from(tree.leaf(row))).sum()
    }

    /// The logits of rows of `width` features each.
    pub fn logits(&self, features: &[f32], width: usize) -> Vec<f64> {
        features.chunks_exact(width.max(1)).map(|row| self.logit(row)).collect()
    }
}

impl Tree {
    fn leaf(&self, row: &[f32]) -> f32 {
        self.leaves.get(self.shape.leaf(row)).copied().unwrap_or(0.0)
    }
}

/// The public constants of a training.
pub struct Settings {
    trees: Trees,
    steps: u32,
    sampling: PoissonSampling,
    clip: f64,
    noise_multiplier: f64,
    learning_rate: f64,
    init_seed: u32,
    /// Whether rows are clipped and noise is drawn.
    private: bool,
}

impl Settings {
    /// The constants of a plan that was judged.
    pub fn new(trees: &Trees, plan: &Plan, training: &Training) -> R<Settings> {
        if !trees.in_range(plan.steps) {
            return Err(pipeline("the trees' figures are out of range"));
        }
        Ok(Settings {
            trees: trees.clone(),
            steps: plan.steps,
            sampling: PoissonSampling::new(&plan.sample_rate)?,
            clip: training.clipping_norm.value(),
            noise_multiplier: plan.noise_multiplier.value(),
            learning_rate: training.learning_rate.value(),
            init_seed: training.init_seed,
            private: !plan.without_differential_privacy,
        })
    }
}

/// Grows the planned number of trees on rows of `width` scaled features with labels 0 or 1; tells how noise was drawn,
/// too. `after` learns the number of each tree grown.
pub fn grow(
    features: &[f32],
    labels: &[f32],
    width: usize,
    settings: &Settings,
    streams: &Streams,
    mut after: impl FnMut(u32) -> R<()>,
) -> R<(Forest, Trained)> {
    let leaves = settings.trees.leaves();
    let (grid, clip) = if settings.private {
        (Some(Grid::new(settings.noise_multiplier, settings.clip, 2 * leaves)?), settings.clip)
    } else {
        (None, f64::INFINITY)
    };
    let noise = grid.as_ref().map_or(NoiseSampler::WithoutNoise, Grid::sampler);
    let mut deal = Deal::new(width, &settings.trees, &Streams::new(&settings.init_seed.to_be_bytes()))?;
    let mut forest = Forest { depth: usize::from(settings.trees.depth), trees: Vec::new() };
    let (mut logits, mut trained) = (vec![0.0; labels.len()], Trained { noise_draws: 0, noise });
    for step in 1..=settings.steps {
        let shape = deal.shape();
        let chosen = settings.sampling.draw(labels.len(), streams.sampling(step)?);
        let rows = Rows { features, labels, width, logits: &logits };
        let mut sums = rows.clipped_sums(&shape, leaves, chosen.iter().map(|row| *row as usize), clip);
        if let Some(grid) = &grid {
            grid.add(&mut sums, streams.noise(step, LEAF)?);
            trained.noise_draws += 1;
        }
        let tree = Tree { shape, leaves: sums.chunks_exact(2).map(|sums| settings.leaf(sums)).collect() };
        for (logit, row) in logits.iter_mut().zip(features.chunks_exact(width.max(1))) {
            *logit += f64::from(tree.leaf(row));
        }
        forest.trees.push(tree);
        after(step)?;
    }
    if trained.noise_draws != if settings.private { settings.steps } else { 0 } {
        return Err(internal("noise draws and trees differ"));
    }
    Ok((forest, trained))
}

impl Settings {
    /// A leaf from its noised sums of residuals and scaled weights.
    fn leaf(&self, sums: &[f64]) -> f32 {
        let (residual, weight) = match sums {
            [residual, weight] => (*residual, weight / WEIGHT_SCALE),
            _ => (0.0, 0.0),
        };
        let step = self.learning_rate * residual / (weight.max(0.0) + self.trees.regularization.value());
        if step.is_finite() { step.clamp(-MAX_LEAF, MAX_LEAF) as f32 } else { 0.0 }
    }
}

/// Rows with the logits that the trees so far give them.
struct Rows<'a> {
    features: &'a [f32],
    labels: &'a [f32],
    width: usize,
    logits: &'a [f64],
}

impl Rows<'_> {
    /// Per leaf the sums of the chosen rows' clipped (residual, scaled weight), in the order of the leaves.
    fn clipped_sums(&self, shape: &Shape, leaves: usize, chosen: impl Iterator<Item = usize>, clip: f64) -> Vec<f64> {
        let mut sums = vec![0.0; 2 * leaves];
        for row in chosen {
            let features = self.features.get(row * self.width..(row + 1) * self.width);
            let (Some(features), Some(label), Some(logit)) = (features, self.labels.get(row), self.logits.get(row))
            else {
                continue;
            };
            let (residual, weight) = share(*logit, f64::from(*label), clip);
            let leaf = shape.leaf(features);
            if let Some([residuals, weights]) = sums.get_mut(2 * leaf..2 * leaf + 2) {
                *residuals += residual;
                *weights += weight;
            }
        }
        sums
    }
}

/// What a row adds to its leaf: norm at most `clip`; nothing for a row whose numbers are not finite.
fn share(logit: f64, label: f64, clip: f64) -> (f64, f64) {
    let p = 1.0 / (1.0 + (-logit).exp());
    let (residual, weight) = (label - p, WEIGHT_SCALE * p * (1.0 - p));
    let scale = (clip * MARGIN / residual.hypot(weight).max(1e-12)).min(1.0);
    let share = (residual * scale, weight * scale);
    if share.0.is_finite() && share.1.is_finite() { share } else { (0.0, 0.0) }
}

#[cfg(test)]
mod quality;
#[cfg(test)]
mod tests;
