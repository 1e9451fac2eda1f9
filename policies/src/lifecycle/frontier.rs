//! Right edges of Merkle trees: enough to append leaves and to compute the root.

use schemas::Digest;
use schemas::log::node_hash;

/// The right edge of a tree shaped as in RFC 6962 2.1, whatever its hashes are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Edge {
    size: u64,
    /// Hashes of the complete subtrees, largest first, with their level.
    peaks: Vec<(u8, Digest)>,
}

impl Edge {
    pub(super) fn resume(size: u64, peaks: Vec<(u8, Digest)>) -> Edge {
        Edge { size, peaks }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn push(
        &mut self,
        leaf: Digest,
        node: impl Fn(&Digest, &Digest) -> Digest,
        mut completed: impl FnMut(u8, u64, Digest),
    ) {
        let (mut level, mut hash) = (0u8, leaf);
        completed(level, self.size, hash);
        while let Some(&(top, left)) = self.peaks.last() {
            if top != level {
                break;
            }
            self.peaks.pop();
            hash = node(&left, &hash);
            level += 1;
            completed(level, self.size >> level, hash);
        }
        self.peaks.push((level, hash));
        self.size += 1;
    }

    pub(super) fn peaks(&self) -> impl Iterator<Item = (u8, u64, Digest)> {
        let mut start = 0u64;
        self.peaks.iter().map(move |(level, hash)| {
            let index = start >> level;
            start += 1 << level;
            (*level, index, *hash)
        })
    }

    pub(super) fn root(&self, node: impl Fn(&Digest, &Digest) -> Digest) -> Digest {
        let mut peaks = self.peaks.iter().rev().map(|(_, hash)| *hash);
        let Some(last) = peaks.next() else {
            return Digest::of(&[]);
        };
        peaks.fold(last, |right, left| node(&left, &right))
    }
}

/// The right edge of the log's tree (RFC 6962 2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier(Edge);

impl Frontier {
    /// The right edge of a tree of this size: its complete subtrees, largest first, with their level. The caller has
    /// checked them against a signed root.
    pub fn resume(size: u64, peaks: Vec<(u8, Digest)>) -> Frontier {
        Frontier(Edge::resume(size, peaks))
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// Appends a leaf; tells every subtree that it completes: level (0 = the leaf itself), index within the level, hash.
    pub fn push(&mut self, leaf: Digest, completed: impl FnMut(u8, u64, Digest)) {
        self.0.push(leaf, node_hash, completed);
    }

    /// The complete subtrees, largest first: level, index within the level, hash.
    pub fn peaks(&self) -> impl Iterator<Item = (u8, u64, Digest)> {
        self.0.peaks()
    }

    /// The root (RFC 6962 2.1); of an empty tree the hash of nothing.
    pub fn root(&self) -> Digest {
        self.0.root(node_hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::log::leaf_hash;

    fn root(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::of(&[]),
            [one] => *one,
            _ => {
                let k = leaves.len().next_power_of_two() / 2;
                node_hash(&root(&leaves[..k]), &root(&leaves[k..]))
            }
        }
    }

    #[test]
    fn the_frontier_gives_the_root_of_rfc_6962_and_every_complete_subtree() {
        let leaves: Vec<Digest> = (0..70u8).map(|i| leaf_hash(&[i])).collect();
        let mut frontier = Frontier::default();
        let mut told = 0;
        for (n, leaf) in leaves.iter().enumerate() {
            assert_eq!(frontier.root(), root(&leaves[..n]));
            frontier.push(*leaf, |level, index, hash| {
                let start = (index << level) as usize;
                assert_eq!(hash, root(&leaves[start..start + (1 << level)]));
                told += 1;
            });
            for (level, index, hash) in frontier.peaks() {
                let start = (index << level) as usize;
                assert_eq!(hash, root(&leaves[start..start + (1 << level)]));
            }
        }
        assert_eq!(told, (0..7).map(|level| 70 >> level).sum::<i32>());
    }
}
