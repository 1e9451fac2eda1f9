//! RSASSA-PSS (RFC 8017) through openssl, with MGF1 over the same hash and a salt of the hash's length, as in
//! RFC 7518 3.5 and RFC 8230.

use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Public};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Verifier};
use schemas::{Code, R, Refusal};

use super::Alg;

/// Bits of a modulus, least and most.
const BITS: std::ops::RangeInclusive<i32> = 2048..=4096;
/// The longest exponent in bytes: a long one only costs time.
const MAX_EXPONENT: usize = 8;

/// The key of this modulus and exponent; refused outside the bounds that the module `check` promises.
pub(super) fn key(n: &[u8], e: &[u8]) -> R<PKey<Public>> {
    let bad = |why: &str| Refusal::new(Code::KeyForm, format!("RSA key: {why}"));
    let odd = |bytes: &[u8]| bytes.last().is_some_and(|b| b & 1 == 1);
    if n.first() == Some(&0) || e.first() == Some(&0) || e.len() > MAX_EXPONENT {
        return Err(bad("numbers have no leading zeros, the exponent at most 64 bits"));
    }
    if !odd(n) || !odd(e) || *e == [1] {
        return Err(bad("modulus and exponent are odd, the exponent at least 3"));
    }
    let fault = |_| bad("cannot be read");
    let modulus = BigNum::from_slice(n).map_err(fault)?;
    if !BITS.contains(&modulus.num_bits()) {
        return Err(Refusal::new(Code::KeyWeak, "an RSA modulus has 2048 to 4096 bits"));
    }
    let exponent = BigNum::from_slice(e).map_err(fault)?;
    PKey::from_rsa(Rsa::from_public_components(modulus, exponent).map_err(fault)?).map_err(fault)
}

/// Verifies a signature as long as the modulus.
pub(super) fn verify(n: &[u8], e: &[u8], alg: Alg, message: &[u8], signature: &[u8]) -> R<()> {
    let bad = || Refusal::new(Code::SignatureInvalid, "the signature does not verify");
    let digest = match alg {
        Alg::Ps256 => MessageDigest::sha256(),
        Alg::Ps384 => MessageDigest::sha384(),
        Alg::Ps512 => MessageDigest::sha512(),
        Alg::EdDsa | Alg::Es256 | Alg::Es384 | Alg::Es512 => return Err(bad()),
    };
    let key = key(n, e)?;
    if signature.len() != n.len() {
        return Err(bad());
    }
    let fault = |_| bad();
    let mut verifier = Verifier::new(digest, &key).map_err(fault)?;
    verifier.set_rsa_padding(Padding::PKCS1_PSS).map_err(fault)?;
    verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).map_err(fault)?;
    verifier.set_rsa_mgf1_md(digest).map_err(fault)?;
    // An error on openssl's stack means the same as "no": a signature that does not even have the form.
    if verifier.verify_oneshot(signature, message).unwrap_or(false) { Ok(()) } else { Err(bad()) }
}
