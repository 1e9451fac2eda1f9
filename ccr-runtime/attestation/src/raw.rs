//! The three raw signature checks that evidence needs, over bytes as they came. Any error counts as "no".

use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKeyRef, Public};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Verifier};

/// RSASSA-PSS, SHA-384, MGF1 with SHA-384, salt of 48 bytes: the form of AMD's certificates (AMD 57230).
pub(crate) fn pss_sha384(key: &PKeyRef<Public>, message: &[u8], signature: &[u8]) -> bool {
    let check = || -> Result<bool, ErrorStack> {
        let mut verifier = Verifier::new(MessageDigest::sha384(), key)?;
        verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
        verifier.set_rsa_pss_saltlen(RsaPssSaltlen::custom(48))?;
        verifier.set_rsa_mgf1_md(MessageDigest::sha384())?;
        verifier.verify_oneshot(signature, message)
    };
    check().unwrap_or(false)
}

/// RSASSA-PKCS1-v1_5 with SHA-256: the form of the vTPM's quotes.
pub(crate) fn rsassa_sha256(key: &PKeyRef<Public>, message: &[u8], signature: &[u8]) -> bool {
    let check = || -> Result<bool, ErrorStack> {
        let mut verifier = Verifier::new(MessageDigest::sha256(), key)?;
        verifier.set_rsa_padding(Padding::PKCS1)?;
        verifier.verify_oneshot(signature, message)
    };
    check().unwrap_or(false)
}

/// ECDSA with SHA-384; R and S little-endian as in the SNP report (AMD 56860).
pub(crate) fn ecdsa_sha384(key: &PKeyRef<Public>, message: &[u8], r: &[u8], s: &[u8]) -> bool {
    let number = |bytes: &[u8]| BigNum::from_slice(&bytes.iter().rev().copied().collect::<Vec<u8>>());
    let check = || -> Result<bool, ErrorStack> {
        let signature = EcdsaSig::from_private_components(number(r)?, number(s)?)?.to_der()?;
        let mut verifier = Verifier::new(MessageDigest::sha384(), key)?;
        verifier.verify_oneshot(&signature, message)
    };
    check().unwrap_or(false)
}
