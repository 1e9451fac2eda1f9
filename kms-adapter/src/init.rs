//! A new key service: its folder with root key, signing key, wrapped import key and configuration.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use schemas::jwk::Jwk;
use schemas::text::Bytes;
use schemas::{Code, R, Refusal, Signer as _, canonical};
use serde::{Deserialize, Serialize};
use signing::FileKey;
use signing::jose::EncKey;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::rehearse;
use crate::root;
use crate::secret::Secret;

/// What `init` made.
#[derive(Clone, Debug)]
pub struct Initialised {
    /// The configuration file.
    pub config_file: PathBuf,
    /// The key that signs receipts; it goes into the TDP's offers.
    pub sign_jwk: Jwk,
    /// The key to which data keys are wrapped for import.
    pub import_jwk: Jwk,
}

/// The import key at rest: its secret half wrapped under the root key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportKeyFile {
    jwk: Jwk,
    wrapped: Bytes,
}

fn fault(path: &Path, why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::ConfigInvalid, format!("{}: {why}", path.display()))
}

/// Makes the folder of a new key service (mode 0700) and everything in it. Nothing that exists is overwritten.
pub fn init(config: &Config) -> R<Initialised> {
    config.check()?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&config.dir).map_err(|e| fault(&config.dir, e))?;
    let config_file = config.dir.join("kms.toml");
    if config_file.exists() {
        return Err(fault(&config_file, "a key service lives here already"));
    }
    let root = root::load_or_make(config)?;
    let signer = FileKey::generate_for(&config.provider)?;
    signer.save(&config.sign_key_file())?;
    let import_jwk = make_import_key(&config.import_key_file(), &root)?;
    write_new(&config_file, config.to_toml()?.as_bytes())?;
    Ok(Initialised { config_file, sign_jwk: signer.jwk().clone(), import_jwk })
}

fn wrapping(root: &Secret) -> R<Secret> {
    root.derive("depa/kms/import-wrap/1")
}

fn make_import_key(path: &Path, root: &Secret) -> R<Jwk> {
    let seed = Zeroizing::new(signing::signer::random::<32>()?);
    let jwk = EncKey::from_seed(&seed)?.jwk().clone();
    let wrapped = Bytes(wrapping(root)?.wrap(&seed, jwk.thumbprint().as_bytes())?);
    write_new(path, &canonical::to_bytes(&ImportKeyFile { jwk: jwk.clone(), wrapped })?)?;
    Ok(jwk)
}

/// Reads the import key and unwraps it; refuses halves that do not belong together. After a change of the root key it may
/// still lie beside its place. Nothing is moved: whether this is the root key in use, the database says.
pub(crate) fn load_import_key(path: &Path, root: &Secret) -> R<EncKey> {
    let next = next_file(path);
    match read_import_key(path, root) {
        Err(_) if next.exists() => read_import_key(&next, root),
        read => read,
    }
}

/// Puts the import key that a change of the root key left beside its place there. `root` is the one in use.
pub(crate) fn settle_import_key(path: &Path, root: &Secret) -> R<()> {
    if read_import_key(path, root).is_err() {
        let next = next_file(path);
        read_import_key(&next, root)?;
        rehearse::step();
        fs::rename(&next, path).map_err(|e| fault(path, e))?;
        rehearse::step();
    }
    Ok(())
}

fn read_import_key(path: &Path, root: &Secret) -> R<EncKey> {
    let file: ImportKeyFile = canonical::parse(&fs::read(path).map_err(|e| fault(path, e))?)?;
    let bad = |_| fault(path, "it does not open under this root key");
    let seed = wrapping(root)?.unwrap(&file.wrapped.0, file.jwk.thumbprint().as_bytes()).map_err(bad)?;
    let key = EncKey::from_seed(seed.expose())?;
    if *key.jwk() != file.jwk {
        return Err(fault(path, "its halves do not belong together"));
    }
    Ok(key)
}

fn next_file(path: &Path) -> PathBuf {
    path.with_extension("key.next")
}

/// Writes the import key under another root key beside the one that is in use.
pub(crate) fn rewrap_import_key(path: &Path, root: &Secret, next: &Secret) -> R<()> {
    let file: ImportKeyFile = canonical::parse(&fs::read(path).map_err(|e| fault(path, e))?)?;
    let context = file.jwk.thumbprint();
    let seed = wrapping(root)?.unwrap(&file.wrapped.0, context.as_bytes())?;
    let wrapped = Bytes(wrapping(next)?.wrap(seed.expose(), context.as_bytes())?);
    let beside = next_file(path);
    if beside.exists() {
        fs::remove_file(&beside).map_err(|e| fault(&beside, e))?;
    }
    write_new(&beside, &canonical::to_bytes(&ImportKeyFile { jwk: file.jwk, wrapped })?)
}

/// Writes a new file that its owner alone may read: whole, or not at all. An existing file is never overwritten.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> R<()> {
    write_whole(path, bytes).map_err(|e| fault(path, e))
}

/// As [`write_new`], with the error of the system.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    if path.exists() {
        return Err(std::io::ErrorKind::AlreadyExists.into());
    }
    if part.exists() {
        fs::remove_file(&part)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    rehearse::step();
    file.write_all(bytes)?;
    file.sync_all()?;
    rehearse::step();
    // Unlike a rename, a link takes no other file's place.
    fs::hard_link(&part, path)?;
    rehearse::step();
    fs::remove_file(&part)?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => fs::File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}
