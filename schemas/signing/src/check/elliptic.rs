//! ECDSA (FIPS 186-5) on the NIST curves through openssl: signatures as raw r‖s, the form of JWS and COSE.

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::{MessageDigest, hash};
use openssl::nid::Nid;
use openssl::pkey::Public;
use schemas::jwk::EcCurve;
use schemas::{Code, R, Refusal};

fn curve(crv: EcCurve) -> (Nid, MessageDigest) {
    match crv {
        EcCurve::P256 => (Nid::X9_62_PRIME256V1, MessageDigest::sha256()),
        EcCurve::P384 => (Nid::SECP384R1, MessageDigest::sha384()),
        EcCurve::P521 => (Nid::SECP521R1, MessageDigest::sha512()),
    }
}

/// The key with these coordinates; refused unless both have the curve's full width and name a point on it.
pub(super) fn key(crv: EcCurve, x: &[u8], y: &[u8]) -> R<EcKey<Public>> {
    let bad = |why: &str| Refusal::new(Code::KeyForm, format!("EC key: {why}"));
    if x.len() != crv.width() || y.len() != crv.width() {
        return Err(bad("coordinates have the curve's full width"));
    }
    let off = |_| bad("not a point of the curve");
    let group = EcGroup::from_curve_name(curve(crv).0).map_err(off)?;
    let (x, y) = (BigNum::from_slice(x).map_err(off)?, BigNum::from_slice(y).map_err(off)?);
    let key = EcKey::from_public_key_affine_coordinates(&group, &x, &y).map_err(off)?;
    key.check_key().map_err(off)?;
    let mut context = BigNumContext::new().map_err(off)?;
    if !key.public_key().is_on_curve(&group, &mut context).map_err(off)? {
        return Err(bad("not a point of the curve"));
    }
    Ok(key)
}

/// Verifies r‖s, each half in the curve's full width.
pub(super) fn verify(crv: EcCurve, x: &[u8], y: &[u8], message: &[u8], signature: &[u8]) -> R<()> {
    let bad = || Refusal::new(Code::SignatureInvalid, "the signature does not verify");
    let key = key(crv, x, y)?;
    let (r, s) = signature.split_at_checked(crv.width()).ok_or_else(bad)?;
    if s.len() != crv.width() {
        return Err(bad());
    }
    let number = |bytes: &[u8]| BigNum::from_slice(bytes).map_err(|_| bad());
    let signature = EcdsaSig::from_private_components(number(r)?, number(s)?).map_err(|_| bad())?;
    let digest = hash(curve(crv).1, message).map_err(|_| bad())?;
    // openssl refuses r and s outside 1..n itself.
    if signature.verify(&digest, &key).map_err(|_| bad())? { Ok(()) } else { Err(bad()) }
}
