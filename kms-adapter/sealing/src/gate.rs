//! A data key behind a second gate: the key service lets go of it, and it opens only with what another keeper, which
//! judges the room by itself, has let go of too (Azure secure key release).
//!
//! The other keeper holds an RSA key-encryption key. It wraps that to the transport key that the room's token names:
//! RSA-OAEP-256(AES key) ‖ AES-KWP(PKCS #8) (RFC 8017 7.1, RFC 5649). The key service has the data key, enclosed under
//! the key-encryption key, and cannot open it. Both lie in a [`Gated`], sealed under a key that the key service wraps to
//! the attested room: who has one half only has nothing.

use hmac::{Hmac, KeyInit as _, Mac as _};
use openssl::cipher::Cipher as Wrap;
use openssl::cipher_ctx::{CipherCtx, CipherCtxFlags};
use openssl::encrypt::{Decrypter, Encrypter};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, PKeyRef, Private, Public};
use openssl::rsa::Padding;
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use schemas::text::Bytes;
use schemas::{Code, R, Refusal, canonical};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::key::{DatasetKey, fill_random};

const MAGIC: &[u8; 4] = b"DWK1";
const IV: usize = 12;
const TAG: usize = 16;
/// Says what is sealed; nothing else is sealed under the same key.
const LABEL: &[u8] = b"depa/gated/1";
/// The most that another keeper's answer may hold.
const MOST: usize = 64 * 1024;

/// The private half of the key that a token names. It may be in a TPM and never leave it.
pub trait TransportKey {
    /// Bytes of one RSA block.
    fn block(&self) -> usize;

    /// Opens one block of RSA-OAEP with SHA-256 in both places.
    fn open(&self, block: &[u8]) -> R<Zeroizing<Vec<u8>>>;
}

impl TransportKey for PKey<Private> {
    fn block(&self) -> usize {
        self.size()
    }

    fn open(&self, block: &[u8]) -> R<Zeroizing<Vec<u8>>> {
        rsa_open(self, block).map_err(|_| fault("is not for the transport key of the token"))
    }
}

/// What a room needs, besides its transport key, to open one data key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gated {
    /// Name of the key-encryption key.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its public half (SubjectPublicKeyInfo, DER), pinned by the key service when it was made.
    pub public: Bytes,
    /// What the other keeper let go of.
    pub released: Bytes,
    /// The enclosed data key under the key-encryption key.
    pub wrapped: Bytes,
    /// The use for which the data key was enclosed.
    pub context: Bytes,
}

fn fault(why: &str) -> Refusal {
    Refusal::new(Code::PeerFault, format!("the second gate's release {why}"))
}

impl Gated {
    /// IV ‖ AES-256-GCM ‖ tag, under a key that is drawn for this and wrapped to the room.
    pub fn seal(&self, under: &DatasetKey) -> R<Bytes> {
        let (mut iv, mut tag) = ([0; IV], [0; TAG]);
        fill_random(&mut iv)?;
        let plain = canonical::to_bytes(self)?;
        let text = encrypt_aead(Cipher::aes_256_gcm(), under.expose(), Some(&iv), LABEL, &plain, &mut tag)
            .map_err(|e| Refusal::new(Code::Internal, format!("AES-256-GCM: {e}")))?;
        Ok(Bytes([&iv[..], &text, &tag].concat()))
    }

    /// Opens what [`Gated::seal`] made.
    ///
    /// Errors: [`Code::JweRefused`] where it was changed or sealed under another key.
    pub fn unseal(sealed: &Bytes, under: &DatasetKey) -> R<Gated> {
        let bad = || Refusal::new(Code::JweRefused, "what lies behind the second gate does not open");
        let (iv, rest) = sealed.0.split_first_chunk::<IV>().ok_or_else(bad)?;
        let (text, tag) = rest.split_last_chunk::<TAG>().ok_or_else(bad)?;
        let plain =
            decrypt_aead(Cipher::aes_256_gcm(), under.expose(), Some(iv), LABEL, text, tag).map_err(|_| bad())?;
        canonical::parse(&plain)
    }

