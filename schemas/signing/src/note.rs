//! Checkpoints as C2SP signed notes, witness cosignatures, and receipts of log entries.

use std::collections::BTreeSet;

use schemas::bundle::{Logged, LoggedDocument};
use schemas::event::Body;
use schemas::id::Did;
use schemas::jwk::{Curve, Jwk};
use schemas::log::{Checkpoint, CheckpointRef, NoteSignature, Receipt, body_digest, checkpoint_body, inclusion_root};
use schemas::{Code, Digest, Entered, KeyBook, R, Refusal, Signed, Signer, Timestamp};

use crate::book::WitnessKey;
use crate::lineage::CheckpointKeys;
use crate::{check, document};

/// Note signature type of a log's own Ed25519 key.
const TYPE_LOG: u8 = 0x01;
/// Note signature type of a witness's Ed25519 cosignature.
const TYPE_COSIGNATURE: u8 = 0x04;

/// Seconds by which a witness's clock may be ahead.
const SKEW: i64 = 60;

fn key_hash(name: &str, kind: u8, jwk: &Jwk) -> R<[u8; 4]> {
    let point = jwk.point(Curve::Ed25519)?;
    let [a, b, c, d, ..] = Digest::of_parts(&[name.as_bytes(), b"\n", &[kind], &point]).0;
    Ok([a, b, c, d])
}

/// Signs a checkpoint as the log.
pub fn sign_checkpoint(origin: &str, head: &CheckpointRef, signer: &dyn Signer) -> R<Checkpoint> {
    sign_checkpoint_with(origin, head, &[signer])
}

/// Signs a checkpoint as the log with each of these keys: the new one first, then the one it replaces, as long as both
/// sign. Whoever pins either of them can verify it.
pub fn sign_checkpoint_with(origin: &str, head: &CheckpointRef, signers: &[&dyn Signer]) -> R<Checkpoint> {
    let body = checkpoint_body(origin, head);
    let line = |signer: &&dyn Signer| {
        let signature = signer.sign_bytes(body.as_bytes())?.to_vec();
        Ok(NoteSignature { name: origin.to_owned(), key_hash: key_hash(origin, TYPE_LOG, signer.jwk())?, signature })
    };
    let signatures = signers.iter().map(line).collect::<R<_>>()?;
    Ok(Checkpoint { origin: origin.to_owned(), head: head.clone(), body, signatures })
}

/// Reads a checkpoint and verifies the log's own signature over it: by the key, or by that of a trust's lineage which was
/// in use at its size.
pub fn verify_checkpoint(text: &str, origin: &str, keys: &dyn CheckpointKeys) -> R<Checkpoint> {
    let note = Checkpoint::parse(text)?;
    let jwk = keys.key_at(note.head.size);
    let bad = |why: &str| Refusal::new(Code::CheckpointInvalid, format!("checkpoint: {why}"));
    if note.origin != origin {
        return Err(bad("of another log"));
    }
    let hash = key_hash(origin, TYPE_LOG, jwk)?;
    let line = note.signatures.iter().find(|s| s.name == origin && s.key_hash == hash);
    let line = line.ok_or_else(|| bad("not signed by the log"))?;
    check::verify_strict(jwk, note.body.as_bytes(), &line.signature)
        .map_err(|_| bad("the log's signature does not verify"))?;
    Ok(note)
}

/// A witness's cosignature (C2SP tlog-cosignature, cosignature/v1) over a checkpoint.
pub fn cosign(note: &Checkpoint, name: &str, signer: &dyn Signer, now: Timestamp) -> R<NoteSignature> {
    let time = u64::try_from(now.seconds()).unwrap_or_default();
    let mut signature = time.to_be_bytes().to_vec();
    signature.extend_from_slice(&signer.sign_bytes(cosigned_text(note, time).as_bytes())?);
    Ok(NoteSignature { name: name.to_owned(), key_hash: key_hash(name, TYPE_COSIGNATURE, signer.jwk())?, signature })
}

