//! Document signatures as JWS (RFC 7515, RFC 8037) over canonical bytes, written and read strictly, one at a time.

use std::collections::BTreeSet;

use schemas::canonical;
use schemas::envelope::{Form, MAX_SIGNATURES, PartySignature};
use schemas::id::{Did, KeyId};
use schemas::text::Bytes;
use schemas::{Code, Document, Envelope, KeyBook, R, Refusal, Signed, Signer, Timestamp};
use serde::{Deserialize, Serialize};

use crate::check;

/// The protected header of a document signature: exactly these members, in canonical form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Protected {
    alg: String,
    cty: String,
    iat: i64,
    kid: KeyId,
}

/// The largest protected header.
const MAX_PROTECTED: usize = 4096;

/// Signs a document alone.
pub fn sign<T: Document>(document: &T, signer: &dyn Signer, now: Timestamp) -> R<Envelope<T>> {
    let mut envelope = Envelope::draft(document)?;
    let signature = countersign(&envelope, signer, now)?;
    envelope.signatures.push(signature);
    Ok(envelope)
}

/// Makes one party's signature over an envelope's payload, which must be a well-formed document of its type.
pub fn countersign<T: Document>(envelope: &Envelope<T>, signer: &dyn Signer, now: Timestamp) -> R<PartySignature> {
    envelope.read_unverified()?;
    let header =
        Protected { alg: "EdDSA".into(), cty: T::PAYLOAD_TYPE.into(), iat: now.seconds(), kid: signer.kid().clone() };
    let protected = Bytes(canonical::to_bytes(&header)?);
    let sig = signer.sign_bytes(signing_input(&protected, &envelope.payload).as_bytes())?;
    Ok(PartySignature { form: Form::Jws, protected, kid: signer.kid().clone(), sig: Bytes(sig.to_vec()) })
}

/// Verifies every signature of an envelope and makes [`Signed`] of it.
///
/// In this order: number of signatures; payload strict, canonical and of schema `T`; its registry is ours; then each
/// signature: header canonical with exactly `alg`, `cty`, `iat`, `kid`; alg EdDSA or Ed25519 (RFC 9864); `cty` the
/// payload type of `T`; one signature per holder; key known to the book for this usage; strict Ed25519.
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

/// Verifies an envelope that must carry exactly one signature, by this holder (a DID or a run id).
pub fn verify_by<T: Document>(envelope: Envelope<T>, registry: &Did, book: &dyn KeyBook, holder: &str) -> R<Signed<T>> {
    if envelope.signatures.len() > 1 || envelope.signatures.iter().any(|s| s.kid.holder != holder) {
        return Err(Refusal::new(Code::SignerNotParty, format!("one signature, by {holder}, is expected")));
    }
    verify(envelope, registry, book)
}

fn check_one<T: Document>(payload: &Bytes, signature: &PartySignature, book: &dyn KeyBook) -> R<()> {
    if signature.form != Form::Jws {
        return Err(Refusal::new(Code::CoseForm, "COSE signatures are not offered yet"));
    }
    let form = |why: &str| Refusal::new(Code::SignatureForm, format!("protected header: {why}"));
    if signature.protected.0.len() > MAX_PROTECTED {
        return Err(form("more than 4096 bytes"));
    }
    let header: Protected =
        canonical::parse_canonical(&signature.protected.0).map_err(|e| form(&format!("{}: {}", e.code, e.sentence)))?;
    if header.alg != "EdDSA" && header.alg != "Ed25519" {
        return Err(form("alg must be EdDSA or Ed25519"));
    }
    if header.cty != T::PAYLOAD_TYPE {
        return Err(Refusal::new(
            Code::SignatureContext,
            format!("the signature is for {}, not for {}", header.cty, T::PAYLOAD_TYPE),
        ));
    }
    if header.kid != signature.kid {
        return Err(form("kid differs from the envelope's"));
    }
    let unknown = || Refusal::new(Code::SignerUnknown, format!("no active key {} is known for this act", header.kid));
    let jwk = book.key(&header.kid, T::USAGE).ok_or_else(unknown)?;
    if jwk.thumbprint() != header.kid.thumbprint {
        return Err(unknown());
    }
    let input = signing_input(&signature.protected, payload);
    check::verify_strict(&jwk, input.as_bytes(), &signature.sig.0)
}

fn signing_input(protected: &Bytes, payload: &Bytes) -> String {
    format!("{}.{}", protected.text(), payload.text())
}
