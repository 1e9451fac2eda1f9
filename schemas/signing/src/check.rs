//! Raw Ed25519 (RFC 8032): strict verification, and the keys that never count.

use ed25519_dalek::{Signature, VerifyingKey};
use schemas::jwk::{Curve, Jwk};
use schemas::{Code, R, Refusal};

/// Reads a public key; refuses other curves, points that do not decode, encodings that are not canonical, and
/// points of small order (for which some signature verifies every message).
pub fn public_key(jwk: &Jwk) -> R<VerifyingKey> {
    let bytes = jwk.point(Curve::Ed25519)?;
    let key = VerifyingKey::from_bytes(&bytes).map_err(|_| Refusal::new(Code::KeyForm, "not a point of Ed25519"))?;
    // `from_bytes` keeps the bytes it got: y >= p decodes to the same point under a second name.
    let canonical = key.to_edwards().compress().to_bytes();
    if canonical != bytes {
        return Err(Refusal::new(Code::KeyForm, "the encoding of the Ed25519 point is not canonical"));
    }
    if key.is_weak() {
        return Err(Refusal::new(Code::KeyWeak, "an Ed25519 key of small order is refused"));
    }
    Ok(key)
}

/// Verifies one signature with the cofactorless, strict equation; S at or above the group order is refused.
pub fn verify_strict(jwk: &Jwk, message: &[u8], signature: &[u8]) -> R<()> {
    let bad = || Refusal::new(Code::SignatureInvalid, "the signature does not verify");
    let signature: [u8; 64] = signature.try_into().map_err(|_| bad())?;
    public_key(jwk)?.verify_strict(message, &Signature::from_bytes(&signature)).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The eight small-order points and two non-canonical encodings of them (Chalkias et al., "Taming the many EdDSAs").
    #[test]
    fn small_order_and_non_canonical_keys_never_count() {
        let points = [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0100000000000000000000000000000000000000000000000000000000000080",
        ];
        for point in points {
            let jwk = Jwk::ed25519(hex::decode(point).unwrap().try_into().unwrap());
            let code = public_key(&jwk).unwrap_err().code;
            assert!(matches!(code, Code::KeyWeak | Code::KeyForm), "{point}: {code}");
            // R = identity, S = 0 verifies every message under the identity key in lenient libraries.
            let mut forged = [0u8; 64];
            forged[0] = 1;
            assert!(verify_strict(&jwk, b"any message", &forged).is_err());
        }
    }
}
