//! The transparency log's words: records, checkpoints, receipts; and the pure Merkle checks of RFC 9162.
//!
//! Leaf = SHA-256(0x00 ‖ record), node = SHA-256(0x01 ‖ left ‖ right) (RFC 6962 §2.1). The record is public and tells
//! nobody who deals with whom: the subject is salted per subject, the body digest is salted per entry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::digest::Digest;
use crate::event::Body;
use crate::problem::{Code, R, Refusal};
use crate::text::Bytes;
use crate::time::Timestamp;

/// The public record of one entry; its canonical bytes are the leaf data.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Always 1.
    pub v: u8,
    /// The kind of the body.
    pub kind: String,
    /// SHA-256(subject salt ‖ subject id).
    pub subject: Digest,
    /// Sequence within the subject, from 1.
    pub seq: u64,
    /// When it was entered, by the service's clock.
    pub at: Timestamp,
    /// SHA-256(body salt ‖ canonical body).
    pub body_sha256: Digest,
    /// Leaf hash of the subject's entry before this one; all zero at sequence 1.
    pub prev: Digest,
}

impl Record {
    /// The leaf data.
    pub fn bytes(&self) -> R<Vec<u8>> {
        canonical::to_bytes(self)
    }

    /// The leaf hash.
    pub fn leaf(&self) -> R<Digest> {
        Ok(leaf_hash(&self.bytes()?))
    }
}

/// The salted digest of a body. The salt has exactly 32 bytes, so that no other split gives the same digest.
pub fn body_digest(salt: &[u8; 32], body: &Body) -> R<Digest> {
    Ok(Digest::of_parts(&[salt, &canonical::to_bytes(body)?]))
}

/// The salted digest of a subject id.
pub fn subject_digest(salt: &[u8; 32], id: &str) -> Digest {
    Digest::of_parts(&[salt, id.as_bytes()])
}

/// RFC 6962 leaf hash.
pub fn leaf_hash(data: &[u8]) -> Digest {
    Digest::of_parts(&[&[0], data])
}

/// RFC 6962 node hash.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&[1], &left.0, &right.0])
}

/// Size and root of a log.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckpointRef {
    /// Number of entries.
    pub size: u64,
    /// Merkle root.
    pub root: Digest,
}

/// A C2SP signed note with a C2SP checkpoint body, as text; parsed by [`Checkpoint::parse`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// Origin line.
    pub origin: String,
    /// Size and root.
    pub head: CheckpointRef,
    /// The signed part of the note, ending in a newline.
    pub body: String,
    /// Signature lines.
    pub signatures: Vec<NoteSignature>,
}

/// A signature line of a note.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoteSignature {
    /// Key name.
    pub name: String,
    /// First four bytes of SHA-256(name ‖ "\n" ‖ type ‖ public key).
    pub key_hash: [u8; 4],
    /// Signature bytes after the key hash.
    pub signature: Vec<u8>,
}

/// The body of a checkpoint note.
pub fn checkpoint_body(origin: &str, head: &CheckpointRef) -> String {
    format!("{origin}\n{}\n{}\n", head.size, STANDARD.encode(head.root.0))
}

impl Checkpoint {
    /// Reads a checkpoint note of at most 16 KiB and 16 signatures; no signature is checked.
    pub fn parse(text: &str) -> R<Checkpoint> {
        let bad = |why: &str| Refusal::new(Code::CheckpointInvalid, format!("not a checkpoint note: {why}"));
        if text.len() > 16 * 1024 {
            return Err(bad("too long"));
        }
        let (body, tail) = text.split_once("\n\n").ok_or_else(|| bad("no blank line"))?;
        let body = format!("{body}\n");
        let mut lines = body.lines();
        let origin = lines.next().filter(|o| !o.is_empty()).ok_or_else(|| bad("no origin"))?.to_owned();
        let size_text = lines.next().ok_or_else(|| bad("no size"))?;
        let size: u64 = size_text.parse().map_err(|_| bad("size"))?;
        if size.to_string() != size_text {
            return Err(bad("size"));
        }
        let root = lines.next().and_then(|l| STANDARD.decode(l).ok()).ok_or_else(|| bad("root"))?;
        let root = Digest(root.try_into().map_err(|_| bad("root length"))?);
        let mut signatures = Vec::new();
        for line in tail.lines() {
            let rest = line.strip_prefix("\u{2014} ").ok_or_else(|| bad("signature line"))?;
            let (name, blob) = rest.rsplit_once(' ').ok_or_else(|| bad("signature line"))?;
            let blob = STANDARD.decode(blob).map_err(|_| bad("signature"))?;
            let (hash, signature) = blob.split_first_chunk::<4>().ok_or_else(|| bad("signature"))?;
            if signatures.len() == 16 {
                return Err(bad("more than 16 signatures"));
            }
            signatures.push(NoteSignature { name: name.to_owned(), key_hash: *hash, signature: signature.to_vec() });
        }
        Ok(Checkpoint { origin, head: CheckpointRef { size, root }, body, signatures })
    }

