//! COSE receipts over the RFC 9162 tree (RFC 9942, verifiable data structure 1), signed with the registry's Ed25519 key.

use ciborium::Value;
use schemas::log::{CheckpointRef, inclusion_root, leaf_hash};
use schemas::{Code, Digest, R, Refusal, Signer};

use super::signed1;
use crate::cbor;
use crate::check::{self, Alg};
use crate::cose::header::{self, Header, bad};
use crate::cose::{self, map};
use crate::lineage::CheckpointKeys;

const RFC9162_SHA256: i64 = 1;
const INCLUSION: i64 = -1;
/// The largest receipt that is read.
const MAX_RECEIPT: usize = 16 * 1024;
/// More siblings than any tree has.
const MAX_PATH: usize = 64;

/// What a receipt says about itself in its CWT claims.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claims<'a> {
    /// The registry.
    pub issuer: &'a str,
    /// What the entry is about: the statement's subject.
    pub subject: &'a str,
}

/// Where an entry stands in the tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place<'a> {
    /// Entries in the tree.
    pub size: u64,
    /// Index of the entry.
    pub index: u64,
    /// Inclusion path, leaf to root.
    pub path: &'a [Digest],
    /// Root of the tree.
    pub root: Digest,
}

/// Writes a receipt of the entry with these leaf data. Never at tree size 1, where RFC 9942 has no proof to write.
pub fn write(signer: &dyn Signer, claims: &Claims<'_>, leaf: &[u8], place: &Place<'_>) -> R<Vec<u8>> {
    check_place(leaf, place)?;
    let protected = cbor::write(&map(vec![
        (header::ALG, Value::from(Alg::EdDsa.cose())),
        (header::KID, Value::Bytes(cose::thumbprint(signer.jwk())?.0.to_vec())),
        (header::CWT_CLAIMS, cwt(claims)),
        (header::VDS, Value::from(RFC9162_SHA256)),
    ]))?;
    let path = place.path.iter().map(|d| Value::Bytes(d.0.to_vec())).collect();
    let proof = Value::Array(vec![Value::from(place.size), Value::from(place.index), Value::Array(path)]);
    let sig = signer.sign_bytes(&signed1(&protected, &place.root.0)?)?;
    join(protected, cbor::write(&proof)?, &sig)
}

/// Verifies a receipt of the entry with these leaf data under the registry's key, or that of a trust's lineage which was in
/// use at the tree's size; returns the tree it speaks of.
pub fn verify(receipt: &[u8], leaf: &[u8], keys: &dyn CheckpointKeys) -> R<CheckpointRef> {
    let read = Receipt::read(receipt, RFC9162_SHA256, &[])?;
    let (size, index, path) = proof(&read.proof)?;
    let jwk = keys.key_at(size);
    if read.kid != cose::thumbprint(jwk)?.0 {
        return Err(Refusal::new(Code::SignerUnknown, "the receipt names another key"));
    }
    let root = inclusion_root(leaf_hash(leaf), index, size, &path)?;
    check_place(leaf, &Place { size, index, path: &path, root })?;
    check::verify(jwk, read.alg, &signed1(&read.protected, &root.0)?, &read.sig)?;
    Ok(CheckpointRef { size, root })
}

/// The index of the entry that a receipt is of; nothing is verified.
pub fn index(receipt: &[u8]) -> R<u64> {
    Ok(proof(&Receipt::read(receipt, RFC9162_SHA256, &[])?.proof)?.1)
}

fn check_place(leaf: &[u8], place: &Place<'_>) -> R<()> {
    if place.size < 2 {
        return Err(Refusal::new(Code::InclusionInvalid, "a tree of one entry has no receipts"));
    }
    if inclusion_root(leaf_hash(leaf), place.index, place.size, place.path)? != place.root {
        return Err(Refusal::new(Code::InclusionInvalid, "the path leads to another root"));
    }
    Ok(())
}

