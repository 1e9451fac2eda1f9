//! The manifest: the list of leaves of an object, and its RFC 6962 root, which the signed offer fixes.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use schemas::log::{leaf_hash, node_hash};
use schemas::{Code, Digest, R, Refusal};

use crate::header::{Header, MAX_CHUNKS, TAG_LEN};
use crate::open::{read_end, read_full, read_header};

/// The leaves of one object: leaf 0 over the header, leaf *i* + 1 over chunk *i* with its tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    leaves: Vec<Digest>,
}

impl Manifest {
    /// Reads the list that lies beside the data: a JSON list of digests without white space.
    pub fn parse(json: &[u8]) -> R<Manifest> {
        let bad = |why: &str| Refusal::new(Code::SealedForm, format!("the manifest {why}"));
        if json.len() > json_len(MAX_CHUNKS as usize + 1) {
            return Err(bad("is too long"));
        }
        let leaves: Vec<Digest> = serde_json::from_slice(json).map_err(|_| bad("is not a list of digests"))?;
        if leaves.len() < 2 {
            return Err(bad("has no leaf for a header and a chunk"));
        }
        if json.len() != json_len(leaves.len()) {
            return Err(bad("has another spelling than its own"));
        }
        Ok(Manifest { leaves })
    }

    /// The list as it lies beside the data.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(json_len(self.leaves.len()));
        for (i, leaf) in self.leaves.iter().enumerate() {
            out.push(if i == 0 { b'[' } else { b',' });
            out.extend_from_slice(format!("\"{leaf}\"").as_bytes());
        }
        out.push(b']');
        out
    }

    /// Makes the list from the object itself, reading it once. Decrypts nothing and needs no key.
    ///
    /// What it returns says what the object *is*, not what it should be: compare [`Manifest::root`].
    pub fn recompute(source: impl Read) -> R<(Header, Manifest)> {
        let mut leaves = Vec::new();
        let header = walk(source, |_, _, part| {
            leaves.push(leaf_hash(part));
            Ok(())
        })?;
        Ok((header, Manifest { leaves }))
    }

    /// Requires that an object is what this list says, part by part, reading it once. Decrypts nothing and needs no key.
    pub fn covers(&self, source: impl Read) -> R<Header> {
        walk(source, |header, index, part| {
            self.check(index, part)?;
            // The header, which its leaf vouches for by now, says how many there must be.
            if index == 0 { self.counts(header) } else { Ok(()) }
        })
    }

    /// The leaves in order.
    pub fn leaves(&self) -> &[Digest] {
        &self.leaves
    }

    /// The Merkle root over the leaves (RFC 6962 2.1).
    pub fn root(&self) -> Digest {
        // Subtree roots from left to right, their sizes falling powers of two, as the bits of the count.
        let mut roots: Vec<Digest> = Vec::new();
        for (i, leaf) in self.leaves.iter().enumerate() {
            let mut hash = *leaf;
            for _ in 0..(i + 1).trailing_zeros() {
                if let Some(left) = roots.pop() {
                    hash = node_hash(&left, &hash);
                }
            }
            roots.push(hash);
        }
        let right_to_left = roots.into_iter().rev();
        right_to_left.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(|| Digest::of(&[]))
    }

    pub(crate) fn start(header: &Header) -> Manifest {
        Manifest { leaves: vec![leaf_hash(header.bytes())] }
    }

    pub(crate) fn push(&mut self, chunk_with_tag: &[u8]) {
        self.leaves.push(leaf_hash(chunk_with_tag));
    }

    /// Refuses a list that does not have the expected root, or another number of leaves than the header says.
    pub(crate) fn expect(&self, expected_root: &Digest, header: &Header) -> R<()> {
        if self.root() != *expected_root {
            let sentence = "the manifest does not have the root that the contract names";
            return Err(Refusal::new(Code::SealedTampered, sentence));
        }
        self.counts(header)
    }

    fn counts(&self, header: &Header) -> R<()> {
        if self.leaves.len() as u64 != u64::from(header.n_chunks()) + 1 {
            return Err(Refusal::new(Code::SealedTampered, "the manifest is not the manifest of this object"));
        }
        Ok(())
    }

    /// Refuses data that is not what leaf `index` stands for.
    pub(crate) fn check(&self, index: usize, data: &[u8]) -> R<()> {
        if self.leaves.get(index) == Some(&leaf_hash(data)) {
            return Ok(());
        }
        let what = if index == 0 { "the header".to_owned() } else { format!("chunk {}", index - 1) };
        Err(Refusal::new(Code::SealedTampered, format!("{what} is not what the manifest says")))
    }
}

/// Reads an object from beginning to end and shows its parts in the order of their leaves.
fn walk(mut source: impl Read, mut show: impl FnMut(&Header, usize, &[u8]) -> R<()>) -> R<Header> {
    let header = read_header(&mut source)?;
    show(&header, 0, header.bytes())?;
    let mut buffer = Vec::new();
    for index in 0..header.n_chunks() {
        buffer.resize(header.plain_len(index) + TAG_LEN, 0);
        read_full(&mut source, &mut buffer)?;
        show(&header, index as usize + 1, &buffer)?;
    }
    read_end(&mut source)?;
    Ok(header)
}

/// Where the manifest of an object lies: `<object>.manifest.json`.
pub fn manifest_path(object: &Path) -> PathBuf {
    let mut name = OsString::from(object);
    name.push(".manifest.json");
    PathBuf::from(name)
}

/// Bytes of a list with this many leaves: two quotes, 64 digits and a comma each; brackets around.
fn json_len(leaves: usize) -> usize {
    leaves * 67 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962 2.1 word for word, as the oracle.
    fn oracle(leaves: &[Digest]) -> Digest {
        match leaves {
            [one] => *one,
            _ => {
                let k = leaves.len().next_power_of_two() / 2;
                node_hash(&oracle(&leaves[..k]), &oracle(&leaves[k..]))
            }
        }
    }

    #[test]
    fn roots_and_json_round_trip() {
        for n in 2..70u8 {
            let manifest = Manifest { leaves: (0..n).map(|i| leaf_hash(&[i])).collect() };
            assert_eq!(manifest.root(), oracle(&manifest.leaves), "{n} leaves");
            let json = manifest.to_json();
            assert_eq!(json.len(), json_len(n.into()));
            assert_eq!(Manifest::parse(&json).unwrap(), manifest);
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let leaf = leaf_hash(b"x");
        for bad in [
            "[]".to_owned(),
            format!("[\"{leaf}\"]"),
            format!("[\"{leaf}\", \"{leaf}\"]"),
            format!("[\"{leaf}\",\"{leaf}\"]\n"),
            format!("[\"{leaf}\",\"{}\"]", leaf.to_string().to_uppercase()),
            format!("[\"{leaf}\",1]"),
            "{}".to_owned(),
        ] {
            assert_eq!(Manifest::parse(bad.as_bytes()).unwrap_err().code, Code::SealedForm, "{bad}");
        }
    }

    #[test]
    fn it_lies_beside_the_object() {
        assert_eq!(manifest_path(Path::new("a/b.c1")), Path::new("a/b.c1.manifest.json"));
    }
}
