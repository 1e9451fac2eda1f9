//! What a witness has cosigned last, per log: one small file, replaced as a whole before an answer goes out.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use schemas::log::CheckpointRef;
use schemas::{Code, R, Refusal};

use crate::error::fault;

/// The last cosigned head of every log.
pub type Heads = BTreeMap<String, CheckpointRef>;

/// The witness's memory.
pub struct Store {
    folder: PathBuf,
    heads: Mutex<Heads>,
}

impl Store {
    /// Opens the memory in this folder, which is made if need be. A file that cannot be read is never overwritten.
    pub fn open(folder: &Path) -> R<Store> {
        fs::create_dir_all(folder).map_err(fault)?;
        let file = folder.join(FILE);
        let heads = match fs::read(&file) {
            Ok(text) => schemas::canonical::parse(&text).map_err(|e| {
                Refusal::new(
                    Code::ConfigInvalid,
                    format!("{}: {}; restore it before cosigning", file.display(), e.sentence),
                )
            })?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Heads::new(),
            Err(e) => return Err(fault(e)),
        };
        Ok(Store { folder: folder.to_owned(), heads: Mutex::new(heads) })
    }

    /// The heads, held while one request is judged.
    pub fn lock(&self) -> MutexGuard<'_, Heads> {
        self.heads.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Writes the heads to the disk and waits until they are there.
    pub fn save(&self, heads: &Heads) -> R<()> {
        let (fresh, file) = (self.folder.join(FRESH), self.folder.join(FILE));
        let text = schemas::canonical::to_bytes(heads)?;
        let mut out = File::create(&fresh).map_err(fault)?;
        out.write_all(&text).and_then(|()| out.sync_all()).map_err(fault)?;
        fs::rename(&fresh, &file).map_err(fault)?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(fault)
    }
}

const FILE: &str = "cosigned.json";
const FRESH: &str = "cosigned.json.new";
