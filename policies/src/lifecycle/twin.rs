//! The second, CCF-shaped tree over the same entries: its shape is that of RFC 6962, its hashes are not.
//!
//! Leaf n = SHA-256(h ‖ SHA-256(evidence) ‖ claims) with h the leaf of the first tree, evidence the text `ce:1.<n>:<hex
//! of h>` and claims the digest of a public statement or else the record's `body_sha256`; inner = SHA-256(left ‖ right).

use schemas::Digest;
use schemas::event::Body;

use super::frontier::Edge;

/// The right edge of the second tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Twin(Edge);

impl Twin {
    /// The right edge of a tree of this size, as [`super::Frontier::resume`].
    pub fn resume(size: u64, peaks: Vec<(u8, Digest)>) -> Twin {
        Twin(Edge::resume(size, peaks))
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// Appends a leaf; tells every subtree that it completes, as [`super::Frontier::push`].
    pub fn push(&mut self, leaf: Digest, completed: impl FnMut(u8, u64, Digest)) {
        self.0.push(leaf, inner, completed);
    }

    /// The complete subtrees, largest first: level, index within the level, hash.
    pub fn peaks(&self) -> impl Iterator<Item = (u8, u64, Digest)> {
        self.0.peaks()
    }

    /// The root; of an empty tree the hash of nothing.
    pub fn root(&self) -> Digest {
        self.0.root(inner)
    }
}

/// Evidence of entry `index`, as a CCF receipt carries it.
pub fn twin_evidence(index: u64, leaf: &Digest) -> String {
    format!("ce:1.{index}:{leaf}")
}

/// The claims digest of an entry: of the statement that stands whole in the log, else the salted digest of its body.
pub fn twin_claims(body: &Body, body_sha256: &Digest) -> Digest {
    match body {
        Body::StatementRegistered { statement, .. } => Digest::of(&statement.0),
        _ => *body_sha256,
    }
}

/// Leaf `index` of the second tree.
pub fn twin_leaf(index: u64, leaf: &Digest, claims: &Digest) -> Digest {
    let evidence = Digest::of(twin_evidence(index, leaf).as_bytes());
    Digest::of_parts(&[&leaf.0, &evidence.0, &claims.0])
}

fn inner(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&left.0, &right.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_tree_has_the_shape_of_the_first_and_other_hashes() {
        let leaves: Vec<Digest> = (0..5u64).map(|n| twin_leaf(n, &Digest([n as u8; 32]), &Digest([9; 32]))).collect();
        let mut twin = Twin::default();
        leaves.iter().for_each(|leaf| twin.push(*leaf, |_, _, _| {}));
        let left = inner(&inner(&leaves[0], &leaves[1]), &inner(&leaves[2], &leaves[3]));
        assert_eq!(twin.root(), inner(&left, &leaves[4]));
        assert_eq!(twin.peaks().collect::<Vec<_>>(), [(2, 0, left), (0, 4, leaves[4])]);
        assert_eq!(twin.size(), 5);
        assert_eq!(twin_evidence(7, &Digest([1; 32])), format!("ce:1.7:{}", "01".repeat(32)));
    }
}
