//! The ensemble as it leaves the room: safetensors with three tensors, names sorted, no metadata.
//!
//! For T trees of depth D over features scaled to [−1, 1] by the public bounds:
//!
//! | tensor | type | shape | content |
//! |---|---|---|---|
//! | `trees.feature` | I32 | T × (2^D − 1) | the feature of each split, in heap order |
//! | `trees.leaf` | F32 | T × 2^D | what each leaf adds to the logit, from the left |
//! | `trees.threshold` | F32 | T × (2^D − 1) | a row goes to the right where its feature is at least this |
//!
//! The logit of a row is the sum of its leaves; it is a positive where that is at least 0.

use safetensors::tensor::{Dtype, TensorView, serialize};
use schemas::R;

use super::{Forest, LEAF};
use crate::fault::internal;

/// The bytes of an ensemble; equal ensembles give equal bytes.
pub fn safetensors(forest: &Forest) -> R<Vec<u8>> {
    let splits = || forest.trees.iter().flat_map(|tree| &tree.shape.splits);
    let (count, inner) = (forest.trees.len(), (1usize << forest.depth) - 1);
    let feature: Vec<u8> = splits().flat_map(|(feature, _)| (*feature as i32).to_le_bytes()).collect();
    let threshold: Vec<u8> = splits().flat_map(|(_, threshold)| threshold.to_le_bytes()).collect();
    let leaf: Vec<u8> = forest.trees.iter().flat_map(|tree| &tree.leaves).flat_map(|leaf| leaf.to_le_bytes()).collect();
    let gave_up = || internal("the model could not be written");
    let view = |kind, width, bytes| TensorView::new(kind, vec![count, width], bytes).map_err(|_| gave_up());
    let views = [
        ("trees.feature", view(Dtype::I32, inner, &feature)?),
        (LEAF, view(Dtype::F32, inner + 1, &leaf)?),
        ("trees.threshold", view(Dtype::F32, inner, &threshold)?),
    ];
    serialize(views, &None).map_err(|_| gave_up())
}
