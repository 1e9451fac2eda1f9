//! Replays exported entries: the Merkle root, every subject's chain, every salted digest and the state, in one pass.

use std::collections::BTreeMap;

use schemas::envelope::Verified;
use schemas::event::Body;
use schemas::log::{ExportedEntry, body_digest, node_hash, subject_digest};
use schemas::{Code, Digest, R, Refusal};

use super::State;

/// The right edge of a Merkle tree: enough to append leaves and to compute the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Hashes of the complete subtrees, largest first, with their level.
    peaks: Vec<(u8, Digest)>,
}

impl Frontier {
    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf; tells every subtree that it completes: level (0 = the leaf itself), index within the level, hash.
    pub fn push(&mut self, leaf: Digest, mut completed: impl FnMut(u8, u64, Digest)) {
        let (mut level, mut hash) = (0u8, leaf);
        completed(level, self.size, hash);
        while let Some(&(top, left)) = self.peaks.last() {
            if top != level {
                break;
            }
            self.peaks.pop();
            hash = node_hash(&left, &hash);
            level += 1;
            completed(level, self.size >> level, hash);
        }
        self.peaks.push((level, hash));
        self.size += 1;
    }

    /// The complete subtrees, largest first: level, index within the level, hash.
    pub fn peaks(&self) -> impl Iterator<Item = (u8, u64, Digest)> {
        let mut start = 0u64;
        self.peaks.iter().map(move |(level, hash)| {
            let index = start >> level;
            start += 1 << level;
            (*level, index, *hash)
        })
    }

    /// The root (RFC 6962 2.1); of an empty tree the hash of nothing.
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev().map(|(_, hash)| *hash);
        let Some(last) = peaks.next() else {
            return Digest::of(&[]);
        };
        peaks.fold(last, |right, left| node_hash(&left, &right))
    }
}

/// The subtrees that an entry completes, its leaf first: level, index within the level, hash.
pub type Completed = Vec<(u8, u64, Digest)>;

/// Digests of an exported entry over its canonical bytes. A reader of a file that has shown a line to be canonical takes
/// them from the bytes as they stand; nothing need be written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digests {
    /// The salted digest of the body.
    pub body: Digest,
    /// The leaf hash of the record.
    pub leaf: Digest,
}

impl Digests {
    /// The digests of an entry, of canonical bytes written for it.
    pub fn of(entry: &ExportedEntry) -> R<Digests> {
        let salt = entry.body_salt.0.as_slice().try_into().map_err(|_| tampered(entry.index, "a salt has 32 bytes"))?;
        let body = body_digest(&salt, &entry.body).map_err(|e| tampered(entry.index, &e.sentence))?;
        Ok(Digests { body, leaf: entry.record.leaf()? })
    }
}

/// Where a subject's chain stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Sequence of its last entry.
    pub seq: u64,
    /// Leaf of that entry.
    pub leaf: Digest,
    /// The subject's salt.
    pub salt: [u8; 32],
}

/// A replay in progress.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replay {
    /// The state so far.
    pub state: State,
    /// The tree so far.
    pub frontier: Frontier,
    /// The chains so far, by subject.
    pub chains: BTreeMap<String, Link>,
}

impl Replay {
    /// A replay before the first entry.
    pub fn new() -> Replay {
        Replay::default()
    }

    /// Checks the record of an entry against its body, salts and chain, and folds the body, whose signatures the
    /// caller has verified with [`Replay::state`] as the book of keys. Every fault is `LOG_TAMPERED` and names the entry.
    pub fn enter(&mut self, entry: &ExportedEntry, verified: &Verified<Body>) -> R<Completed> {
        self.enter_read(entry, verified, &Digests::of(entry)?)
    }

    /// [`Replay::enter`] with digests that the caller took from the entry's canonical bytes.
    pub fn enter_read(&mut self, entry: &ExportedEntry, verified: &Verified<Body>, digests: &Digests) -> R<Completed> {
        let fault = |e: Refusal| tampered(entry.index, &format!("{}: {}", e.code, e.sentence));
        if **verified != entry.body {
            return Err(tampered(entry.index, "another body was verified"));
        }
        self.record_fits(entry, digests)?;
        self.state.apply(entry.index, entry.record.at, verified).map_err(fault)?;
        self.advance(entry, digests)
    }

    /// [`Replay::enter`] without verified signatures, see [`State::refold`].
    pub fn reenter(&mut self, entry: &ExportedEntry) -> R<Completed> {
        self.reenter_read(entry, &Digests::of(entry)?)
    }

    /// [`Replay::reenter`] with digests that the caller took from the entry's canonical bytes.
    pub fn reenter_read(&mut self, entry: &ExportedEntry, digests: &Digests) -> R<Completed> {
        self.record_fits(entry, digests)?;
        let fault = |e: Refusal| tampered(entry.index, &format!("{}: {}", e.code, e.sentence));
        self.state.refold(entry.index, entry.record.at, &entry.body).map_err(fault)?;
        self.advance(entry, digests)
    }

    /// 1. the index follows; 2. version and kind; 3. subject id and its salted digest, one salt per subject; 4. sequence
    ///    and link; 5. salted digest of the body.
    fn record_fits(&self, entry: &ExportedEntry, digests: &Digests) -> R<()> {
        let bad = |why: &str| Err(tampered(entry.index, why));
        let record = &entry.record;
        if entry.index != self.frontier.size {
            return bad("not the next entry");
        }
        if record.v != 1 || record.kind != entry.body.kind() {
            return bad("the record is of another kind than the body");
        }
        let salts =
            (<[u8; 32]>::try_from(entry.subject_salt.0.as_slice()), <[u8; 32]>::try_from(entry.body_salt.0.as_slice()));
        let (Ok(subject_salt), Ok(_)) = salts else {
            return bad("a salt has 32 bytes");
        };
        let subject = self.state.subject(&entry.body).map_err(|e| tampered(entry.index, &e.sentence))?;
        if subject != entry.subject || record.subject != subject_digest(&subject_salt, &subject) {
            return bad("the record is about another subject");
        }
        let link = self.chains.get(&subject);
        let expected = link.map_or((1, Digest([0; 32])), |l| (l.seq + 1, l.leaf));
        if (record.seq, record.prev) != expected || link.is_some_and(|l| l.salt != subject_salt) {
            return bad("the record does not follow on the subject's entry before it");
        }
        if record.body_sha256 != digests.body {
            return bad("the record is of another body");
        }
        Ok(())
    }

    fn advance(&mut self, entry: &ExportedEntry, digests: &Digests) -> R<Completed> {
        let leaf = digests.leaf;
        let salt = entry.subject_salt.0.as_slice().try_into().map_err(|_| tampered(entry.index, "salt"))?;
        self.chains.insert(entry.subject.clone(), Link { seq: entry.record.seq, leaf, salt });
        let mut completed = Vec::new();
        self.frontier.push(leaf, |level, index, hash| completed.push((level, index, hash)));
        Ok(completed)
    }
}

fn tampered(index: u64, why: &str) -> Refusal {
    Refusal::new(Code::LogTampered, format!("entry {index}: {why}"))
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
