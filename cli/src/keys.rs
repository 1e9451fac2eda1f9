//! Keys of a participant: one that signs, one that receives models. Each in a file that its owner alone may read.

pub mod events;
pub mod published;

use std::path::Path;

use schemas::R;
use schemas::Signer as _;
use schemas::id::{Did, KeyId};
use schemas::jwk::{Curve, Jwk};
use serde::Serialize;
use signing::FileKey;
use signing::jose::EncKey;

use crate::edge;

/// The public half of a key file, for people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct KeyView {
    /// `signing` or `encryption`.
    pub purpose: &'static str,
    /// Under which name it signs; none for a key that only receives.
    pub did: Option<Did>,
    /// The key id in signatures.
    pub kid: Option<KeyId>,
    /// RFC 7638 thumbprint.
    pub thumbprint: String,
    /// The public key.
    pub jwk: Jwk,
}

/// Makes a signing key: of its own did:key, or of a did:web that its holder publishes.
pub fn new(out: &Path, did: Option<&Did>) -> R<FileKey> {
    let key = match did {
        Some(did) => FileKey::generate_for(did)?,
        None => FileKey::generate()?,
    };
    edge::vacant(out)?;
    key.save(out)?;
    Ok(key)
}

/// Makes a key to which models are encrypted.
pub fn new_encryption(out: &Path) -> R<EncKey> {
    let key = EncKey::generate()?;
    edge::vacant(out)?;
    key.save(out)?;
    Ok(key)
}

/// Reads either kind of key file and shows its public half.
pub fn show(path: &Path) -> R<KeyView> {
    match FileKey::load(path) {
        Ok(key) => Ok(view(&key)),
        Err(not_signing) => EncKey::load(path).map(|key| enc_view(&key)).map_err(|_| not_signing),
    }
}

/// The public half of a signing key.
pub fn view(key: &FileKey) -> KeyView {
    let jwk = key.jwk().clone();
    let (did, kid) = (key.did().ok(), Some(key.kid().clone()));
    KeyView { purpose: "signing", did, kid, thumbprint: jwk.thumbprint(), jwk }
}

/// The public half of an encryption key.
pub fn enc_view(key: &EncKey) -> KeyView {
    let jwk = key.jwk().clone();
    debug_assert!(jwk.point(Curve::X25519).is_ok());
    KeyView { purpose: "encryption", did: None, kid: None, thumbprint: jwk.thumbprint(), jwk }
}
