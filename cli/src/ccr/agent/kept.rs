//! What an agent keeps of a room, so that the next agent over the same folder finds it again: one folder per run with the
//! bundle, the room's lines, and who runs it.

use std::path::{Path, PathBuf};

use schemas::desk::Leased;
use schemas::{Digest, R, canonical};
use serde::{Deserialize, Serialize};

use super::process::Named;
use crate::edge;

/// The job's bundle.
const BUNDLE: &str = "job.bundle.json";
/// Who runs it; there while the room was not seen to end.
const ROOM: &str = "room.json";
/// The same, once it has ended and that was told.
const ENDED: &str = "ended.json";
/// The room's lines.
const LINES: &str = "room.log";

/// A room that an agent started.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// Its job.
    pub job_sha256: Digest,
    /// Its process.
    pub pid: u32,
    /// When that began, in ticks since boot: another process may get the number later.
    pub began: u64,
    /// The processes of its member rooms on this machine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Named>,
    /// The addresses of its member rooms on other machines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<String>,
    #[serde(skip)]
    pub folder: PathBuf,
}

/// Makes the folder of a run with its bundle; the same job taken again gets another folder.
pub(crate) fn open(work: &Path, leased: &Leased) -> R<PathBuf> {
    let folder = work.join(format!("{}-{}", leased.job_sha256.short(), edge::fresh().simple()));
    std::fs::create_dir(&folder).map_err(|e| edge::file_fault(&folder, e))?;
    edge::write_private(&bundle(&folder), &canonical::to_bytes(&leased.bundle)?)?;
    Ok(folder)
}

/// The bundle in a run's folder.
pub(crate) fn bundle(folder: &Path) -> PathBuf {
    folder.join(BUNDLE)
}

/// The lines in a run's folder.
pub(crate) fn lines(folder: &Path) -> PathBuf {
    folder.join(LINES)
}

/// The lines of its nth member room, from 1.
pub(crate) fn member_lines(folder: &Path, place: usize) -> PathBuf {
    folder.join(format!("member-{place}.log"))
}

impl Record {
    /// Keeps who runs it.
    pub fn keep(&self) -> R<()> {
        edge::write_private(&self.folder.join(ROOM), &canonical::to_bytes(self)?)
    }

    /// It has ended, and that was told, be it by another agent over this folder.
    pub fn close(&self) -> R<()> {
        let from = self.folder.join(ROOM);
        match std::fs::rename(&from, self.folder.join(ENDED)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(edge::file_fault(&from, e)),
            _ => Ok(()),
        }
    }

    /// Its process.
    pub fn named(&self) -> Named {
        Named { pid: self.pid, began: self.began }
    }
}

/// The rooms in a folder that were not seen to end, oldest first. A folder without a record had none yet: its order goes
/// back to the queue by itself.
pub(crate) fn unfinished(work: &Path) -> R<Vec<Record>> {
    let fault = |e| edge::file_fault(work, e);
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(work).map_err(fault)? {
        folders.push(entry.map_err(fault)?.path());
    }
    folders.sort_by_key(|folder| std::fs::metadata(folder).and_then(|m| m.modified()).ok());
    let mut found = Vec::new();
    for folder in folders {
        let path = folder.join(ROOM);
        if path.is_file() {
            let record: Record = edge::read_json(&path)?;
            found.push(Record { folder, ..record });
        }
    }
    Ok(found)
}
