//! Attestation results as tokens (EAR shape, draft-ietf-rats-ear): compact JWS of a key service over what an appraisal
//! found. Only the key that the verifier knows counts: a key in a token's header is no member that is read.

use schemas::canonical;
use schemas::id::KeyId;
use schemas::jwk::Jwk;
use schemas::text::Bytes;
use schemas::{Code, R, Refusal, Signer, Timestamp};
use serde_json::Value;

use crate::check;
use crate::header::Header;

const TYP: &str = "ear+jwt";
/// No longer token is looked at.
const MAX_TOKEN: usize = 16 * 1024;

fn bad(why: &str) -> Refusal {
    Refusal::new(Code::Unauthenticated, format!("attestation token: {why}"))
}

/// Signs claims, which carry `iat` and `exp`.
pub fn sign(claims: &Value, signer: &dyn Signer) -> R<String> {
    let input = format!("{}.{}", Header::part(TYP, signer)?, Bytes(canonical::to_bytes(claims)?).text());
    let sig = Bytes(signer.sign_bytes(input.as_bytes())?.to_vec()).text();
    Ok(format!("{input}.{sig}"))
}

/// The claims of a token that this key signed and that has not ended; `UNAUTHENTICATED` otherwise.
pub fn read(token: &str, issuer: &KeyId, jwk: &Jwk, now: Timestamp) -> R<Value> {
    let parts: Vec<&str> = token.split('.').collect();
    let &[header, payload, sig] = parts.as_slice() else {
        return Err(bad("three parts are expected"));
    };
    if token.len() > MAX_TOKEN {
        return Err(bad("too long"));
    }
    let bytes = |text: &str| Bytes::parse(text).map_err(|_| bad("base64url"));
    let head: Header = canonical::parse_canonical(&bytes(header)?.0).map_err(|_| bad("header"))?;
    if head.typ != TYP || head.alg != "EdDSA" || head.kid != *issuer {
        return Err(bad("of another type or key"));
    }
    let input = format!("{header}.{payload}");
    check::verify_strict(jwk, input.as_bytes(), &bytes(sig)?.0).map_err(|_| bad("signature"))?;
    let claims: Value = canonical::parse_canonical(&bytes(payload)?.0).map_err(|_| bad("claims"))?;
    let ends = claims.get("exp").and_then(Value::as_i64).ok_or_else(|| bad("without an end"))?;
    if ends <= now.seconds() {
        return Err(bad("expired; attest anew"));
    }
    Ok(claims)
}
