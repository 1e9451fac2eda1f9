//! The two trees as tiles of 256 hashes (C2SP tlog-tiles): the right edge that grows, the rows that are written once per
//! batch, and those kept in memory for reading.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use diesel::prelude::*;
use schemas::log::node_hash;
use schemas::{Digest, R};

use crate::conn::Db;
use crate::error::{Fault, corrupt};
use crate::tables::log_tiles;

/// Bytes of a full tile.
const FULL: usize = 256 * 32;
/// Tiles kept for reading: 32 MiB.
const KEPT: usize = 4096;

/// Which of the two trees over the same entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Tree {
    /// The log's own (RFC 6962).
    Log,
    /// The CCF-shaped one: inner hashes without prefix.
    Twin,
}

impl Tree {
    fn number(self) -> i32 {
        match self {
            Tree::Log => 0,
            Tree::Twin => 1,
        }
    }

    /// The hash over two subtrees.
    pub(crate) fn join(self, left: &Digest, right: &Digest) -> Digest {
        match self {
            Tree::Log => node_hash(left, right),
            Tree::Twin => Digest::of_parts(&[&left.0, &right.0]),
        }
    }

    /// The hash over `1 << height` neighbouring hashes of a tile, from the one at `at`.
    pub(crate) fn within(self, tile: &[u8], height: u8, at: usize) -> R<Digest> {
        if height == 0 {
            let bytes = tile.get(at * 32..at * 32 + 32).and_then(|b| b.try_into().ok());
            return Ok(Digest(bytes.ok_or_else(|| corrupt("a tile of the tree"))?));
        }
        let half = 1usize << (height - 1);
        Ok(self.join(&self.within(tile, height - 1, at)?, &self.within(tile, height - 1, at + half)?))
    }
}

/// Complete subtrees by level: all that one batch completes, and the right edge before it.
#[derive(Debug, Default)]
pub(crate) struct Nodes(Vec<(u64, Vec<Digest>)>);

impl Nodes {
    fn put(&mut self, level: u8, index: u64, hash: Digest) {
        while self.0.len() <= usize::from(level) {
            self.0.push((0, Vec::new()));
        }
        if let Some((first, hashes)) = self.0.get_mut(usize::from(level)) {
            if hashes.is_empty() {
                *first = index;
            }
            hashes.push(hash);
        }
    }

    /// The hash of a subtree, where it is here.
    pub(crate) fn get(&self, level: u8, index: u64) -> Option<Digest> {
        let (first, hashes) = self.0.get(usize::from(level))?;
        hashes.get(usize::try_from(index.checked_sub(*first)?).ok()?).copied()
    }
}

/// A full tile: level, index, hashes.
pub(crate) type Tile = (u8, u64, Vec<u8>);

/// What a batch makes of a tree.
#[derive(Debug, Default)]
pub(crate) struct Grown {
    /// Subtrees.
    pub(crate) nodes: Nodes,
    /// Tiles that became full: level, index, hashes.
    pub(crate) full: Vec<Tile>,
}

/// Reads a tile: level, index, the number of hashes wanted.
type Load<'a> = dyn FnMut(u8, u64, usize) -> Result<Vec<u8>, Fault> + 'a;

/// The right edge of a tree: enough to append leaves, to compute the root and to write the tiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    tree: Tree,
    size: u64,
    /// Complete subtrees, largest first, with their level.
    peaks: Vec<(u8, Digest)>,
    /// The tile of each level that is not full.
    open: Vec<Vec<u8>>,
}

impl Edge {
    pub(crate) fn new(tree: Tree) -> Edge {
        Edge { tree, size: 0, peaks: Vec::new(), open: Vec::new() }
    }

    /// Number of leaves.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The complete subtrees of the right edge, largest first, with their level.
    pub(crate) fn peaks(&self) -> Vec<(u8, Digest)> {
        self.peaks.clone()
    }

    /// What a batch starts from: the complete subtrees of the right edge.
    pub(crate) fn grown(&self) -> Grown {
        let (mut grown, mut start) = (Grown::default(), 0u64);
        for (level, hash) in &self.peaks {
            grown.nodes.put(*level, start >> level, *hash);
            start += 1 << level;
        }
        grown
    }

    /// Appends a leaf.
    pub(crate) fn push(&mut self, leaf: Digest, grown: &mut Grown) {
        let (mut level, mut hash) = (0u8, leaf);
        self.complete(level, hash, grown);
        while let Some(&(top, left)) = self.peaks.last() {
            if top != level {
                break;
            }
            self.peaks.pop();
            hash = self.tree.join(&left, &hash);
            level += 1;
            self.complete(level, hash, grown);
        }
        self.peaks.push((level, hash));
        self.size += 1;
    }

