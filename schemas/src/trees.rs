//! Boosted trees as data: what a job says about the ensemble beside its steps, clipping norm and learning rate.

use serde::{Deserialize, Serialize};

use crate::text::Real;

/// The deepest tree.
pub const MAX_DEPTH: u8 = 6;
/// Leaves of all trees together: the artifact stays below the largest model that leaves a room.
pub const MAX_LEAVES: u64 = 1 << 20;

/// An ensemble of trees whose splits are drawn from the public seed; only the leaves learn from rows.
///
/// A step of the training is one tree. The clipping norm bounds a row's share (residual, 3 · its weight p(1 − p)), whose
/// norm is never above 1; the learning rate scales a leaf.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trees {
    /// Splits from the root to a leaf, 1 to [`MAX_DEPTH`].
    pub depth: u8,
    /// Features that one tree may split on, 1 to `depth`. 1 keeps the model additive: a sum of curves, one per feature.
    pub features_per_tree: u8,
    /// Added to the noised weight of a leaf, from 0.001 to 1,000,000: the larger, the less a leaf of few rows says.
    pub regularization: Real,
}

impl Trees {
    /// Leaves of one tree.
    pub fn leaves(&self) -> usize {
        1 << self.depth.min(MAX_DEPTH)
    }

    /// Whether its figures lie in range, for an ensemble of so many trees.
    pub fn in_range(&self, trees: u32) -> bool {
        (1..=MAX_DEPTH).contains(&self.depth)
            && (1..=self.depth).contains(&self.features_per_tree)
            && (0.001..=1e6).contains(&self.regularization.value())
            && u64::from(trees) * self.leaves() as u64 <= MAX_LEAVES
    }
}
