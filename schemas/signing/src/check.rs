//! One place for the mathematics of signatures: which keys count, which algorithm goes with which key, and whether a
//! signature verifies. Every other module asks here.

mod decoded;
mod elliptic;
mod pss;

use ed25519_dalek::{Signature, VerifyingKey};
use schemas::jwk::{Curve, EcCurve, Jwk};
use schemas::{Code, R, Refusal};

/// A signature algorithm that the house takes. RS*, HS* and none are not among them and never will be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alg {
    /// Ed25519 (RFC 8032), named `EdDSA` or, by RFC 9864, `Ed25519`.
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes.
    Ps256,
    /// RSASSA-PSS with SHA-384 and a salt of 48 bytes.
    Ps384,
    /// RSASSA-PSS with SHA-512 and a salt of 64 bytes.
    Ps512,
}

/// Algorithm, its name in JWS where it is taken there, its number in COSE (RFC 9053, RFC 8230).
const TABLE: [(Alg, Option<&str>, i64); 7] = [
    (Alg::EdDsa, Some("EdDSA"), -8),
    (Alg::Es256, Some("ES256"), -7),
    (Alg::Es384, Some("ES384"), -35),
    (Alg::Es512, None, -36),
    (Alg::Ps256, Some("PS256"), -37),
    (Alg::Ps384, None, -38),
    (Alg::Ps512, None, -39),
];
/// The number of `Ed25519` in COSE (RFC 9864).
const COSE_ED25519: i64 = -19;

fn refused(why: impl Into<String>) -> Refusal {
    Refusal::new(Code::AlgorithmRefused, why)
}

impl Alg {
    /// Reads the name in a JWS header: EdDSA, Ed25519, ES256, ES384 or PS256; all others are `ALGORITHM_REFUSED`.
    pub fn of_jws(name: &str) -> R<Alg> {
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        let row = TABLE.iter().find(|(_, jws, _)| *jws == Some(name));
        row.map(|(alg, ..)| *alg).ok_or_else(|| refused("alg must be EdDSA, Ed25519, ES256, ES384 or PS256"))
    }

    /// Reads the number in a COSE header: all seven algorithms; every other is `ALGORITHM_REFUSED`.
    pub fn of_cose(number: i64) -> R<Alg> {
        let number = if number == COSE_ED25519 { -8 } else { number };
        let row = TABLE.iter().find(|(.., cose)| *cose == number);
        row.map(|(alg, ..)| *alg).ok_or_else(|| refused(format!("COSE algorithm {number} is not taken")))
    }

    /// The number in a COSE header.
    pub fn cose(self) -> i64 {
        TABLE.iter().find(|(alg, ..)| *alg == self).map_or(0, |(.., cose)| *cose)
    }

    /// Whether this algorithm goes with this key: one curve each, and PSS for every RSA key.
    fn fits(self, jwk: &Jwk) -> bool {
        match jwk {
            Jwk::Okp { crv, .. } => self == Alg::EdDsa && *crv == Curve::Ed25519,
            Jwk::Ec { crv: EcCurve::P256, .. } => self == Alg::Es256,
            Jwk::Ec { crv: EcCurve::P384, .. } => self == Alg::Es384,
            Jwk::Ec { crv: EcCurve::P521, .. } => self == Alg::Es512,
            Jwk::Rsa { .. } => matches!(self, Alg::Ps256 | Alg::Ps384 | Alg::Ps512),
        }
    }
}

/// Verifies one signature with a key that counts, under an algorithm that is the key's.
///
/// # Errors
/// `ALGORITHM_REFUSED` where key and algorithm do not belong together, `KEY_FORM` or `KEY_WEAK` for keys that never
/// count, `SIGNATURE_INVALID` where the mathematics says no. ECDSA and PSS signatures are of full length (raw r‖s; the
/// length of the modulus); the second form (r, n−s) of an ECDSA signature verifies too, as RFC 7518 has it.
pub fn verify(jwk: &Jwk, alg: Alg, message: &[u8], signature: &[u8]) -> R<()> {
    if !alg.fits(jwk) {
        return Err(refused("the key is not one for this algorithm"));
    }
    match jwk {
        Jwk::Okp { .. } => verify_strict(jwk, message, signature),
        Jwk::Ec { crv, x, y } => elliptic::verify(*crv, &x.0, &y.0, message, signature),
        Jwk::Rsa { n, e } => pss::verify(&n.0, &e.0, alg, message, signature),
    }
}

/// Requires that a signing key of any type counts: Ed25519 as in [`public_key`]; EC points on their curve, coordinates
/// in full width; RSA moduli of 2048 to 4096 bits, odd, with an odd exponent of at least 3.
pub fn sound(jwk: &Jwk) -> R<()> {
    match jwk {
        Jwk::Okp { .. } => public_key(jwk).map(drop),
        Jwk::Ec { crv, x, y } => elliptic::key(*crv, &x.0, &y.0).map(drop),
        Jwk::Rsa { n, e } => pss::key(&n.0, &e.0).map(drop),
    }
}

/// The point of an EC key that counts.
pub(crate) fn ec_point(crv: EcCurve, x: &[u8], y: &[u8]) -> R<openssl::ec::EcKey<openssl::pkey::Public>> {
    elliptic::key(crv, x, y)
}

/// Reads an Ed25519 key; refuses other curves, points that do not decode, encodings that are not canonical, and
/// points of small order (for which some signature verifies every message).
pub fn public_key(jwk: &Jwk) -> R<VerifyingKey> {
    let bytes = jwk.point(Curve::Ed25519)?;
    if let Some(key) = decoded::get(&bytes) {
        return Ok(key);
    }
    let key = VerifyingKey::from_bytes(&bytes).map_err(|_| Refusal::new(Code::KeyForm, "not a point of Ed25519"))?;
    // `from_bytes` keeps the bytes it got: y >= p decodes to the same point under a second name.
    let canonical = key.to_edwards().compress().to_bytes();
    if canonical != bytes {
        return Err(Refusal::new(Code::KeyForm, "the encoding of the Ed25519 point is not canonical"));
    }
    if key.is_weak() {
        return Err(Refusal::new(Code::KeyWeak, "an Ed25519 key of small order is refused"));
    }
    decoded::put(bytes, key);
    Ok(key)
}

/// Verifies one signature with the cofactorless, strict equation; S at or above the group order is refused.
pub fn verify_strict(jwk: &Jwk, message: &[u8], signature: &[u8]) -> R<()> {
    let bad = || Refusal::new(Code::SignatureInvalid, "the signature does not verify");
    let signature: [u8; 64] = signature.try_into().map_err(|_| bad())?;
    public_key(jwk)?.verify_strict(message, &Signature::from_bytes(&signature)).map_err(|_| bad())
}

#[cfg(test)]
mod tests;
