//! COSE_Sign (tag 98) and COSE_Sign1 (tag 18) of RFC 9052 in the DEPA profile, read strictly, every signature verified.
//!
//! Labels: 3 content type, 491 participants, 492 (or 392) feed in the body; 1 alg, 4 kid, 494 (or 493) DID in each
//! signature; 493 (or 394) receipts in the body's unprotected header. Both labels of a pair, any label that is not on the
//! list of its place, anything unprotected but receipts, text labels, embedded keys and detached payloads are refused.
//! Reading needs no canonical payload: the signed bytes stay as they came.

pub(crate) mod header;
mod key;
mod signature;
mod write;

use std::collections::BTreeSet;

use ciborium::Value;
use schemas::canonical::MAX_DOCUMENT;
use schemas::envelope::{MAX_SIGNATURES, PartySignature, Usage};
use schemas::id::Did;
use schemas::jwk::Jwk;
use schemas::{Code, Document, Envelope, KeyBook, R, Refusal};

use crate::cbor;
use header::bad;
pub use key::{cose_key, thumbprint};
pub use signature::CoseSignature;
pub(crate) use signature::to_be_signed;
pub(crate) use write::{map, unprotected};
pub use write::{sign, sign_alone, with_receipts, write};

/// The largest message that is read.
pub const MAX_MESSAGE: usize = 512 * 1024;
/// The largest protected header.
pub(crate) const MAX_HEADER: usize = 40 * 1024;
/// The most receipts in one message.
pub(crate) const MAX_RECEIPTS: usize = 16;
/// The longest signature: that of an RSA key of 4096 bits.
const MAX_SIGNATURE: usize = 512;
pub(crate) const SIGN: u64 = 98;
pub(crate) const SIGN1: u64 = 18;

/// A COSE message, read; no signature is verified yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CoseMessage {
    /// Label 491: who is to sign. Empty only for a COSE_Sign1.
    pub participants: Vec<Did>,
    /// Label 492 or 392.
    pub feed: Option<String>,
    /// Label 3: the payload type.
    pub content_type: String,
    /// The signed bytes as they came.
    pub payload: Vec<u8>,
    /// The signatures, at least one.
    pub signatures: Vec<CoseSignature>,
    /// Receipts of label 493 or 394, each as its own CBOR.
    pub receipts: Vec<Vec<u8>>,
}

/// Reads a message of at most [`MAX_MESSAGE`] bytes; `COSE_FORM`, `ALGORITHM_REFUSED` or another code for what is not in
/// the profile.
pub fn read(bytes: &[u8]) -> R<CoseMessage> {
    let Value::Tag(tag, inner) = cbor::read(bytes, MAX_MESSAGE)? else {
        return Err(bad("tag 98 or 18 is expected"));
    };
    let Value::Array(parts) = *inner else {
        return Err(bad("a message is an array"));
    };
    let [Value::Bytes(body), open, Value::Bytes(payload), last] = parts.as_slice() else {
        return Err(bad("four parts are expected, with the payload inside"));
    };
    if payload.len() > MAX_DOCUMENT {
        return Err(Refusal::new(Code::BodyTooLarge, "a document has at most 256 KiB"));
    }
    let open = header::Header::of(open.clone(), &[header::CONTRACT_RECEIPTS, header::RECEIPTS])?;
    let receipts = header::receipts(open.either(header::CONTRACT_RECEIPTS, header::RECEIPTS)?)?;
    let signatures = match (tag, last) {
        (SIGN1, Value::Bytes(sig)) => vec![one(&[body], sig)?],
        (SIGN, Value::Array(all)) => read_signatures(body, all)?,
        _ => return Err(bad("tag 98 with signatures or tag 18 with one is expected")),
    };
    let first = signatures.first().ok_or_else(|| bad("there is no signature"))?.body().clone();
    Ok(CoseMessage {
        participants: first.participants,
        feed: first.feed,
        content_type: first.content_type,
        payload: payload.clone(),
        signatures,
        receipts,
    })
}

