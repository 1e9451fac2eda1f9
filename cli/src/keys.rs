//! Keys of a participant: one that signs, one that receives models. Each in a file that its owner alone may read; one that
//! signs may lie on a token of hardware instead, whose URI then stands where a file would.

pub mod events;
pub mod published;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hardware::{TokenKey, Uri};
use schemas::id::{Did, KeyId};
use schemas::jwk::{Curve, Jwk};
use schemas::{Code, R, Refusal, Signer};
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

/// The URI of a place on a token; none for a file.
fn on_token(place: &Path) -> R<Option<Uri>> {
    if !Uri::is(place) {
        return Ok(None);
    }
    let text = place.to_str().ok_or_else(|| Refusal::new(Code::ConfigInvalid, "the URI of a token is UTF-8"))?;
    Uri::parse(text).map(Some)
}

/// Opens a signing key: of a file, or on a token.
///
/// # Errors
/// As [`FileKey::load`] and [`TokenKey::open`].
pub fn open(place: &Path) -> R<Arc<dyn Signer>> {
    if let Some(uri) = on_token(place)? {
        return Ok(Arc::new(TokenKey::open(&uri)?));
    }
    Ok(Arc::new(FileKey::load(place)?))
}

/// A signing key that was made, and where it is found again.
pub struct Made {
    /// The key.
    pub key: Arc<dyn Signer>,
    /// The file, or the URI with the name under which the key signs.
    pub place: PathBuf,
}

/// Makes a signing key in a new file, or on a token, which never gives it out; under whose name, as [`new`].
///
/// # Errors
/// As [`new`] and [`TokenKey::generate`]; `CONFIG_INVALID` where the URI names another holder than `did`.
pub fn make(place: &Path, did: Option<&Did>) -> R<Made> {
    let Some(uri) = on_token(place)? else {
        return Ok(Made { key: Arc::new(new(place, did)?), place: place.to_owned() });
    };
    made_on(uri, did)
}

/// [`make`] on the token of this URI.
///
/// # Errors
/// As [`make`]; `CONFIG_INVALID` for what is no URI of a token.
pub fn make_on_token(uri: &str, did: Option<&Did>) -> R<Made> {
    made_on(Uri::parse(uri)?, did)
}

fn made_on(uri: Uri, did: Option<&Did>) -> R<Made> {
    let uri = match did {
        Some(did) => uri.held_by(did)?,
        None => uri,
    };
    let key = Arc::new(TokenKey::generate(&uri)?);
    Ok(Made { key, place: uri.to_string().into() })
}

/// Opens a key that receives models.
///
/// # Errors
/// As [`EncKey::load`]; `CONFIG_INVALID` for a token.
pub fn open_encryption(place: &Path) -> R<EncKey> {
    in_a_file(place)?;
    EncKey::load(place)
}

/// Opening a model takes the private half itself, which no token gives out.
fn in_a_file(place: &Path) -> R<()> {
    if !Uri::is(place) {
        return Ok(());
    }
    let sentence = "models are opened with the private half itself, which a token does not give out; keep this key in a \
                    file: depa keys new-encryption --out models.key";
    Err(Refusal::new(Code::ConfigInvalid, sentence))
}

/// A place that means the same in every folder.
///
/// # Errors
/// `CONFIG_INVALID` where the folder at work is gone, or for a URI that is none.
pub fn absolute(place: &Path) -> R<PathBuf> {
    match on_token(place)? {
        Some(uri) => Ok(uri.to_string().into()),
        None => std::path::absolute(place).map_err(|e| edge::file_fault(Path::new("."), e)),
    }
}

/// Makes a signing key in a file: of its own did:key, or of a did:web that its holder publishes.
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
    in_a_file(out)?;
    let key = EncKey::generate()?;
    edge::vacant(out)?;
    key.save(out)?;
    Ok(key)
}

/// Shows the public half of a key: of either kind of file, or on a token.
pub fn show(path: &Path) -> R<KeyView> {
    match open(path) {
        Ok(key) => Ok(view(&key)),
        Err(refusal) if Uri::is(path) => Err(refusal),
        Err(not_signing) => EncKey::load(path).map(|key| enc_view(&key)).map_err(|_| not_signing),
    }
}

/// The public half of a signing key.
pub fn view(key: &dyn Signer) -> KeyView {
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
