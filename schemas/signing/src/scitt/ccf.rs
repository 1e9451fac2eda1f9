//! COSE receipts in the shape of CCF ledgers (RFC 9942, verifiable data structure 2) over the second tree, signed ES256.
//!
//! Leaf n of that tree binds the leaf hash of entry n in the main tree, a text that says so, and a digest of what was
//! claimed. Inner hashes have no prefix, as in CCF: the log's own tree stays the one that checkpoints sign.

use ciborium::Value;
use schemas::jwk::Jwk;
use schemas::{Code, Digest, R, Refusal};

use super::receipt::{Claims, Receipt, cwt, digest, join};
use super::signed1;
use crate::cbor;
use crate::check::{self, Alg};
use crate::cose::header::{self, bad};
use crate::cose::map;
use crate::ec_key::{EcKey, ccf_kid};

const CCF_LEDGER_SHA256: i64 = 2;
const LEAF: i64 = 1;
const PATH: i64 = 2;
const MAX_PATH: usize = 64;
const MAX_EVIDENCE: usize = 256;

/// The leaf of an entry in the second tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// RFC 6962 leaf hash of the entry in the main tree.
    pub entry: Digest,
    /// `ce:1.<index>:<hex of entry>`.
    pub evidence: String,
    /// SHA-256 of a public statement, or the salted digest of a private body.
    pub claims: Digest,
}

impl Leaf {
    /// The leaf of entry `index`.
    pub fn new(index: u64, entry: Digest, claims: Digest) -> Leaf {
        Leaf { entry, evidence: format!("ce:1.{index}:{entry}"), claims }
    }

    /// Its hash: SHA-256(entry ‖ SHA-256(evidence) ‖ claims).
    pub fn hash(&self) -> Digest {
        Digest::of_parts(&[&self.entry.0, &Digest::of(self.evidence.as_bytes()).0, &self.claims.0])
    }
}

/// The hash of two subtrees.
pub fn node(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&left.0, &right.0])
}

/// A sibling on the way to the root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// Whether the sibling stands to the left.
    pub left: bool,
    /// Its hash.
    pub hash: Digest,
}

/// The root that a leaf and its path lead to.
pub fn root(leaf: Digest, path: &[Step]) -> Digest {
    path.iter().fold(leaf, |hash, step| if step.left { node(&step.hash, &hash) } else { node(&hash, &step.hash) })
}

/// Writes a receipt of entry `index` (transaction id `1.<index>`). Never at tree size 1: a path has a step.
pub fn write(key: &EcKey, claims: &Claims<'_>, index: u64, leaf: &Leaf, path: &[Step], tree: Digest) -> R<Vec<u8>> {
    if path.is_empty() || path.len() > MAX_PATH || root(leaf.hash(), path) != tree {
        return Err(Refusal::new(
            Code::InclusionInvalid,
            "the path does not lead to the root of a tree of two or more",
        ));
    }
    let Value::Map(mut protected) = map(vec![
        (header::ALG, Value::from(Alg::Es256.cose())),
        (header::KID, Value::Bytes(ccf_kid(key.jwk())?.into_bytes())),
        (header::CWT_CLAIMS, cwt(claims)),
        (header::VDS, Value::from(CCF_LEDGER_SHA256)),
    ]) else {
        return Err(bad("a header is a map"));
    };
    let txid = Value::Map(vec![(Value::Text("txid".into()), Value::Text(format!("1.{index}")))]);
    protected.push((Value::Text("ccf.v1".into()), txid));
    let protected = cbor::write(&Value::Map(protected))?;
    let bytes = |d: &Digest| Value::Bytes(d.0.to_vec());
    let parts = vec![bytes(&leaf.entry), Value::Text(leaf.evidence.clone()), bytes(&leaf.claims)];
    let path = path.iter().map(|s| Value::Array(vec![Value::Bool(s.left), bytes(&s.hash)])).collect();
    let proof = cbor::write(&map(vec![(LEAF, Value::Array(parts)), (PATH, Value::Array(path))]))?;
    join(protected.clone(), proof, &key.sign(&signed1(&protected, &tree.0)?)?)
}

/// Verifies a receipt of what has this claims digest under the registry's ES256 key; returns its leaf and the root.
pub fn verify(receipt: &[u8], claims: &Digest, jwk: &Jwk) -> R<(Leaf, Digest)> {
    let read = Receipt::read(receipt, CCF_LEDGER_SHA256, &["ccf.v1"])?;
    if read.kid != ccf_kid(jwk)?.as_bytes() {
        return Err(Refusal::new(Code::SignerUnknown, "the receipt names another key"));
    }
    let (leaf, path) = proof(&read.proof)?;
    if leaf.claims != *claims {
        return Err(Refusal::new(Code::ReceiptMismatch, "the receipt is for another statement"));
    }
    let tree = root(leaf.hash(), &path);
    check::verify(jwk, read.alg, &signed1(&read.protected, &tree.0)?, &read.sig)?;
    Ok((leaf, tree))
}

fn proof(bytes: &[u8]) -> R<(Leaf, Vec<Step>)> {
    let value = cbor::read(bytes, 16 * 1024)?;
    let Some([(leaf_label, Value::Array(leaf)), (path_label, Value::Array(path))]) = value.as_map().map(Vec::as_slice)
    else {
        return Err(bad("a proof holds leaf and path"));
    };
    let [entry, Value::Text(evidence), claims] = leaf.as_slice() else {
        return Err(bad("a leaf is [hash, evidence, claims]"));
    };
    let labels = *leaf_label == Value::from(LEAF) && *path_label == Value::from(PATH);
    if !labels || evidence.len() > MAX_EVIDENCE || path.is_empty() || path.len() > MAX_PATH {
        return Err(bad("a proof holds leaf and a path of 1 to 64 steps"));
    }
    let step = |v: &Value| match v.as_array().map(Vec::as_slice) {
        Some([Value::Bool(left), hash]) => Ok(Step { left: *left, hash: digest(hash)? }),
        _ => Err(bad("a step is [left, hash]")),
    };
    let leaf = Leaf { entry: digest(entry)?, evidence: evidence.clone(), claims: digest(claims)? };
    Ok((leaf, path.iter().map(step).collect::<R<_>>()?))
}
