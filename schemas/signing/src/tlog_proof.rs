//! Receipts as text (c2sp.org/tlog-proof@v1): index, inclusion path and the cosigned checkpoint of an entry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemas::log::{Checkpoint, inclusion_root};
use schemas::{Code, Digest, R, Refusal};

use crate::lineage::CheckpointKeys;
use crate::note;

const FIRST: &str = "c2sp.org/tlog-proof@v1";
/// The longest proof that is read.
const MAX_TEXT: usize = 32 * 1024;
const MAX_PATH: usize = 64;
/// The most extra data.
const MAX_EXTRA: usize = 8 * 1024;

/// A proof; nothing is verified until [`TlogProof::verify`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlogProof {
    /// Opaque data, which nothing vouches for.
    pub extra: Option<Vec<u8>>,
    /// Index of the entry.
    pub index: u64,
    /// Inclusion path, leaf to root.
    pub path: Vec<Digest>,
    /// The checkpoint note with its signatures, as text.
    pub checkpoint: String,
}

fn bad(why: &str) -> Refusal {
    Refusal::new(Code::InclusionInvalid, format!("tlog-proof: {why}"))
}

impl TlogProof {
    /// The proof as text.
    pub fn text(&self) -> String {
        let mut out = format!("{FIRST}\n");
        if let Some(extra) = &self.extra {
            out.push_str(&format!("extra {}\n", STANDARD.encode(extra)));
        }
        out.push_str(&format!("index {}\n", self.index));
        for hash in &self.path {
            out.push_str(&format!("{}\n", STANDARD.encode(hash.0)));
        }
        out.push('\n');
        out.push_str(&self.checkpoint);
        out
    }

    /// Reads a proof strictly: lines in their order, numbers and base64 in their one spelling.
    pub fn parse(text: &str) -> R<TlogProof> {
        if text.len() > MAX_TEXT {
            return Err(bad("too long"));
        }
        let (head, checkpoint) = text.split_once("\n\n").ok_or_else(|| bad("no blank line"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(FIRST) {
            return Err(bad("not of this version"));
        }
        let extra = lines.peek().and_then(|l| l.strip_prefix("extra ")).map(decode).transpose()?;
        if extra.is_some() {
            lines.next();
        }
        if extra.as_ref().is_some_and(|e| e.len() > MAX_EXTRA) {
            return Err(bad("too much extra data"));
        }
        let number = lines.next().and_then(|l| l.strip_prefix("index ")).ok_or_else(|| bad("no index"))?;
        let index: u64 = number.parse().map_err(|_| bad("index"))?;
        if index.to_string() != number {
            return Err(bad("index"));
        }
        let hash = |line: &str| decode(line)?.try_into().map(Digest).map_err(|_| bad("a hash has 32 bytes"));
        let path: Vec<Digest> = lines.map(hash).collect::<R<_>>()?;
        if path.len() > MAX_PATH {
            return Err(bad("the path has at most 64 hashes"));
        }
        Ok(TlogProof { extra, index, path, checkpoint: checkpoint.to_owned() })
    }

    /// Verifies that the entry with this leaf hash stands at its index under the log's signed checkpoint, which is
    /// returned; cosignatures on it are for [`note::cosigned`].
    pub fn verify(&self, leaf: Digest, origin: &str, keys: &dyn CheckpointKeys) -> R<Checkpoint> {
        let note = note::verify_checkpoint(&self.checkpoint, origin, keys)?;
        if inclusion_root(leaf, self.index, note.head.size, &self.path)? != note.head.root {
            return Err(bad("the path leads to another root"));
        }
        Ok(note)
    }
}

fn decode(text: &str) -> R<Vec<u8>> {
    STANDARD.decode(text).map_err(|_| bad("base64"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileKey;
    use schemas::Signer as _;
    use schemas::log::{CheckpointRef, leaf_hash, node_hash};

    const ORIGIN: &str = "sro.example/log";

    fn proof() -> (TlogProof, Digest, FileKey) {
        let key = FileKey::generate().unwrap();
        let (leaf, other) = (leaf_hash(b"entry"), leaf_hash(b"other"));
        let head = CheckpointRef { size: 2, root: node_hash(&other, &leaf) };
        let checkpoint = note::sign_checkpoint(ORIGIN, &head, &key).unwrap().text();
        (TlogProof { extra: None, index: 1, path: vec![other], checkpoint }, leaf, key)
    }

    #[test]
    fn a_proof_goes_out_as_text_and_verifies_from_it() {
        let (proof, leaf, key) = proof();
        for extra in [None, Some(b"about".to_vec())] {
            let proof = TlogProof { extra, ..proof.clone() };
            let back = TlogProof::parse(&proof.text()).unwrap();
            assert_eq!(back, proof);
            assert_eq!(back.verify(leaf, ORIGIN, key.jwk()).unwrap().head.size, 2);
        }
        assert!(proof.text().starts_with("c2sp.org/tlog-proof@v1\nindex 1\n"));
        let none = TlogProof { path: vec![], index: 0, ..proof };
        assert_eq!(TlogProof::parse(&none.text()).unwrap(), none);
    }

    #[test]
    fn what_is_spoilt_does_not_verify() {
        let (proof, leaf, key) = proof();
        let refused = |p: &TlogProof| p.verify(leaf, ORIGIN, key.jwk()).unwrap_err().code;
        assert_eq!(refused(&TlogProof { index: 0, ..proof.clone() }), Code::InclusionInvalid);
        assert_eq!(refused(&TlogProof { index: 3, ..proof.clone() }), Code::InclusionInvalid);
        assert_eq!(refused(&TlogProof { path: vec![leaf], ..proof.clone() }), Code::InclusionInvalid);
        assert_eq!(refused(&TlogProof { path: vec![], ..proof.clone() }), Code::InclusionInvalid);
        let forged = proof.checkpoint.replacen("\n2\n", "\n3\n", 1);
        assert_eq!(refused(&TlogProof { checkpoint: forged, ..proof.clone() }), Code::CheckpointInvalid);
        let text = proof.text();
        for bad in [
            text.replacen("@v1", "@v2", 1),
            text.replacen("index 1", "index 01", 1),
            text.replacen("index 1", "index -1", 1),
            text.replacen("index 1\n", "", 1),
            text.replacen("index 1\n", "index 1\nAAAA\n", 1),
            text.replacen("index 1\n", "index 1\n\u{20}", 1),
            text.replacen("index 1\n", "extra %\nindex 1\n", 1),
            text.replacen('\n', "\r\n", 3),
            text.replacen("\n\n", "\n", 1),
            String::new(),
            "x".repeat(MAX_TEXT + 1),
        ] {
            assert!(
                TlogProof::parse(&bad).is_err()
                    || bad.contains("\n\n") && TlogProof::parse(&bad).unwrap().verify(leaf, ORIGIN, key.jwk()).is_err(),
                "{bad:?}"
            );
        }
    }
}
