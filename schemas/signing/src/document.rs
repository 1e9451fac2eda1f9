//! Documents: whatever the form of its signatures, each is verified here before a [`Signed`] exists.

use std::collections::BTreeSet;

use schemas::envelope::{Form, MAX_SIGNATURES, PartySignature, Proposed, Usage};
use schemas::id::{Did, KeyId};
use schemas::jwk::Jwk;
use schemas::text::Bytes;
use schemas::{Code, Document, Envelope, KeyBook, R, Refusal, Signed};

use crate::{cose, jws};

/// Verifies every signature of an envelope and makes [`Signed`] of it.
///
/// In this order: number of signatures; payload strict, canonical unless all signatures are COSE, and of schema `T`; its
/// registry is ours; then each signature by its form: protected header with exactly what the form has; content type the
/// payload type of `T`; one signature per holder; key known to the book for this usage; algorithm the key's; the
/// mathematics.
pub fn verify<T: Document>(envelope: Envelope<T>, registry: &Did, book: &dyn KeyBook) -> R<Signed<T>> {
    if envelope.signatures.is_empty() {
        return Err(Refusal::new(Code::SignatureMissing, "the document carries no signature"));
    }
    if envelope.signatures.len() > MAX_SIGNATURES {
        return Err(Refusal::new(Code::LimitExceeded, "more than 64 signatures"));
    }
    let value = envelope.read_unverified()?;
    if value.registry() != registry {
        return Err(Refusal::new(Code::WrongRegistry, "the document belongs to another registry").at("registry"));
    }
    let mut holders = BTreeSet::new();
    let mut signers = Vec::new();
    for signature in &envelope.signatures {
        check_one::<T>(&envelope.payload, signature, book)?;
        if !holders.insert(signature.kid.holder.clone()) {
            return Err(Refusal::new(Code::SignerTwice, format!("{} signed twice", signature.kid.holder)));
        }
        signers.push(signature.kid.clone());
    }
    Ok(Signed::vouched_by_signing(value, envelope, signers))
}

/// Verifies one more signature over proposed bytes, alone: as [`verify`] does, but bytes that were read when they were
/// proposed are not read again, since the same bytes give the same answer.
pub(crate) fn verify_further<T: Document>(
    proposed: &Proposed,
    signature: &PartySignature,
    registry: &Did,
    book: &dyn KeyBook,
) -> R<()> {
    if proposed.read {
        return check_one::<T>(&proposed.payload, signature, book);
    }
    let envelope = Envelope::<T>::new(proposed.payload.0.clone(), vec![signature.clone()]);
    verify(envelope, registry, book).map(drop)
}

fn check_one<T: Document>(payload: &Bytes, signature: &PartySignature, book: &dyn KeyBook) -> R<()> {
    match signature.form {
        Form::Jws => jws::check_one::<T>(payload, signature, book),
        Form::Cose => cose::check_one::<T>(&payload.0, signature, book),
    }
}

/// Verifies an envelope that must carry exactly one signature, by this holder (a DID or a run id).
pub fn verify_by<T: Document>(envelope: Envelope<T>, registry: &Did, book: &dyn KeyBook, holder: &str) -> R<Signed<T>> {
    if envelope.signatures.len() > 1 || envelope.signatures.iter().any(|s| s.kid.holder != holder) {
        return Err(Refusal::new(Code::SignerNotParty, format!("one signature, by {holder}, is expected")));
    }
    verify(envelope, registry, book)
}

/// The key that a book knows under this id: it must have the thumbprint that the id names, and services and runs have
/// Ed25519 keys only.
pub(crate) fn key_of(book: &dyn KeyBook, kid: &KeyId, usage: Usage) -> R<Jwk> {
    let unknown = || Refusal::new(Code::SignerUnknown, format!("no active key {kid} is known for this act"));
    let jwk = book.key(kid, usage).filter(|jwk| jwk.thumbprint() == kid.thumbprint).ok_or_else(unknown)?;
    if usage != Usage::Party && !matches!(jwk, Jwk::Okp { .. }) {
        return Err(Refusal::new(Code::AlgorithmRefused, "services and runs sign with Ed25519 only"));
    }
    Ok(jwk)
}
