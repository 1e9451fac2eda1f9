//! Merkle proofs (RFC 6962 2.1) from the hashes of complete subtrees: O(log n) look-ups each.

use schemas::{Digest, R};

use crate::tiles::Tree;

/// Finds the hash of a complete subtree: level (0 = leaf), index within the level.
pub(crate) type Node<'a> = dyn FnMut(u8, u64) -> R<Digest> + 'a;

/// The largest power of two below `n`, which is at least 2.
fn split(n: u64) -> u64 {
    1 << (63 - (n - 1).leading_zeros())
}

/// The hash over the leaves `lo..hi`, which is not empty.
fn range(tree: Tree, lo: u64, hi: u64, node: &mut Node<'_>) -> R<Digest> {
    let n = hi - lo;
    if n.is_power_of_two() && lo.is_multiple_of(n) {
        return node(n.trailing_zeros() as u8, lo / n);
    }
    let mid = lo + split(n);
    let left = range(tree, lo, mid, node)?;
    Ok(tree.join(&left, &range(tree, mid, hi, node)?))
}

/// The inclusion path of a leaf, leaf to root. The caller has checked `index < size`.
pub(crate) fn inclusion(tree: Tree, index: u64, size: u64, node: &mut Node<'_>) -> R<Vec<Digest>> {
    let (mut lo, mut hi, mut path) = (0, size, Vec::new());
    while hi - lo > 1 {
        let mid = lo + split(hi - lo);
        if index < mid {
            path.push(range(tree, mid, hi, node)?);
            hi = mid;
        } else {
            path.push(range(tree, lo, mid, node)?);
            lo = mid;
        }
    }
    path.reverse();
    Ok(path)
}

/// The root of the tree of the first `size` leaves, at least one.
pub(crate) fn root(tree: Tree, size: u64, node: &mut Node<'_>) -> R<Digest> {
    range(tree, 0, size, node)
}

/// For each hash of an inclusion path, leaf to root: whether it stands on the left.
pub(crate) fn sides(index: u64, size: u64) -> Vec<bool> {
    let (mut lo, mut hi, mut sides) = (0, size, Vec::new());
    while hi - lo > 1 {
        let mid = lo + split(hi - lo);
        sides.push(index >= mid);
        if index < mid { hi = mid } else { lo = mid }
    }
    sides.reverse();
    sides
}

/// The proof that the tree of `old` leaves is a prefix of that of `new`. The caller has checked `0 < old <= new`.
pub(crate) fn consistency(tree: Tree, old: u64, new: u64, node: &mut Node<'_>) -> R<Vec<Digest>> {
    let (mut lo, mut hi, mut proof, mut whole) = (0, new, Vec::new(), true);
    while old != hi {
        let mid = lo + split(hi - lo);
        if old <= mid {
            proof.push(range(tree, mid, hi, node)?);
            hi = mid;
        } else {
            proof.push(range(tree, lo, mid, node)?);
            lo = mid;
            whole = false;
        }
    }
    if !whole {
        proof.push(range(tree, lo, hi, node)?);
    }
    proof.reverse();
    Ok(proof)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use policies::lifecycle::Frontier;
    use schemas::log::{CheckpointRef, check_consistency, inclusion_root, leaf_hash};

    use super::*;

    #[test]
    fn proofs_verify_by_the_published_checks() {
        let mut frontier = Frontier::default();
        let mut nodes = HashMap::new();
        let mut roots = vec![frontier.root()];
        for n in 1..=67u64 {
            frontier.push(leaf_hash(&n.to_be_bytes()), |level, index, hash| {
                nodes.insert((level, index), hash);
            });
            roots.push(frontier.root());
            let mut node = |level: u8, index: u64| Ok(nodes[&(level, index)]);
            for index in 0..n {
                let path = inclusion(Tree::Log, index, n, &mut node).unwrap();
                assert_eq!(
                    inclusion_root(leaf_hash(&(index + 1).to_be_bytes()), index, n, &path).unwrap(),
                    frontier.root()
                );
            }
            let new = CheckpointRef { size: n, root: frontier.root() };
            for old in 1..=n {
                let proof = consistency(Tree::Log, old, n, &mut node).unwrap();
                check_consistency(&CheckpointRef { size: old, root: roots[old as usize] }, &new, &proof).unwrap();
            }
        }
    }

    #[test]
    fn paths_of_new_leaves_need_only_the_old_right_edge_and_new_nodes() {
        for old in 0..40u64 {
            for added in 1..20u64 {
                let mut frontier = Frontier::default();
                (0..old).for_each(|n| frontier.push(leaf_hash(&n.to_be_bytes()), |_, _, _| {}));
                let mut nodes: HashMap<_, _> = frontier.peaks().map(|(l, i, h)| ((l, i), h)).collect();
                for n in old..old + added {
                    frontier.push(leaf_hash(&n.to_be_bytes()), |l, i, h| {
                        nodes.insert((l, i), h);
                    });
                }
                for index in old..old + added {
                    let path = inclusion(Tree::Log, index, old + added, &mut |l, i| Ok(nodes[&(l, i)])).unwrap();
                    let leaf = leaf_hash(&index.to_be_bytes());
                    assert_eq!(inclusion_root(leaf, index, old + added, &path).unwrap(), frontier.root());
                }
            }
        }
    }
}