    fn complete(&mut self, level: u8, hash: Digest, grown: &mut Grown) {
        let index = self.size >> level;
        grown.nodes.put(level, index, hash);
        if !level.is_multiple_of(8) {
            return;
        }
        let tile = usize::from(level / 8);
        while self.open.len() <= tile {
            self.open.push(Vec::new());
        }
        if let Some(open) = self.open.get_mut(tile) {
            open.extend_from_slice(&hash.0);
            if open.len() == FULL {
                grown.full.push((level / 8, index >> 8, std::mem::take(open)));
            }
        }
    }

    /// The root; of an empty tree the hash of nothing.
    pub(crate) fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev().map(|(_, hash)| *hash);
        let Some(last) = peaks.next() else {
            return Digest::of(&[]);
        };
        peaks.fold(last, |right, left| self.tree.join(&left, &right))
    }

    /// The tiles that are not full: level, index, hashes.
    pub(crate) fn open(&self) -> impl Iterator<Item = (u8, u64, &[u8])> {
        let index = |level: usize| self.size.checked_shr(8 * level as u32 + 8).unwrap_or_default();
        let open = self.open.iter().enumerate().filter(|(_, hashes)| !hashes.is_empty());
        open.map(move |(level, hashes)| (level as u8, index(level), hashes.as_slice()))
    }

    /// Reads the right edge of a tree of this size from its tiles.
    pub(crate) fn read(db: &mut Db, tree: Tree, size: u64) -> Result<Edge, Fault> {
        Edge::from(size, tree, &mut |level, index, _| load(db, tree, level, index))
    }

    fn from(size: u64, tree: Tree, load: &mut Load<'_>) -> Result<Edge, Fault> {
        let mut edge = Edge { tree, size, peaks: Vec::new(), open: Vec::new() };
        for level in (0..8u8).take_while(|level| size >> (8 * level) > 0) {
            let (width, index) = ((size >> (8 * level)) as usize & 255, size.checked_shr(8 * u32::from(level) + 8));
            let tile = if width == 0 { Vec::new() } else { load(level, index.unwrap_or_default(), width)? };
            if tile.len() != 32 * width {
                return Err(corrupt("the right edge of the tree").into());
            }
            let mut at = width;
            for bit in (0..8u8).filter(|bit| width >> bit & 1 == 1) {
                at -= 1 << bit;
                edge.peaks.push((8 * level + bit, tree.within(&tile, bit, at)?));
            }
            edge.open.push(tile);
        }
        edge.peaks.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
        Ok(edge)
    }

    /// The right edge that a tree had at a smaller size, from the tiles of today.
    pub(crate) fn at(db: &mut Db, tree: Tree, size: u64) -> Result<Edge, Fault> {
        Edge::from(size, tree, &mut |level, index, width| {
            let mut tile = load(db, tree, level, index)?;
            tile.truncate(32 * width);
            Ok(tile)
        })
    }

    /// Writes the tiles that a batch filled or moved, since the tree had `old` leaves.
    pub(crate) fn write(&self, db: &mut Db, old: u64, grown: &Grown) -> Result<(), Fault> {
        let moved = |level: u8| self.size >> (8 * level) != old >> (8 * level);
        let open = self.open().filter(|(level, ..)| moved(*level));
        for (level, index, hashes) in grown.full.iter().map(|(l, i, h)| (*l, *i, h.as_slice())).chain(open) {
            let was = old >> (8 * level);
            let there = was & 255 != 0 && index == was >> 8;
            let key = (self.tree.number(), i32::from(level), index as i64);
            if there {
                let row = log_tiles::table.find(key);
                if diesel::update(row).set(log_tiles::hashes.eq(hashes)).execute(db)? != 1 {
                    return Err(corrupt("a tile of the tree").into());
                }
                continue;
            }
            let row = (
                log_tiles::tree.eq(key.0),
                log_tiles::level.eq(key.1),
                log_tiles::idx.eq(key.2),
                log_tiles::hashes.eq(hashes),
            );
            diesel::insert_into(log_tiles::table).values(row).execute(db)?;
        }
        Ok(())
    }
}

/// Reads a stored tile.
pub(crate) fn load(db: &mut Db, tree: Tree, level: u8, index: u64) -> Result<Vec<u8>, Fault> {
    let row = log_tiles::table.find((tree.number(), i32::from(level), index as i64));
    let found: Option<Vec<u8>> = row.select(log_tiles::hashes).first(db).optional()?;
    Ok(found.ok_or_else(|| corrupt("a tile of the tree"))?)
}

