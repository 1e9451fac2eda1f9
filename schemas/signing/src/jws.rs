//! Document signatures as JWS (RFC 7515, RFC 7518, RFC 8037) over canonical bytes, written and read strictly, one at a
//! time. Ours are Ed25519; participants' may be ES256, ES384 or PS256 too.

use schemas::canonical;
use schemas::envelope::{Form, PartySignature};
use schemas::id::KeyId;
use schemas::text::Bytes;
use schemas::{Code, Document, Envelope, KeyBook, R, Refusal, Signer, Timestamp};
use serde::{Deserialize, Serialize};

use crate::check::{self, Alg};
use crate::document;

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

/// Verifies one JWS signature of a document.
pub(crate) fn check_one<T: Document>(payload: &Bytes, signature: &PartySignature, book: &dyn KeyBook) -> R<()> {
    let form = |why: &str| Refusal::new(Code::SignatureForm, format!("protected header: {why}"));
    if signature.protected.0.len() > MAX_PROTECTED {
        return Err(form("more than 4096 bytes"));
    }
    let header: Protected =
        canonical::parse_canonical(&signature.protected.0).map_err(|e| form(&format!("{}: {}", e.code, e.sentence)))?;
    let alg = Alg::of_jws(&header.alg)?;
    if header.cty != T::PAYLOAD_TYPE {
        return Err(Refusal::new(
            Code::SignatureContext,
            format!("the signature is for {}, not for {}", header.cty, T::PAYLOAD_TYPE),
        ));
    }
    if header.kid != signature.kid {
        return Err(form("kid differs from the envelope's"));
    }
    let jwk = document::key_of(book, &header.kid, T::USAGE)?;
    let input = signing_input(&signature.protected, payload);
    check::verify(&jwk, alg, input.as_bytes(), &signature.sig.0)
}

fn signing_input(protected: &Bytes, payload: &Bytes) -> String {
    format!("{}.{}", protected.text(), payload.text())
}