/// Verifies the cosignature of this witness on a checkpoint; returns when it was given.
pub fn verify_cosignature(note: &Checkpoint, name: &str, jwk: &Jwk) -> R<Timestamp> {
    let bad = |why: &str| Refusal::new(Code::CheckpointInvalid, format!("cosignature of {name}: {why}"));
    let hash = key_hash(name, TYPE_COSIGNATURE, jwk)?;
    let line = note.signatures.iter().find(|s| s.name == name && s.key_hash == hash).ok_or_else(|| bad("missing"))?;
    let (time, signature) = line.signature.split_first_chunk::<8>().ok_or_else(|| bad("too short"))?;
    let time = u64::from_be_bytes(*time);
    check::verify_strict(jwk, cosigned_text(note, time).as_bytes(), signature).map_err(|_| bad("does not verify"))?;
    Ok(Timestamp::from_seconds(i64::try_from(time).unwrap_or(i64::MAX)))
}

/// Requires that at least `quorum` of these witnesses cosigned a checkpoint within the last `max_age` seconds (and not in
/// the future, but for [`SKEW`]); returns who did, and when. Each key counts once, whatever names it has; a line that does
/// not verify counts for nothing. Fewer are `COSIGNATURES_MISSING`.
pub fn cosigned(
    note: &Checkpoint,
    witnesses: &[WitnessKey],
    quorum: u32,
    now: Timestamp,
    max_age: i64,
) -> R<Vec<(String, Timestamp)>> {
    let (from, until) = (now.seconds().saturating_sub(max_age), now.seconds().saturating_add(SKEW));
    let mut keys = BTreeSet::new();
    let mut found = Vec::new();
    for witness in witnesses {
        let Ok(at) = verify_cosignature(note, &witness.name, &witness.jwk) else {
            continue;
        };
        if (from..=until).contains(&at.seconds()) && keys.insert(&witness.jwk) {
            found.push((witness.name.clone(), at));
        }
    }
    if found.len() < usize::try_from(quorum).unwrap_or(usize::MAX) {
        let why = format!("{} of {quorum} witnesses cosigned the checkpoint in the last {max_age} s", found.len());
        return Err(Refusal::new(Code::CosignaturesMissing, why));
    }
    Ok(found)
}

fn cosigned_text(note: &Checkpoint, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{}", note.body)
}

/// Verifies offline that a body stands in the log: salted body digest, leaf, inclusion, signed checkpoint.
pub fn verify_receipt(receipt: &Receipt, body: &Body, origin: &str, keys: &dyn CheckpointKeys) -> R<CheckpointRef> {
    let mismatch = |why: &str| Refusal::new(Code::ReceiptMismatch, format!("receipt: {why}"));
    let salt: [u8; 32] = receipt.body_salt.0.as_slice().try_into().map_err(|_| mismatch("salt"))?;
    if receipt.record.v != 1 || receipt.record.kind != body.kind() {
        return Err(mismatch("of another kind of entry"));
    }
    if body_digest(&salt, body)? != receipt.record.body_sha256 {
        return Err(mismatch("of another document"));
    }
    let note = verify_checkpoint(&receipt.checkpoint, origin, keys)?;
    let root = inclusion_root(receipt.record.leaf()?, receipt.index, note.head.size, &receipt.path)?;
    if root != note.head.root {
        return Err(Refusal::new(Code::InclusionInvalid, "the path leads to another root"));
    }
    Ok(note.head)
}

/// Verifies a document and the receipt of its entry; makes [`Entered`] of both.
pub fn entered<T: LoggedDocument>(
    logged: Logged<T>,
    registry: &Did,
    book: &dyn KeyBook,
    origin: &str,
    keys: &dyn CheckpointKeys,
) -> R<Entered<T>> {
    let signed: Signed<T> = document::verify(logged.envelope, registry, book)?;
    verify_receipt(&logged.receipt, &T::body(signed.envelope().clone()), origin, keys)?;
    Ok(Entered::vouched_by_signing(signed, logged.receipt))
}

#[cfg(test)]
mod tests;