fn read_signatures(body: &[u8], all: &[Value]) -> R<Vec<CoseSignature>> {
    if all.len() > MAX_SIGNATURES {
        return Err(Refusal::new(Code::LimitExceeded, "more than 64 signatures"));
    }
    if all.is_empty() {
        return Err(Refusal::new(Code::SignatureMissing, "the message carries no signature"));
    }
    let each = |signature: &Value| match signature.as_array().map(Vec::as_slice) {
        Some([Value::Bytes(own), Value::Map(open), Value::Bytes(sig)]) if open.is_empty() => one(&[body, own], sig),
        Some([_, Value::Map(open), _]) if !open.is_empty() => Err(bad("a signature has nothing unprotected")),
        _ => Err(bad("a signature is an array of three")),
    };
    all.iter().map(each).collect()
}

fn one(headers: &[&[u8]], sig: &[u8]) -> R<CoseSignature> {
    if sig.len() > MAX_SIGNATURE {
        return Err(bad("a signature of more than 512 bytes"));
    }
    CoseSignature::read(&signature::frame(headers)?, schemas::text::Bytes(sig.to_vec()))
}

/// Takes a kid apart: `<did>#<key>`, `#<key>` or `<key>`, the latter two beside a DID that a header names.
pub(crate) fn signer_of(named: Option<Did>, kid: &[u8]) -> R<(Did, String)> {
    let kid = std::str::from_utf8(kid).ok().filter(|k| k.len() <= 600).ok_or_else(|| bad("kid is a short text"))?;
    let (holder, key) = kid.split_once('#').unwrap_or(("", kid));
    let inside = if holder.is_empty() { None } else { Some(Did::parse(holder)?) };
    let did = match (named, inside) {
        (Some(named), Some(inside)) if named != inside => {
            return Err(bad("kid belongs to another DID than the header's"));
        }
        (named, inside) => named.or(inside),
    };
    let did = did.ok_or_else(|| Refusal::new(Code::SignerUnknown, "neither kid nor header names the signer's DID"))?;
    if key.is_empty() || key.contains('#') {
        return Err(bad("kid names no key"));
    }
    Ok((did, key.to_owned()))
}

impl CoseMessage {
    /// The document with its signatures as an envelope; the content type must be that of `T`, each kid a key id of ours.
    pub fn envelope<T: Document>(&self) -> R<Envelope<T>> {
        if self.content_type != T::PAYLOAD_TYPE {
            let why = format!("the message is a {}, not a {}", self.content_type, T::PAYLOAD_TYPE);
            return Err(Refusal::new(Code::SignatureContext, why));
        }
        let signatures = self.signatures.iter().map(CoseSignature::party).collect::<R<_>>()?;
        Ok(Envelope::new(self.payload.clone(), signatures))
    }
}

/// Verifies every signature of a message whose payload is of any type (a DEPA contract of another tool's making), each
/// with the key that `keys` knows for DID and kid; returns who signed, each once.
pub fn verify_all(message: &CoseMessage, keys: &dyn Fn(&Did, &str) -> Option<Jwk>) -> R<Vec<Did>> {
    let mut signers = BTreeSet::new();
    let mut order = Vec::new();
    for signature in &message.signatures {
        let did = &signature.did;
        if !signers.insert(did.clone()) {
            return Err(Refusal::new(Code::SignerTwice, format!("{did} signed twice")));
        }
        let unknown = || Refusal::new(Code::SignerUnknown, format!("no key {} of {did} is known", signature.key));
        signature.verify(&message.payload, &keys(did, &signature.key).ok_or_else(unknown)?)?;
        order.push(did.clone());
    }
    if order.is_empty() {
        return Err(Refusal::new(Code::SignatureMissing, "the message carries no signature"));
    }
    Ok(order)
}

/// Verifies one COSE signature of a document.
pub(crate) fn check_one<T: Document>(payload: &[u8], signature: &PartySignature, book: &dyn KeyBook) -> R<()> {
    if T::USAGE != Usage::Party {
        return Err(bad("services and runs sign in JWS only"));
    }
    let read = CoseSignature::read(&signature.protected, signature.sig.clone())?;
    if read.body().content_type != T::PAYLOAD_TYPE {
        let why = format!("the signature is for {}, not for {}", read.body().content_type, T::PAYLOAD_TYPE);
        return Err(Refusal::new(Code::SignatureContext, why));
    }
    if read.party()?.kid != signature.kid {
        return Err(bad("kid differs from the envelope's"));
    }
    read.verify(payload, &crate::document::key_of(book, &signature.kid, T::USAGE)?)
}
