//! The splits of a tree, drawn from the public seed alone.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::Rng;
use schemas::R;
use schemas::trees::Trees;

use crate::fault::pipeline;
use crate::noise::Streams;

/// A whole binary tree of splits in heap order: below split i lie 2i + 1 (feature under the threshold) and 2i + 2.
#[derive(Clone, PartialEq, Debug)]
pub struct Shape {
    /// Feature and threshold of each split, 2^depth − 1 of them.
    pub splits: Vec<(usize, f32)>,
}

impl Shape {
    /// The leaf of a row, counted from the left.
    pub fn leaf(&self, row: &[f32]) -> usize {
        let mut at = 0;
        while let Some((feature, threshold)) = self.splits.get(at) {
            let above = row.get(*feature).is_some_and(|value| value >= threshold);
            at = 2 * at + 1 + usize::from(above);
        }
        at - self.splits.len()
    }
}

/// Deals features and draws splits: stream `init/trees` of the public seed, whatever the rows are.
///
/// Features are dealt in a random order until each was dealt once, and then in another order. A split falls into the
/// middle 70 % of what the splits above it left of its feature's [−1, 1], so that no leaf is a sliver.
pub struct Deal {
    stream: ChaCha20Rng,
    order: Vec<usize>,
    dealt: usize,
    hand: usize,
    depth: u8,
}

impl Deal {
    /// For rows of `width` features, 1 or more.
    pub fn new(width: usize, trees: &Trees, public: &Streams) -> R<Deal> {
        if width == 0 {
            return Err(pipeline("trees need a feature"));
        }
        let hand = usize::from(trees.features_per_tree).min(width);
        Ok(Deal { stream: public.init("trees")?, order: (0..width).collect(), dealt: width, hand, depth: trees.depth })
    }

    /// The splits of the next tree.
    pub fn shape(&mut self) -> Shape {
        let hand: Vec<usize> = (0..self.hand).map(|_| self.feature()).collect();
        let inner = (1usize << self.depth) - 1;
        let mut boxes = vec![vec![(-1.0f64, 1.0f64); hand.len()]; 2 * inner + 1];
        let mut splits = Vec::with_capacity(inner);
        for at in 0..inner {
            let card = self.below(hand.len());
            let part = 0.15 + 0.7 * self.unit();
            let mut left = boxes.get(at).cloned().unwrap_or_default();
            let mut right = left.clone();
            let (lower, upper) = left.get(card).copied().unwrap_or((-1.0, 1.0));
            let threshold = f64::from((lower + (upper - lower) * part) as f32);
            if let (Some(left), Some(right)) = (left.get_mut(card), right.get_mut(card)) {
                (left.1, right.0) = (threshold, threshold);
            }
            for (place, side) in [(2 * at + 1, left), (2 * at + 2, right)] {
                if let Some(place) = boxes.get_mut(place) {
                    *place = side;
                }
            }
            splits.push((hand.get(card).copied().unwrap_or(0), threshold as f32));
        }
        Shape { splits }
    }

    fn feature(&mut self) -> usize {
        if self.dealt >= self.order.len() {
            for last in (1..self.order.len()).rev() {
                let other = self.below(last + 1);
                self.order.swap(last, other);
            }
            self.dealt = 0;
        }
        self.dealt += 1;
        self.order.get(self.dealt - 1).copied().unwrap_or(0)
    }

    /// Below `bound`; the tiny bias of a remainder does no harm to a public choice.
    fn below(&mut self, bound: usize) -> usize {
        (self.stream.next_u64() % bound.max(1) as u64) as usize
    }

    fn unit(&mut self) -> f64 {
        (self.stream.next_u64() >> 11) as f64 * 2f64.powi(-53)
    }
}