    /// The data key, with the transport key that the token named.
    ///
    /// Errors: [`Code::PeerFault`] where the other keeper let go of something else than the pinned key or for another
    /// transport key, [`Code::KeyRowTampered`] where the data key was enclosed for something else.
    pub fn open(&self, transport: &dyn TransportKey) -> R<DatasetKey> {
        let public =
            PKey::public_key_from_der(&self.public.0).map_err(|_| fault("has no pinned key to compare with"))?;
        let kek = released_key(&self.released.0, transport, &public)?;
        DatasetKey::from_slice(opened(&kek, &self.name, &self.version, &self.wrapped.0, &self.context.0)?.as_slice())
    }
}

/// The key-encryption key in a release, held against the pinned public half.
pub fn released_key(released: &[u8], transport: &dyn TransportKey, public: &PKey<Public>) -> R<PKey<Private>> {
    let (first, second) =
        released.split_at_checked(transport.block()).ok_or_else(|| fault("is too short for the transport key"))?;
    let aes = transport.open(first)?;
    let pkcs8 = unpad(&aes, second).ok_or_else(|| fault("has a key that does not unwrap"))?;
    let key = PKey::private_key_from_der(&pkcs8).map_err(|_| fault("has a key that cannot be read"))?;
    if !key.public_eq(public) {
        return Err(fault("has another key than was pinned when it was made"));
    }
    Ok(key)
}

/// AES-256 key wrap with padding (RFC 5649).
fn unpad(key: &[u8], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if key.len() != 32 || wrapped.len() > MOST {
        return None;
    }
    let mut context = CipherCtx::new().ok()?;
    context.set_flags(CipherCtxFlags::FLAG_WRAP_ALLOW);
    context.decrypt_init(Some(Wrap::aes_256_wrap_pad()), Some(key), None).ok()?;
    let mut plain = Zeroizing::new(vec![0; wrapped.len() + 16]);
    let length = context.cipher_update(wrapped, Some(&mut plain)).ok()?;
    let rest = context.cipher_final(plain.get_mut(length..)?).ok()?;
    plain.truncate(length + rest);
    Some(plain)
}

fn code(name: &str, version: &str, key: &[u8], context: &[u8]) -> R<[u8; 32]> {
    let broken = |_| Refusal::new(Code::Internal, "HMAC refuses its key");
    let mut state = Hmac::<Sha256>::new_from_slice(key).map_err(broken)?;
    for part in [b"depa/kms/enclosed/1", name.as_bytes(), version.as_bytes(), context] {
        state.update(&(part.len() as u64).to_be_bytes());
        state.update(part);
    }
    Ok(state.finalize().into_bytes().into())
}

/// The plaintext to wrap under a key-encryption key: the data key, and a code of it over the key-encryption key's name,
/// its version and the use. 68 bytes; RSA-OAEP-256 under 2048 bits carries 190.
pub fn enclose(name: &str, version: &str, key: &[u8; 32], context: &[u8]) -> R<Zeroizing<Vec<u8>>> {
    let mut plain = Zeroizing::new(Vec::with_capacity(MAGIC.len() + 64));
    plain.extend_from_slice(MAGIC);
    plain.extend_from_slice(key);
    plain.extend_from_slice(&code(name, version, key, context)?);
    Ok(plain)
}

/// The data key in such a plaintext.
///
/// Errors: [`Code::KeyRowTampered`] where it is none of ours, or was enclosed for something else.
pub fn disclose(name: &str, version: &str, plain: &[u8], context: &[u8]) -> R<Zeroizing<[u8; 32]>> {
    let bad = || Refusal::new(Code::KeyRowTampered, "the key backend opened something other than was wrapped");
    let rest = plain.strip_prefix(MAGIC).ok_or_else(bad)?;
    let (key, found) = rest.split_first_chunk::<32>().ok_or_else(bad)?;
    if found.len() != 32 || !openssl::memcmp::eq(&code(name, version, key, context)?, found) {
        return Err(bad());
    }
    Ok(Zeroizing::new(*key))
}

/// RSA-OAEP with SHA-256 in both places (RFC 8017 section 7.1), as Key Vault's RSA-OAEP-256 has it.
pub fn rsa_seal(key: &PKeyRef<Public>, plain: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let mut with = Encrypter::new(key)?;
    with.set_rsa_padding(Padding::PKCS1_OAEP)?;
    with.set_rsa_oaep_md(MessageDigest::sha256())?;
    with.set_rsa_mgf1_md(MessageDigest::sha256())?;
    let mut sealed = vec![0; with.encrypt_len(plain)?];
    let length = with.encrypt(plain, &mut sealed)?;
    sealed.truncate(length);
    Ok(sealed)
}

