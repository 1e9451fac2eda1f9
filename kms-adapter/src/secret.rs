//! The root key, the keys derived from it, and AES-256-GCM of OpenSSL under them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use schemas::{Code, R, Refusal};
use sha2::Sha256;
use zeroize::Zeroizing;

const IV: usize = 12;
const TAG: usize = 16;

/// A symmetric key of this service; wiped on drop, never printed.
pub struct Secret(Box<Zeroizing<[u8; 32]>>);

fn fault(path: &Path, why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::ConfigInvalid, format!("root key file {}: {why}", path.display()))
}

impl Secret {
    /// A fresh key.
    pub fn random() -> R<Secret> {
        Ok(Secret(Box::new(Zeroizing::new(signing::signer::random::<32>()?))))
    }

    /// The key with these bytes.
    pub fn from_bytes(bytes: &Zeroizing<[u8; 32]>) -> Secret {
        Secret(Box::new(bytes.clone()))
    }

    /// The bytes, for wrapping them or writing the root key's file.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Writes the key to a new file that its owner alone may read; an existing file is never overwritten.
    pub fn save(&self, path: &Path) -> R<()> {
        crate::init::write_whole(path, self.expose()).map_err(|e| fault(path, e))
    }

    /// Reads a key file of exactly 32 bytes; refuses one that others may read.
    pub fn load(path: &Path) -> R<Secret> {
        let mode = fs::metadata(path).map_err(|e| fault(path, e))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(fault(path, "others may read it; run chmod 600 on it"));
        }
        let bytes = Zeroizing::new(fs::read(path).map_err(|e| fault(path, e))?);
        let key = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| fault(path, "32 bytes are expected"))?;
        Ok(Secret::from_bytes(&Zeroizing::new(key)))
    }

    /// The key derived from this one for a purpose: HMAC-SHA-256(key, label), a PRF of a uniform key.
    pub fn derive(&self, label: &str) -> R<Secret> {
        let key: [u8; 32] = self.mac_state()?.chain_update(label.as_bytes()).finalize().into_bytes().into();
        Ok(Secret::from_bytes(&Zeroizing::new(key)))
    }

    /// HMAC-SHA-256 over parts, each framed by its length so that no other split gives the same bytes.
    pub fn mac(&self, parts: &[&[u8]]) -> R<[u8; 32]> {
        let mut state = self.mac_state()?;
        for part in parts {
            state.update(&(part.len() as u64).to_be_bytes());
            state.update(part);
        }
        Ok(state.finalize().into_bytes().into())
    }

    fn mac_state(&self) -> R<Hmac<Sha256>> {
        Hmac::new_from_slice(self.expose()).map_err(|_| Refusal::new(Code::Internal, "HMAC refuses its key"))
    }

    /// Encrypts 32 secret bytes: IV ‖ ciphertext ‖ tag.
    pub fn wrap(&self, inner: &[u8; 32], context: &[u8]) -> R<Vec<u8>> {
        self.seal(inner, context)
    }

    /// Encrypts bytes of any length: IV ‖ ciphertext ‖ tag.
    pub(crate) fn seal(&self, inner: &[u8], context: &[u8]) -> R<Vec<u8>> {
        let iv = signing::signer::random::<IV>()?;
        let mut tag = [0; TAG];
        let text = encrypt_aead(Cipher::aes_256_gcm(), self.expose(), Some(&iv), context, inner, &mut tag)
            .map_err(|e| Refusal::new(Code::Internal, format!("wrapping failed: {e}")))?;
        Ok([&iv[..], &text, &tag].concat())
    }

    /// Opens what [`Secret::wrap`] made under the same context.
    pub fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> R<Secret> {
        let bad = || Refusal::new(Code::KeyRowTampered, "a wrapped key does not open");
        let plain = self.unseal(wrapped, context).ok_or_else(bad)?;
        let key = <[u8; 32]>::try_from(plain.as_slice()).map_err(|_| bad())?;
        Ok(Secret::from_bytes(&Zeroizing::new(key)))
    }

    /// Opens what [`Secret::seal`] made under the same context; none where it was changed.
    pub(crate) fn unseal(&self, sealed: &[u8], context: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (iv, rest) = sealed.split_first_chunk::<IV>()?;
        let (text, tag) = rest.split_last_chunk::<TAG>()?;
        decrypt_aead(Cipher::aes_256_gcm(), self.expose(), Some(iv), context, text, tag).ok().map(Zeroizing::new)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_keys_open_in_their_context_only() {
        let (root, inner) = (Secret::random().unwrap(), Secret::random().unwrap());
        let wrapped = root.wrap(inner.expose(), b"a").unwrap();
        assert_eq!(root.unwrap(&wrapped, b"a").unwrap().expose(), inner.expose());
        assert_eq!(root.unwrap(&wrapped, b"b").unwrap_err().code, Code::KeyRowTampered);
        for at in 0..wrapped.len() {
            let mut spoilt = wrapped.clone();
            spoilt[at] ^= 1;
            assert!(root.unwrap(&spoilt, b"a").is_err(), "byte {at}");
        }
        assert!(root.unwrap(&wrapped[..27], b"a").is_err());
        assert_eq!(format!("{root:?}"), "Secret(hidden)");
    }

    #[test]
    fn macs_frame_their_parts() {
        let key = Secret::random().unwrap();
        assert_ne!(key.mac(&[b"ab", b"c"]).unwrap(), key.mac(&[b"a", b"bc"]).unwrap());
        assert_ne!(key.derive("a").unwrap().expose(), key.derive("b").unwrap().expose());
    }

    #[test]
    fn root_key_files_are_private() {
        let path = std::env::temp_dir().join(format!("kms-root-{}", uuid::Uuid::now_v7()));
        let key = Secret::random().unwrap();
        key.save(&path).unwrap();
        assert_eq!(Secret::load(&path).unwrap().expose(), key.expose());
        assert_eq!(key.save(&path).unwrap_err().code, Code::ConfigInvalid);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(Secret::load(&path).unwrap_err().code, Code::ConfigInvalid);
        fs::remove_file(&path).unwrap();
    }
}
