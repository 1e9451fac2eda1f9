//! The registry's keys: one in use, and beside its file the next one, or the one before. The log says which is in use.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use policies::lifecycle::State;
use schemas::jwk::Jwk;
use schemas::{Code, R, Refusal, Signer};
use signing::FileKey;

/// The cell through which the registry learns of the second key.
type Cell = Arc<OnceLock<Arc<dyn Signer>>>;

/// The keys of a service.
pub struct LogKeys {
    file: PathBuf,
    first: Arc<FileKey>,
    second: OnceLock<Arc<FileKey>>,
    cell: Cell,
}

impl LogKeys {
    /// Reads the key file, and the one beside it where there is one.
    pub fn load(file: &Path) -> R<LogKeys> {
        let first = Arc::new(FileKey::load(file)?);
        let keys = LogKeys { file: file.to_owned(), first, second: OnceLock::new(), cell: Cell::default() };
        if LogKeys::beside(file).exists() {
            keys.look()?;
        }
        Ok(keys)
    }

    /// Where the second key lies: `registry.next.key` beside `registry.key`.
    pub fn beside(file: &Path) -> PathBuf {
        file.with_extension("next.key")
    }

    /// What the registry is opened with: the key of the key file, and the place of the other one.
    pub fn for_registry(&self) -> (Arc<dyn Signer>, Cell) {
        (self.first.clone(), self.cell.clone())
    }

    /// The key of the key file.
    pub fn first(&self) -> &Arc<FileKey> {
        &self.first
    }

    /// The key in use by the log; `CONFIG_INVALID` where neither file holds it.
    pub fn in_use(&self, state: &State) -> R<&Arc<FileKey>> {
        match state.registry_keys().last() {
            Some(key) => self.with(&key.jwk),
            None => Ok(&self.first),
        }
    }

    /// The key of ours with this public half. A second key that came to lie there meanwhile is read now.
    pub fn with(&self, jwk: &Jwk) -> R<&Arc<FileKey>> {
        if self.first.jwk() == jwk {
            return Ok(&self.first);
        }
        let second = self.look()?;
        let missing = || {
            let (files, next) = (self.file.display(), LogKeys::beside(&self.file));
            let sentence = format!("neither {files} nor {} holds the key {}", next.display(), jwk.thumbprint());
            Refusal::new(Code::ConfigInvalid, sentence).at("key_file")
        };
        (second.jwk() == jwk).then_some(second).ok_or_else(missing)
    }

    fn look(&self) -> R<&Arc<FileKey>> {
        if let Some(known) = self.second.get() {
            return Ok(known);
        }
        let read = Arc::new(FileKey::load(&LogKeys::beside(&self.file))?);
        if read.did()? != self.first.did()? {
            let sentence = format!(
                "{} is of {}, the key file of {}",
                LogKeys::beside(&self.file).display(),
                read.did()?,
                self.first.did()?
            );
            return Err(Refusal::new(Code::ConfigInvalid, sentence).at("key_file"));
        }
        let second = self.second.get_or_init(|| read);
        // Another thread may have told the registry of the same key.
        drop(self.cell.set(second.clone()));
        Ok(second)
    }
}
