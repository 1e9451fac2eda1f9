//! Writing COSE: one party's signature over an envelope, and the message of all of them.

use ciborium::Value;
use schemas::envelope::{Form, PartySignature};
use schemas::id::Did;
use schemas::text::Bytes;
use schemas::{Document, Envelope, R, Signer};

use super::header::{self, bad};
use super::signature::{CoseSignature, frame, to_be_signed};
use crate::cbor;
use crate::check::Alg;

/// A map of integer labels.
pub(crate) fn map(entries: Vec<(i64, Value)>) -> Value {
    Value::Map(entries.into_iter().map(|(label, value)| (Value::from(label), value)).collect())
}

/// Makes one party's signature of a COSE_Sign over an envelope's payload, under a body header that names these
/// participants and this feed; all signatures of a message share them. Labels as in the CDDL: 491, 492, 494.
pub fn sign<T: Document>(
    envelope: &Envelope<T>,
    participants: &[Did],
    feed: &str,
    signer: &dyn Signer,
) -> R<PartySignature> {
    let participants = participants.iter().map(|p| Value::Text(p.to_string())).collect();
    let body = cbor::write(&map(vec![
        (header::CONTENT_TYPE, Value::Text(T::PAYLOAD_TYPE.into())),
        (header::PARTICIPANTS, Value::Array(participants)),
        (header::FEED, Value::Text(feed.into())),
    ]))?;
    made(envelope, Some(&body), &signer_header::<T>(signer)?, signer)
}

/// Makes the one signature of a COSE_Sign1 over an envelope's payload.
pub fn sign_alone<T: Document>(envelope: &Envelope<T>, signer: &dyn Signer) -> R<PartySignature> {
    made(envelope, None, &signer_header::<T>(signer)?, signer)
}

fn signer_header<T: Document>(signer: &dyn Signer) -> R<Vec<u8>> {
    let kid = signer.kid();
    cbor::write(&map(vec![
        (header::ALG, Value::from(Alg::EdDsa.cose())),
        (header::CONTENT_TYPE, Value::Text(T::PAYLOAD_TYPE.into())),
        (header::KID, Value::Bytes(format!("#{}", kid.thumbprint).into_bytes())),
        (header::DID, Value::Text(kid.holder.clone())),
    ]))
}

fn made<T: Document>(
    envelope: &Envelope<T>,
    body: Option<&[u8]>,
    own: &[u8],
    signer: &dyn Signer,
) -> R<PartySignature> {
    let protected = match body {
        Some(body) => frame(&[body, own])?,
        None => frame(&[own])?,
    };
    // The strict parser must take the payload, whatever its spelling: nobody signs what nobody can read.
    schemas::canonical::parse_document::<T>(&envelope.payload.0)?;
    let sig = signer.sign_bytes(&to_be_signed((body, own), &envelope.payload.0)?)?;
    // Reading back holds the writer to the reader's rules.
    CoseSignature::read(&protected, Bytes(sig.to_vec()))?.party()
}

/// Writes the COSE_Sign or COSE_Sign1 of an envelope whose signatures are all COSE and share their body header, with
/// these receipts (label 493).
pub fn write<T: Document>(envelope: &Envelope<T>, receipts: &[Vec<u8>]) -> R<Vec<u8>> {
    if envelope.signatures.iter().any(|s| s.form != Form::Cose) {
        return Err(bad("a signature of another form cannot stand in a COSE message"));
    }
    let read = |s: &PartySignature| CoseSignature::read(&s.protected, s.sig.clone());
    let signatures: Vec<CoseSignature> = envelope.signatures.iter().map(read).collect::<R<_>>()?;
    let first = signatures.first().ok_or_else(|| bad("there is no signature"))?;
    let payload = Value::Bytes(envelope.payload.0.clone());
    let unprotected = unprotected(header::CONTRACT_RECEIPTS, receipts);
    let bytes = |b: &[u8]| Value::Bytes(b.to_vec());
    let (tag, parts) = match (first.headers(), signatures.len()) {
        ((None, own), 1) => (super::SIGN1, vec![bytes(own), unprotected, payload, bytes(&first.sig.0)]),
        ((None, _), _) => return Err(bad("a COSE_Sign1 carries one signature")),
        ((Some(body), _), _) => {
            if signatures.iter().any(|s| s.headers().0 != Some(body)) {
                return Err(bad("the signatures were made under different body headers"));
            }
            let one =
                |s: &CoseSignature| Value::Array(vec![bytes(s.headers().1), Value::Map(Vec::new()), bytes(&s.sig.0)]);
            let all = Value::Array(signatures.iter().map(one).collect());
            (super::SIGN, vec![bytes(body), unprotected, payload, all])
        }
    };
    cbor::write(&Value::Tag(tag, Box::new(Value::Array(parts))))
}

/// An unprotected header with receipts, or none.
pub(crate) fn unprotected(label: i64, receipts: &[Vec<u8>]) -> Value {
    if receipts.is_empty() {
        return Value::Map(Vec::new());
    }
    map(vec![(label, Value::Array(receipts.iter().map(|r| Value::Bytes(r.clone())).collect()))])
}

/// The same message with exactly these receipts under label 493; nothing that is signed changes.
pub fn with_receipts(message: &[u8], receipts: &[Vec<u8>]) -> R<Vec<u8>> {
    super::read(message)?;
    let Value::Tag(tag, mut inner) = cbor::read(message, super::MAX_MESSAGE)? else {
        return Err(bad("tag 98 or 18 is expected"));
    };
    if let Some(open) = inner.as_array_mut().and_then(|parts| parts.get_mut(1)) {
        *open = unprotected(header::CONTRACT_RECEIPTS, receipts);
    }
    cbor::write(&Value::Tag(tag, inner))
}