/// Number of tiles that are stored of a tree.
pub(crate) fn count(db: &mut Db, tree: Tree) -> Result<i64, Fault> {
    Ok(log_tiles::table.filter(log_tiles::tree.eq(tree.number())).count().get_result(db)?)
}

/// Number of tiles that a tree of this size has.
pub(crate) fn expected(size: u64) -> i64 {
    (0..8).map(|level| (size >> (8 * level)).div_ceil(256) as i64).sum()
}

/// Tiles kept for reading: full ones for as long as there is room, and the right edge.
#[derive(Default)]
pub(crate) struct Tiles(RwLock<HashMap<Key, Arc<Vec<u8>>>>);

/// Tree, level and index of a tile.
type Key = (Tree, u8, u64);

impl Tiles {
    /// A tile of at least `width` hashes, from memory or through `load`.
    pub(crate) fn get(
        &self,
        (tree, level, index): Key,
        width: u64,
        load: &mut dyn FnMut(Tree, u8, u64) -> R<Vec<u8>>,
    ) -> R<Arc<Vec<u8>>> {
        let wide = |tile: &Arc<Vec<u8>>| tile.len() as u64 >= 32 * width;
        let kept = self.0.read().unwrap_or_else(|p| p.into_inner()).get(&(tree, level, index)).cloned();
        if let Some(tile) = kept.filter(wide) {
            return Ok(tile);
        }
        let tile = Arc::new(load(tree, level, index)?);
        if !wide(&tile) {
            return Err(corrupt("a tile of the tree"));
        }
        if tile.len() == FULL {
            self.put(tree, level, index, Arc::clone(&tile));
        }
        Ok(tile)
    }

    /// The hash of a complete subtree.
    pub(crate) fn node(
        &self,
        tree: Tree,
        level: u8,
        index: u64,
        load: &mut dyn FnMut(Tree, u8, u64) -> R<Vec<u8>>,
    ) -> R<Digest> {
        let (tile, height) = (level / 8, level % 8);
        let first = index << height;
        let at = first & 255;
        let hashes = self.get((tree, tile, first >> 8), at + (1 << height), load)?;
        tree.within(&hashes, height, at as usize)
    }

    /// Takes over what a committed batch made.
    pub(crate) fn adopt(&self, edge: &Edge, full: Vec<Tile>) {
        for (level, index, hashes) in full {
            self.put(edge.tree, level, index, Arc::new(hashes));
        }
        for (level, index, hashes) in edge.open() {
            self.put(edge.tree, level, index, Arc::new(hashes.to_vec()));
        }
    }

    fn put(&self, tree: Tree, level: u8, index: u64, tile: Arc<Vec<u8>>) {
        let mut kept = self.0.write().unwrap_or_else(|p| p.into_inner());
        if kept.len() >= KEPT {
            // Starting afresh is rare, and what is read often comes back at once.
            kept.retain(|(_, level, _), tile| *level > 0 || tile.len() < FULL);
        }
        let known = kept.get(&(tree, level, index)).is_some_and(|old| old.len() >= tile.len());
        if !known {
            kept.insert((tree, level, index), tile);
        }
    }
}

#[cfg(test)]
mod tests {
    use policies::lifecycle::Frontier;
    use schemas::log::leaf_hash;

    use super::*;

    #[test]
    fn the_edge_has_the_root_of_the_frontier_and_every_node_is_in_a_tile() {
        let (mut edge, mut frontier) = (Edge::new(Tree::Log), Frontier::default());
        let (tiles, mut grown) = (Tiles::default(), Grown::default());
        let mut nodes = Vec::new();
        for n in 0..1300u64 {
            let leaf = leaf_hash(&n.to_be_bytes());
            edge.push(leaf, &mut grown);
            frontier.push(leaf, |level, index, hash| nodes.push((level, index, hash)));
            assert_eq!(edge.root(), frontier.root());
        }
        tiles.adopt(&edge, grown.full);
        let mut none = |_: Tree, _: u8, _: u64| Err(corrupt("a tile that was not kept"));
        for (level, index, hash) in nodes {
            assert_eq!(grown.nodes.get(level, index), Some(hash));
            assert_eq!(tiles.node(Tree::Log, level, index, &mut none).unwrap(), hash, "{level} {index}");
        }
        assert_eq!(expected(1300), 6 + 1);
    }

    #[test]
    fn the_second_tree_hashes_without_prefix() {
        let (a, b) = (leaf_hash(b"a"), leaf_hash(b"b"));
        let mut edge = Edge::new(Tree::Twin);
        let mut grown = Grown::default();
        edge.push(a, &mut grown);
        edge.push(b, &mut grown);
        assert_eq!(edge.root(), Digest::of(&[a.0, b.0].concat()));
    }
}
