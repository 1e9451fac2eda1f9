//! Standard Webhooks 1.0.0: v1 (HMAC-SHA256) and v1a (Ed25519) in one header, made by the sender, checked by a receiver.
//!
//! Signed content is `id.timestamp.body`. A receiver that checks v1a needs no secret, only `whpk_…`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer as HmacSigner;
use schemas::jwk::{Curve, Jwk};
use schemas::{Code, R, Refusal, Signer, Timestamp};

use crate::check;

/// Seconds by which a receiver's clock may differ from the sender's.
pub const TOLERANCE_SECONDS: i64 = 300;

/// The secret of an endpoint in its written form, `whsec_` + base64 of 32 bytes.
pub fn secret_text(secret: &[u8; 32]) -> String {
    format!("whsec_{}", STANDARD.encode(secret))
}

/// The sender's public key in its written form, `whpk_` + base64 of 32 bytes.
pub fn public_text(jwk: &Jwk) -> R<String> {
    Ok(format!("whpk_{}", STANDARD.encode(jwk.point(Curve::Ed25519)?)))
}

/// The `webhook-signature` header: v1 with the endpoint's secret, v1a with the sender's key.
pub fn sign(id: &str, at: i64, body: &[u8], secret: &str, signer: &dyn Signer) -> R<String> {
    let content = content(id, at, body);
    let v1 = STANDARD.encode(hmac(secret, &content)?);
    let v1a = STANDARD.encode(signer.sign_bytes(&content)?);
    Ok(format!("v1,{v1} v1a,{v1a}"))
}

/// What a receiver checks with.
pub enum Verifier<'a> {
    /// `whsec_…`, for v1.
    Secret(&'a str),
    /// `whpk_…`, for v1a.
    Public(&'a str),
}

/// Checks a delivery as a receiver: one signature of the verifier's version holds, and the time is within five minutes.
pub fn verify(verifier: &Verifier, id: &str, timestamp: &str, header: &str, body: &[u8], now: Timestamp) -> R<()> {
    let bad = |why: &str| Refusal::new(Code::SignatureInvalid, format!("webhook: {why}"));
    let at: i64 = timestamp.parse().map_err(|_| bad("timestamp"))?;
    if (now.seconds() - at).abs() > TOLERANCE_SECONDS {
        return Err(bad("timestamp is more than five minutes away"));
    }
    let content = content(id, at, body);
    for (version, text) in header.split(' ').filter_map(|part| part.split_once(',')) {
        let Ok(signature) = STANDARD.decode(text) else { continue };
        let holds = match verifier {
            Verifier::Secret(secret) if version == "v1" => {
                let expected = hmac(secret, &content)?;
                expected.len() == signature.len() && openssl::memcmp::eq(&expected, &signature)
            }
            Verifier::Public(public) if version == "v1a" => {
                check::verify_strict(&public_key(public)?, &content, &signature).is_ok()
            }
            _ => false,
        };
        if holds {
            return Ok(());
        }
    }
    Err(bad("no signature holds"))
}

fn content(id: &str, at: i64, body: &[u8]) -> Vec<u8> {
    let mut content = format!("{id}.{at}.").into_bytes();
    content.extend_from_slice(body);
    content
}

fn hmac(secret: &str, content: &[u8]) -> R<Vec<u8>> {
    let form = || Refusal::new(Code::KeyForm, "a webhook secret is whsec_ and base64 of 24 to 64 bytes");
    let key = secret.strip_prefix("whsec_").and_then(|t| STANDARD.decode(t).ok()).ok_or_else(form)?;
    if !(24..=64).contains(&key.len()) {
        return Err(form());
    }
    let fault = |_| Refusal::new(Code::Internal, "HMAC is not available");
    let key = PKey::hmac(&key).map_err(fault)?;
    let mut signer = HmacSigner::new(MessageDigest::sha256(), &key).map_err(fault)?;
    signer.update(content).map_err(fault)?;
    signer.sign_to_vec().map_err(fault)
}

fn public_key(text: &str) -> R<Jwk> {
    let form = || Refusal::new(Code::KeyForm, "a webhook key is whpk_ and base64 of 32 bytes");
    let bytes = text.strip_prefix("whpk_").and_then(|t| STANDARD.decode(t).ok()).ok_or_else(form)?;
    Ok(Jwk::ed25519(bytes.try_into().map_err(|_| form())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileKey;

    /// Example of the Standard Webhooks specification (secret, id, timestamp, body, v1 signature).
    #[test]
    fn v1_matches_the_specification() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let content = content("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        let expected = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(STANDARD.encode(hmac(secret, &content).unwrap()), expected);
    }

    #[test]
    fn both_versions_hold_and_nothing_else() {
        let key = FileKey::generate().unwrap();
        let secret = secret_text(&[7; 32]);
        let public = public_text(key.jwk()).unwrap();
        let header = sign("msg_1", 1000, b"{}", &secret, &key).unwrap();
        let now = Timestamp::from_seconds(1100);
        for verifier in [Verifier::Secret(&secret), Verifier::Public(&public)] {
            verify(&verifier, "msg_1", "1000", &header, b"{}", now).unwrap();
            assert!(verify(&verifier, "msg_2", "1000", &header, b"{}", now).is_err());
            assert!(verify(&verifier, "msg_1", "1001", &header, b"{}", now).is_err());
            assert!(verify(&verifier, "msg_1", "1000", &header, b"{} ", now).is_err());
            assert!(verify(&verifier, "msg_1", "1000", &header, b"{}", now.plus_seconds(300)).is_err());
        }
        let v1_only = header.split(' ').next().unwrap();
        assert!(verify(&Verifier::Public(&public), "msg_1", "1000", v1_only, b"{}", now).is_err());
    }
}
