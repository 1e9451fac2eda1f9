//! What a witness has cosigned last, per log: one small file, replaced as a whole before an answer goes out.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use schemas::log::{Checkpoint, CheckpointRef};
use schemas::{Code, Digest, R, Refusal};
use serde::{Deserialize, Serialize};

use crate::error::fault;

/// The head that was cosigned last.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    size: u64,
    root: Digest,
    /// The note with the log's own signature: half of the evidence, should the log ever sign another root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl Kept {
    /// What is to be kept of a checkpoint: its head, and the note with the log's own signature alone.
    pub fn of(note: &Checkpoint) -> Kept {
        let own = note.signatures.iter().filter(|line| line.name == note.origin).cloned().collect();
        let text = Checkpoint { signatures: own, ..note.clone() }.text();
        Kept { size: note.head.size, root: note.head.root, note: Some(text) }
    }

    /// Size and root.
    pub fn head(&self) -> CheckpointRef {
        CheckpointRef { size: self.size, root: self.root }
    }

    /// The note as the log signed it.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }
}

/// The last cosigned head of every log.
pub type Heads = BTreeMap<String, Kept>;

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