    /// The note as text.
    pub fn text(&self) -> String {
        let mut out = format!("{}\n", self.body);
        for s in &self.signatures {
            let mut blob = s.key_hash.to_vec();
            blob.extend_from_slice(&s.signature);
            out.push_str(&format!("\u{2014} {} {}\n", s.name, STANDARD.encode(blob)));
        }
        out
    }
}

/// Proof that a body stands in the log under a signed checkpoint; verifies offline (`signing::receipt`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Index of the entry, from 0.
    pub index: u64,
    /// The public record.
    pub record: Record,
    /// Salt of the body digest, 32 bytes.
    pub body_salt: Bytes,
    /// Inclusion path, leaf to root, at most 64 digests.
    pub path: Vec<Digest>,
    /// The checkpoint note.
    pub checkpoint: String,
}

/// One entry with all that an auditor needs, as exported.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportedEntry {
    /// Index, from 0.
    pub index: u64,
    /// The record.
    pub record: Record,
    /// The subject's id and salt.
    pub subject: String,
    /// 32 bytes.
    pub subject_salt: Bytes,
    /// 32 bytes.
    pub body_salt: Bytes,
    /// The body.
    pub body: Body,
}

/// Recomputes the root from an inclusion proof (RFC 9162 2.1.3.2). Fails if `index >= size`, also for size 0.
pub fn inclusion_root(leaf: Digest, index: u64, size: u64, path: &[Digest]) -> R<Digest> {
    let bad = |why: &str| Refusal::new(Code::InclusionInvalid, format!("inclusion proof: {why}"));
    if index >= size {
        return Err(bad("index is not below the size"));
    }
    if path.len() > 64 {
        return Err(bad("path is too long"));
    }
    let (mut fnode, mut snode, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if snode == 0 {
            return Err(bad("path is too long"));
        }
        if fnode & 1 == 1 || fnode == snode {
            hash = node_hash(sibling, &hash);
            while fnode & 1 == 0 && fnode != 0 {
                fnode >>= 1;
                snode >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        fnode >>= 1;
        snode >>= 1;
    }
    if snode != 0 {
        return Err(bad("path is too short"));
    }
    Ok(hash)
}

/// Checks that `old` is a prefix of `new` (RFC 9162 2.1.4.2).
pub fn check_consistency(old: &CheckpointRef, new: &CheckpointRef, proof: &[Digest]) -> R<()> {
    let bad = |why: &str| Refusal::new(Code::ConsistencyInvalid, format!("consistency proof: {why}"));
    if old.size == 0 || old.size > new.size || proof.len() > 128 {
        return Err(bad("sizes do not fit"));
    }
    if old.size == new.size {
        return if proof.is_empty() && old.root == new.root { Ok(()) } else { Err(bad("same size, other root")) };
    }
    let mut path = proof.iter();
    let mut next = || path.next().copied().ok_or_else(|| bad("too short"));
    let start = if old.size.is_power_of_two() { old.root } else { next()? };
    let (mut fnode, mut snode) = (old.size - 1, new.size - 1);
    while fnode & 1 == 1 {
        fnode >>= 1;
        snode >>= 1;
    }
    let (mut from_old, mut from_new) = (start, start);
    while snode != 0 {
        if fnode & 1 == 1 || fnode == snode {
            let c = next()?;
            from_old = node_hash(&c, &from_old);
            from_new = node_hash(&c, &from_new);
            while fnode & 1 == 0 && fnode != 0 {
                fnode >>= 1;
                snode >>= 1;
            }
        } else {
            from_new = node_hash(&from_new, &next()?);
        }
        fnode >>= 1;
        snode >>= 1;
    }
    if path.next().is_some() {
        return Err(bad("too long"));
    }
    if from_old != old.root || from_new != new.root {
        return Err(bad("roots differ"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second, recursive implementation straight from RFC 6962 2.1, as the oracle.
    fn root(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::of(&[]),
            [one] => *one,
            _ => {
                let k = (leaves.len() as u64).next_power_of_two() as usize / 2;
                node_hash(&root(&leaves[..k]), &root(&leaves[k..]))
            }
        }
    }

    fn path(m: usize, leaves: &[Digest]) -> Vec<Digest> {
        if leaves.len() <= 1 {
            return vec![];
        }
        let k = (leaves.len() as u64).next_power_of_two() as usize / 2;
        let (mut p, sibling) = if m < k {
            (path(m, &leaves[..k]), root(&leaves[k..]))
        } else {
            (path(m - k, &leaves[k..]), root(&leaves[..k]))
        };
        p.push(sibling);
        p
    }

    fn subproof(m: usize, leaves: &[Digest], whole: bool) -> Vec<Digest> {
        let n = leaves.len();
        if m == n {
            return if whole { vec![] } else { vec![root(leaves)] };
        }
        let k = (n as u64).next_power_of_two() as usize / 2;
        let (mut p, sibling) = if m <= k {
            (subproof(m, &leaves[..k], whole), root(&leaves[k..]))
        } else {
            (subproof(m - k, &leaves[k..], false), root(&leaves[..k]))
        };
        p.push(sibling);
        p
    }

    fn leaves(n: usize) -> Vec<Digest> {
        (0..n).map(|i| leaf_hash(&[i as u8])).collect()
    }

    #[test]
    fn every_leaf_is_included_and_nothing_else() {
        for n in 1..=33 {
            let all = leaves(n);
            for m in 0..n {
                let p = path(m, &all);
                assert_eq!(inclusion_root(all[m], m as u64, n as u64, &p).unwrap(), root(&all), "{m} of {n}");
                for other in 0..(2 * n as u64 + 8) {
                    let same = inclusion_root(all[m], other, n as u64, &p).is_ok_and(|r| r == root(&all));
                    assert_eq!(same, other == m as u64, "leaf {m} of {n} offered as {other}");
                }
                let mut longer = p.clone();
                longer.push(all[0]);
                assert!(inclusion_root(all[m], m as u64, n as u64, &longer).is_err());
            }
        }
        assert!(inclusion_root(leaves(1)[0], 0, 0, &[]).is_err());
    }

    #[test]
    fn consistency_holds_for_prefixes_only() {
        for n in 1..=24usize {
            let all = leaves(n);
            let new = CheckpointRef { size: n as u64, root: root(&all) };
            for m in 1..=n {
                let old = CheckpointRef { size: m as u64, root: root(&all[..m]) };
                let proof = subproof(m, &all, true);
                check_consistency(&old, &new, &proof).unwrap_or_else(|e| panic!("{m} -> {n}: {e}"));
                let forked = CheckpointRef { size: m as u64, root: leaf_hash(b"fork") };
                assert!(check_consistency(&forked, &new, &proof).is_err());
                let mut longer = proof.clone();
                longer.push(all[0]);
                assert!(check_consistency(&old, &new, &longer).is_err());
            }
        }
    }

    #[test]
    fn notes_round_trip_and_bad_ones_are_refused() {
        let head = CheckpointRef { size: 7, root: leaf_hash(b"x") };
        let note = Checkpoint {
            origin: "sro.example/log".into(),
            body: checkpoint_body("sro.example/log", &head),
            head,
            signatures: vec![NoteSignature {
                name: "sro.example/log".into(),
                key_hash: [1, 2, 3, 4],
                signature: vec![5; 64],
            }],
        };
        assert_eq!(Checkpoint::parse(&note.text()).unwrap(), note);
        for bad in ["", "a\n1\n", "a\n01\nAAAA\n\n", "a\n-1\nAAAA\n\n", "a\n1\nAAAA\n\nno dash"] {
            assert!(Checkpoint::parse(bad).is_err(), "{bad:?}");
        }
    }
}
