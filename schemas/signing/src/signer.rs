//! Keys of ours: an Ed25519 signing key in memory or in a file that its owner alone may read.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use ed25519_dalek::{Signer as _, SigningKey};
use schemas::id::{Did, KeyId};
use schemas::jwk::{Curve, Jwk};
use schemas::text::Bytes;
use schemas::{Code, R, Refusal, Signer};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::did;

/// An Ed25519 key with the name under which it signs. Debug shows the public half only; wiped on drop.
pub struct FileKey {
    kid: KeyId,
    jwk: Jwk,
    key: SigningKey,
}

impl std::fmt::Debug for FileKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileKey({})", self.kid)
    }
}

/// The file's content. Never printed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    holder: String,
    x: Bytes,
    d: Bytes,
}

/// Fresh random bytes from the operating system.
pub fn random<const N: usize>() -> R<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|_| Refusal::new(Code::Internal, "the operating system gives no random bytes"))?;
    Ok(bytes)
}

/// Writes a new file that its owner alone may read.
pub(crate) fn write_secret(path: &Path, text: &[u8]) -> R<()> {
    let fault = |e: std::io::Error| Refusal::new(Code::ConfigInvalid, format!("key file {}: {e}", path.display()));
    let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(fault)?;
    out.write_all(text).and_then(|()| out.sync_all()).map_err(fault)
}

/// Reads a key file; refuses one that others may read.
pub(crate) fn read_secret(path: &Path) -> R<Zeroizing<Vec<u8>>> {
    read_private("key file", path)
}

/// Reads a file that holds a secret; refuses one that others may read. `what` names it for people.
pub fn read_private(what: &str, path: &Path) -> R<Zeroizing<Vec<u8>>> {
    let fault = |why: String| Refusal::new(Code::ConfigInvalid, format!("{what} {}: {why}", path.display()));
    let mode = fs::metadata(path).map_err(|e| fault(e.to_string()))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(fault("others may read it; run chmod 600 on it".into()));
    }
    fs::read(path).map(Zeroizing::new).map_err(|e| fault(e.to_string()))
}

impl FileKey {
    /// The key with this seed under the name of `holder` (a DID or a run id).
    pub fn from_seed(holder: &str, seed: &[u8; 32]) -> FileKey {
        let key = SigningKey::from_bytes(seed);
        let jwk = Jwk::ed25519(key.verifying_key().to_bytes());
        FileKey { kid: KeyId::new(holder, jwk.thumbprint()), jwk, key }
    }

    /// A fresh key whose holder is its own did:key.
    pub fn generate() -> R<FileKey> {
        let seed = Zeroizing::new(random::<32>()?);
        let jwk = Jwk::ed25519(SigningKey::from_bytes(&seed).verifying_key().to_bytes());
        Ok(FileKey::from_seed(did::key_did(&jwk)?.as_str(), &seed))
    }

    /// A fresh key of a did:web.
    pub fn generate_for(holder: &Did) -> R<FileKey> {
        Ok(FileKey::from_seed(holder.as_str(), &Zeroizing::new(random::<32>()?)))
    }

    /// The holder, where it is a participant or service.
    pub fn did(&self) -> R<Did> {
        Signer::did(self)
    }

    /// Writes the key to a new file with mode 0600; an existing file is never overwritten.
    pub fn save(&self, path: &Path) -> R<()> {
        let mut d = self.key.to_bytes();
        let file = KeyFile {
            holder: self.kid.holder.clone(),
            x: Bytes(self.jwk.point(Curve::Ed25519)?.to_vec()),
            d: Bytes(d.to_vec()),
        };
        d.zeroize();
        let text = Zeroizing::new(serde_json::to_vec(&file).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?);
        write_secret(path, &text)
    }

    /// Reads a key file; refuses one that others may read, or whose halves do not belong together.
    pub fn load(path: &Path) -> R<FileKey> {
        let fault = |why: String| Refusal::new(Code::ConfigInvalid, format!("key file {}: {why}", path.display()));
        let text = read_secret(path)?;
        let mut file: KeyFile = serde_json::from_slice(&text).map_err(|_| fault("not a key file".into()))?;
        let seed = <[u8; 32]>::try_from(file.d.0.as_slice()).map(Zeroizing::new);
        file.d.0.zeroize();
        let key = FileKey::from_seed(&file.holder, &*seed.map_err(|_| fault("not a key file".into()))?);
        if key.jwk.point(Curve::Ed25519)?.as_slice() != file.x.0 {
            return Err(fault("public and private half do not belong together".into()));
        }
        KeyId::parse(&key.kid.to_string())?;
        Ok(key)
    }
}

impl Signer for FileKey {
    fn kid(&self) -> &KeyId {
        &self.kid
    }
    fn jwk(&self) -> &Jwk {
        &self.jwk
    }
    fn sign_bytes(&self, message: &[u8]) -> R<[u8; 64]> {
        Ok(self.key.sign(message).to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_files_are_private_and_never_overwritten() {
        let dir = std::env::temp_dir().join(format!("depa-key-{}", uuid::Uuid::now_v7()));
        fs::create_dir(&dir).unwrap();
        let path = dir.join("a.key");
        let key = FileKey::generate().unwrap();
        key.save(&path).unwrap();
        assert!(key.save(&path).is_err());
        assert_eq!(FileKey::load(&path).unwrap().kid(), key.kid());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(FileKey::load(&path).unwrap_err().code, Code::ConfigInvalid);
        let enc = crate::jose::EncKey::generate().unwrap();
        let enc_path = dir.join("b.key");
        enc.save(&enc_path).unwrap();
        assert!(enc.save(&enc_path).is_err());
        assert_eq!(crate::jose::EncKey::load(&enc_path).unwrap().jwk(), enc.jwk());
        assert_eq!(FileKey::load(&enc_path).unwrap_err().code, Code::ConfigInvalid);
        fs::remove_dir_all(&dir).unwrap();
        assert!(!format!("{key:?}").contains(&Bytes(key.key.to_bytes().to_vec()).text()));
    }
}
