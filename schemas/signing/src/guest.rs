//! Keys wrapped for stock confidential-container guests: flattened JWE (RFC 7516 7.2.2), ECDH-ES+A256KW with A256GCM, to a
//! key on P-256.
//!
//! Those guests compute the additional data from the header as they would write it: `alg`, `enc`, then the other members
//! sorted, and without the curve's name first they open nothing. josekit writes another order and leaves no say in it, so
//! the header is written here, and the four steps (RFC 7518 4.6, RFC 3394, SP 800-38D) are OpenSSL's. josekit opens what
//! is made here (`tests/guest_key.rs`). `apu` and `apv` are empty, as the protocol has them: what binds such a key to its
//! context is the attested key alone.

use openssl::aes::{AesKey, wrap_key};
use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::derive::Deriver;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::symm::{Cipher, encrypt_aead};
use schemas::jwk::{EcCurve, Jwk};
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Refusal};
use zeroize::Zeroizing;

const ALG: &str = "ECDH-ES+A256KW";
/// Bytes of a coordinate on P-256.
const WIDTH: i32 = 32;

/// The five members of the answer, each base64url.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GuestJwe {
    /// The header; its text as it stands is the additional data.
    pub protected: String,
    /// The content key, wrapped.
    pub encrypted_key: String,
    /// 12 bytes.
    pub iv: String,
    /// The sealed secret.
    pub ciphertext: String,
    /// 16 bytes.
    pub tag: String,
}

fn failed<E>(_: E) -> Refusal {
    Refusal::new(Code::Internal, "a key could not be wrapped for a guest")
}

/// Wraps 32 secret bytes to a guest's public key. `KEY_FORM` for a key that is no point of P-256.
pub fn wrap_for_guest(secret: &[u8; 32], to: &Jwk) -> R<GuestJwe> {
    let Jwk::Ec { crv: EcCurve::P256, x, y } = to else {
        return Err(Refusal::new(Code::KeyForm, "a guest's key is a point of P-256").at("tee-pubkey"));
    };
    let recipient = PKey::from_ec_key(crate::check::ec_point(EcCurve::P256, &x.0, &y.0)?).map_err(failed)?;
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).map_err(failed)?;
    let ephemeral = EcKey::generate(&group).map_err(failed)?;
    let header = header(&group, &ephemeral)?;
    let own = PKey::from_ec_key(ephemeral).map_err(failed)?;
    let mut deriver = Deriver::new(&own).map_err(failed)?;
    deriver.set_peer(&recipient).map_err(failed)?;
    let shared = Zeroizing::new(deriver.derive_to_vec().map_err(failed)?);
    let content_key = Zeroizing::new(crate::signer::random::<32>()?);
    let kek = AesKey::new_encrypt(&*wrapping_key(&shared)).map_err(failed)?;
    let mut encrypted_key = [0; 40];
    wrap_key(&kek, None, &mut encrypted_key, &*content_key).map_err(failed)?;
    let protected = Bytes(header.into_bytes()).text();
    let (iv, mut tag) = (crate::signer::random::<12>()?, [0; 16]);
    let cipher = Cipher::aes_256_gcm();
    let text =
        encrypt_aead(cipher, &*content_key, Some(&iv), protected.as_bytes(), secret, &mut tag).map_err(failed)?;
    let part = |bytes: &[u8]| Bytes(bytes.to_vec()).text();
    Ok(GuestJwe {
        protected,
        encrypted_key: part(&encrypted_key),
        iv: part(&iv),
        ciphertext: part(&text),
        tag: part(&tag),
    })
}

/// The header in the one order that such guests write again.
fn header(group: &EcGroup, ephemeral: &EcKey<Private>) -> R<String> {
    let (mut x, mut y) = (BigNum::new().map_err(failed)?, BigNum::new().map_err(failed)?);
    let mut context = BigNumContext::new().map_err(failed)?;
    ephemeral.public_key().affine_coordinates(group, &mut x, &mut y, &mut context).map_err(failed)?;
    let part = |n: &BigNumRef| n.to_vec_padded(WIDTH).map(|bytes| Bytes(bytes).text()).map_err(failed);
    let (x, y) = (part(&x)?, part(&y)?);
    Ok(format!(r#"{{"alg":"{ALG}","enc":"A256GCM","epk":{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}}}"#))
}

/// One round of Concat KDF (RFC 7518 4.6.2) with empty `apu` and `apv`, for 256 bits.
fn wrapping_key(shared: &[u8]) -> Zeroizing<[u8; 32]> {
    let empty = 0u32.to_be_bytes();
    let length = (ALG.len() as u32).to_be_bytes();
    let parts = [&1u32.to_be_bytes(), shared, &length, ALG.as_bytes(), &empty, &empty, &256u32.to_be_bytes() as &[u8]];
    Zeroizing::new(Digest::of_parts(&parts).0)
}
