//! Where the root key comes from: a file of its own, a credential that systemd hands over, or a passphrase.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Refusal, canonical};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::init::write_new;
use crate::secret::Secret;

/// Argon2id: 64 MiB, three passes, one lane (RFC 9106's second choice, one lane less for small machines).
const MEMORY_KIB: u32 = 65_536;
const PASSES: u32 = 3;
const LANES: u32 = 1;
/// The shortest passphrase, in bytes.
const SHORTEST: usize = 16;

/// How a passphrase becomes the key; no secret.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stretch {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Bytes,
}

fn invalid(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::ConfigInvalid, why.to_string()).at("root_key")
}

fn missing(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::RootKeyMissing, why.to_string()).at("root_key")
}

/// A key in a file that systemd hands over. Its group's bits show the mask of an access list, and may be set.
fn credential(path: &Path) -> R<Secret> {
    let named = |why: &dyn std::fmt::Display| format!("credential {}: {why}", path.display());
    let mode = fs::metadata(path).map_err(|e| missing(named(&e)))?.permissions().mode();
    if mode & 0o007 != 0 {
        let why = named(&"others may use it; systemd's own files are not like that");
        return Err(Refusal::new(Code::RootKeyExposed, why).at("root_key"));
    }
    let bytes = Zeroizing::new(fs::read(path).map_err(|e| missing(named(&e)))?);
    let form = |_| Refusal::new(Code::RootKeyForm, named(&"a root key has 32 bytes")).at("root_key");
    let key = <[u8; 32]>::try_from(bytes.as_slice()).map_err(form)?;
    Ok(Secret::from_bytes(&Zeroizing::new(key)))
}

enum Source {
    File(PathBuf),
    Credential(PathBuf),
    Passphrase { file: PathBuf, stretch: PathBuf },
}

fn source(config: &Config) -> R<Source> {
    let Some(spec) = &config.root_key else { return Ok(Source::File(config.root_key_file())) };
    match spec.split_once(':') {
        Some(("file", path)) if !path.is_empty() => Ok(Source::File(PathBuf::from(path))),
        Some(("credential", name)) if !name.is_empty() && !name.contains('/') && !name.starts_with('.') => {
            let folder = std::env::var_os("CREDENTIALS_DIRECTORY")
                .ok_or_else(|| missing("systemd handed no credentials over (CREDENTIALS_DIRECTORY is not set)"))?;
            Ok(Source::Credential(Path::new(&folder).join(name)))
        }
        Some(("passphrase", path)) if !path.is_empty() => {
            // Of its own for each passphrase file, so that both stand while the root key is changed.
            let name = Digest::of(path.as_bytes()).to_string();
            let stretch = config.dir.join(format!("root-{}.json", name.get(..16).unwrap_or(&name)));
            Ok(Source::Passphrase { file: PathBuf::from(path), stretch })
        }
        _ => Err(invalid("root_key is file:PATH, credential:NAME or passphrase:PATH")),
    }
}

/// The root key that the configuration names.
pub(crate) fn load(config: &Config) -> R<Secret> {
    match source(config)? {
        Source::File(path) => Secret::load(&path),
        Source::Credential(path) => credential(&path),
        Source::Passphrase { file, stretch } => {
            let read = fs::read(&stretch).map_err(|e| invalid(format!("{}: {e}", stretch.display())))?;
            stretched(&file, &canonical::parse(&read)?)
        }
    }
}

/// The root key that the configuration names, made where it can be made.
pub(crate) fn load_or_make(config: &Config) -> R<Secret> {
    match source(config)? {
        Source::File(path) if !path.exists() => {
            let key = Secret::random()?;
            key.save(&path)?;
            Ok(key)
        }
        Source::Passphrase { stretch, .. } if !stretch.exists() => {
            let salt = Bytes(signing::signer::random::<32>()?.to_vec());
            let made = Stretch { memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES, salt };
            write_new(&stretch, &canonical::to_bytes(&made)?)?;
            load(config)
        }
        _ => load(config),
    }
}

fn stretched(file: &Path, stretch: &Stretch) -> R<Secret> {
    let fault = |why: &dyn std::fmt::Display| invalid(format!("passphrase file {}: {why}", file.display()));
    let mode = fs::metadata(file).map_err(|e| fault(&e))?.permissions().mode();
    // systemd looks after its own files; their mode shows the mask of an access list.
    let handed = std::env::var_os("CREDENTIALS_DIRECTORY").is_some_and(|folder| file.starts_with(folder));
    if mode & if handed { 0o007 } else { 0o077 } != 0 {
        return Err(fault(&"others may read it; run chmod 600 on it"));
    }
    let text = Zeroizing::new(fs::read(file).map_err(|e| fault(&e))?);
    let phrase = text.strip_suffix(b"\n").unwrap_or(&text);
    if phrase.len() < SHORTEST {
        return Err(fault(&"a passphrase has at least 16 bytes"));
    }
    let weak = stretch.memory_kib < MEMORY_KIB || stretch.passes < PASSES || stretch.salt.0.len() < 16;
    if weak || stretch.memory_kib > 16 * MEMORY_KIB || stretch.passes > 100 {
        return Err(invalid("how the passphrase is stretched was changed"));
    }
    let params = Params::new(stretch.memory_kib, stretch.passes, stretch.lanes, Some(32));
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.map_err(invalid)?);
    let mut key = Zeroizing::new([0; 32]);
    argon.hash_password_into(phrase, &stretch.salt.0, key.as_mut_slice()).map_err(invalid)?;
    Ok(Secret::from_bytes(&key))
}