fn rsa_open(key: &PKeyRef<Private>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
    let mut with = Decrypter::new(key)?;
    with.set_rsa_padding(Padding::PKCS1_OAEP)?;
    with.set_rsa_oaep_md(MessageDigest::sha256())?;
    with.set_rsa_mgf1_md(MessageDigest::sha256())?;
    let mut plain = Zeroizing::new(vec![0; with.decrypt_len(sealed)?]);
    let length = with.decrypt(sealed, &mut plain)?;
    plain.truncate(length);
    Ok(plain)
}

/// The data key in a block that [`rsa_seal`] made of what [`enclose`] gave, with the released key-encryption key.
pub fn opened(
    kek: &PKey<Private>,
    name: &str,
    version: &str,
    wrapped: &[u8],
    context: &[u8],
) -> R<Zeroizing<[u8; 32]>> {
    let bad = |_| Refusal::new(Code::KeyRowTampered, "a wrapped key does not open");
    disclose(name, version, &rsa_open(kek, wrapped).map_err(bad)?, context)
}

#[cfg(test)]
mod tests {
    use openssl::rsa::Rsa;

    use super::*;

    fn rsa() -> PKey<Private> {
        PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
    }

    fn public(key: &PKey<Private>) -> PKey<Public> {
        PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap()
    }

    /// What a vault gives for a transport key.
    fn released(kek: &PKey<Private>, to: &PKey<Private>) -> Vec<u8> {
        let aes = [7; 32];
        let mut context = CipherCtx::new().unwrap();
        context.set_flags(CipherCtxFlags::FLAG_WRAP_ALLOW);
        context.encrypt_init(Some(Wrap::aes_256_wrap_pad()), Some(&aes), None).unwrap();
        let mut second = Vec::new();
        context.cipher_update_vec(&kek.private_key_to_pkcs8().unwrap(), &mut second).unwrap();
        context.cipher_final_vec(&mut second).unwrap();
        [rsa_seal(&public(to), &aes).unwrap(), second].concat()
    }

    #[test]
    fn a_key_opens_with_both_halves_only() {
        let (kek, transport, stranger) = (rsa(), rsa(), rsa());
        let key = DatasetKey::random().unwrap();
        let gated = |kek_given: &PKey<Private>, context: &[u8]| Gated {
            name: "a".into(),
            version: "1".into(),
            public: Bytes(kek.public_key_to_der().unwrap()),
            released: Bytes(released(kek_given, &transport)),
            wrapped: Bytes(rsa_seal(&public(&kek), &enclose("a", "1", key.expose(), b"use").unwrap()).unwrap()),
            context: Bytes(context.to_vec()),
        };
        let under = DatasetKey::random().unwrap();
        let sealed = gated(&kek, b"use").seal(&under).unwrap();
        let open = Gated::unseal(&sealed, &under).unwrap();
        assert!(open.open(&transport).unwrap().is_same(&key));
        assert_eq!(open.open(&stranger).unwrap_err().code, Code::PeerFault, "another transport key");
        assert_eq!(gated(&stranger, b"use").open(&transport).unwrap_err().code, Code::PeerFault, "another key");
        assert_eq!(gated(&kek, b"other").open(&transport).unwrap_err().code, Code::KeyRowTampered, "another use");
        let unsealed = |sealed: &Bytes, under: &DatasetKey| Gated::unseal(sealed, under).map(drop).unwrap_err().code;
        assert_eq!(unsealed(&sealed, &DatasetKey::random().unwrap()), Code::JweRefused);
        for at in (0..sealed.0.len()).step_by(97) {
            let mut spoilt = sealed.clone();
            spoilt.0[at] ^= 1;
            assert_eq!(unsealed(&spoilt, &under), Code::JweRefused, "byte {at}");
        }
        let mut short = open;
        short.released = Bytes(vec![0; 100]);
        assert_eq!(short.open(&transport).unwrap_err().code, Code::PeerFault);
    }
}
