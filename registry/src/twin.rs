//! The second, CCF-shaped tree over the same entries, for clients that read COSE receipts of that shape. Its root stands
//! in the last entry of each batch, so one checkpoint covers both trees.

use diesel::prelude::*;
use policies::lifecycle::{twin_claims, twin_evidence, twin_leaf};
use schemas::event::Body;
use schemas::log::Record;
use schemas::{Code, Digest, R, Refusal, canonical};

use crate::Registry;
use crate::error::{Fault, corrupt};
use crate::tables::log_entries;
use crate::tiles::{self, Tree};
use crate::tree;

/// The parts of a leaf: leaf = SHA-256(entry ‖ SHA-256(evidence) ‖ claims).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwinLeaf {
    /// RFC 6962 leaf hash of the entry in the log's own tree.
    pub entry: Digest,
    /// `ce:1.<index>:<hex of entry>`.
    pub evidence: String,
    /// SHA-256 of a registered statement's bytes; for other entries the salted digest of the body.
    pub claims: Digest,
}

/// Proof that an entry stands in the second tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwinProof {
    /// The entry.
    pub index: u64,
    /// Number of leaves of the tree: the index of the entry that holds its root.
    pub size: u64,
    /// The tree's root; inner hash = SHA-256(left ‖ right).
    pub root: Digest,
    /// The leaf.
    pub leaf: TwinLeaf,
    /// From leaf to root: whether the hash stands on the left, and the hash.
    pub path: Vec<(bool, Digest)>,
}

impl Registry {
    /// The proof of an entry under the newest root of the second tree. That root stands in the last entry, which it
    /// does not cover itself: `NOT_FOUND` for it and for what is not in the log.
    pub fn twin_proof(&self, index: u64) -> R<TwinProof> {
        let size = self.shared.face.published().head.size.saturating_sub(1);
        if index >= size {
            return Err(Refusal::new(Code::NotFound, format!("the second tree has no entry {index} yet")));
        }
        self.read(|db| {
            let row = log_entries::table.find(index as i64).select((log_entries::record, log_entries::body));
            let (record, body): (Vec<u8>, Vec<u8>) = row.first(db)?;
            let leaf = schemas::log::leaf_hash(&record);
            let (record, body): (Record, Body) = (canonical::parse(&record)?, canonical::parse(&body)?);
            let mut load = |tree, level, index| tiles::load(db, tree, level, index).map_err(Fault::refusal);
            let tiles = &self.shared.face.tiles;
            let mut node = |level, index| tiles.node(Tree::Twin, level, index, &mut load);
            let path = tree::inclusion(Tree::Twin, index, size, &mut node)?;
            let root = tree::root(Tree::Twin, size, &mut node)?;
            let claims = twin_claims(&body, &record.body_sha256);
            let sides = tree::sides(index, size);
            if node(0, index)? != twin_leaf(index, &leaf, &claims) {
                return Err(corrupt("a leaf of the second tree").into());
            }
            let leaf = TwinLeaf { entry: leaf, evidence: twin_evidence(index, &leaf), claims };
            Ok(TwinProof { index, size, root, leaf, path: sides.into_iter().zip(path).collect() })
        })
    }
}