/// Size, index and path of a proof.
fn proof(bytes: &[u8]) -> R<(u64, u64, Vec<Digest>)> {
    let value = cbor::read(bytes, MAX_RECEIPT)?;
    let Some([size, index, Value::Array(path)]) = value.as_array().map(Vec::as_slice) else {
        return Err(bad("an inclusion proof is [size, index, path]"));
    };
    let number = |v: &Value| v.as_integer().and_then(|n| u64::try_from(n).ok()).ok_or_else(|| bad("size or index"));
    if path.len() > MAX_PATH {
        return Err(bad("a path has at most 64 hashes"));
    }
    Ok((number(size)?, number(index)?, path.iter().map(digest).collect::<R<_>>()?))
}

/// A digest of 32 bytes.
pub(super) fn digest(value: &Value) -> R<Digest> {
    let bytes = value.as_bytes().and_then(|b| <[u8; 32]>::try_from(b.as_slice()).ok());
    bytes.map(Digest).ok_or_else(|| bad("a hash of 32 bytes is expected"))
}

/// CWT claims with issuer and subject.
pub(super) fn cwt(claims: &Claims<'_>) -> Value {
    map(vec![(1, Value::Text(claims.issuer.into())), (2, Value::Text(claims.subject.into()))])
}

/// A receipt with one inclusion proof: a COSE_Sign1 whose payload, the root, is detached.
pub(super) fn join(protected: Vec<u8>, proof: Vec<u8>, sig: &[u8]) -> R<Vec<u8>> {
    let proofs = map(vec![(INCLUSION, Value::Array(vec![Value::Bytes(proof)]))]);
    let open = map(vec![(header::VDP, proofs)]);
    let parts = vec![Value::Bytes(protected), open, Value::Null, Value::Bytes(sig.to_vec())];
    cbor::write(&Value::Tag(cose::SIGN1, Box::new(Value::Array(parts))))
}

/// A receipt taken apart.
pub(super) struct Receipt {
    pub(super) protected: Vec<u8>,
    pub(super) alg: Alg,
    pub(super) kid: Vec<u8>,
    pub(super) proof: Vec<u8>,
    pub(super) sig: Vec<u8>,
}

impl Receipt {
    /// Reads a receipt of this verifiable data structure; beside the integer labels its protected header may hold `texts`.
    pub(super) fn read(bytes: &[u8], vds: i64, texts: &[&str]) -> R<Receipt> {
        let Value::Tag(cose::SIGN1, inner) = cbor::read(bytes, MAX_RECEIPT)? else {
            return Err(bad("a receipt is a COSE_Sign1 (tag 18)"));
        };
        let Some([Value::Bytes(protected), Value::Map(open), Value::Null, Value::Bytes(sig)]) =
            inner.as_array().map(Vec::as_slice)
        else {
            return Err(bad("a receipt has a detached payload"));
        };
        let Value::Map(entries) = cbor::read(protected, MAX_RECEIPT)? else {
            return Err(bad("a header is a map"));
        };
        let ours = |label: &Value| label.as_text().is_some_and(|t| texts.contains(&t));
        let entries = entries.into_iter().filter(|(label, _)| !ours(label)).collect();
        let allowed = [header::ALG, header::CRIT, header::KID, header::CWT_CLAIMS, header::VDS];
        let head = Header::of(Value::Map(entries), &allowed)?;
        if head.int(header::VDS)? != Some(vds) {
            return Err(bad(format!("a receipt of verifiable data structure {vds} is expected")));
        }
        let alg = Alg::of_cose(head.int(header::ALG)?.ok_or_else(|| bad("alg stands in the protected header"))?)?;
        let kid = head.bytes(header::KID)?.ok_or_else(|| bad("kid stands in the protected header"))?.to_vec();
        let proof = Header::of(Value::Map(open.clone()), &[header::VDP])?;
        let proof = proof.get(header::VDP).and_then(Value::as_map).map(Vec::as_slice);
        let Some([(label, Value::Array(proofs))]) = proof else {
            return Err(bad("inclusion proofs and no others are expected"));
        };
        let ([Value::Bytes(proof)], true) = (proofs.as_slice(), *label == Value::from(INCLUSION)) else {
            return Err(bad("one inclusion proof is expected"));
        };
        Ok(Receipt { protected: protected.clone(), alg, kid, proof: proof.clone(), sig: sig.clone() })
    }
}
