//! What a witness keeps when a log signs two histories: both notes, as the log signed them, one line each.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use schemas::log::Checkpoint;
use schemas::{Digest, R, Timestamp};
use serde::{Deserialize, Serialize};

use super::store::Kept;
use crate::error::fault;

/// The most conflicts that are kept; a log that has signed so many is judged by the first ones.
const MAX: usize = 1000;
const FILE: &str = "conflicts.jsonl";

/// What is wrong with two heads of one log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The log signed two roots for one size: proof by itself.
    TwoRoots,
    /// The log signed a larger head and could not show that it continues the first.
    NoContinuation,
}

/// Two heads of one log that do not belong to one history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// The log.
    pub origin: String,
    /// When the second was shown here.
    pub at: Timestamp,
    /// What is wrong.
    pub fault: Fault,
    /// The note that was cosigned here.
    pub first: Option<String>,
    /// The note that was refused.
    pub second: String,
}

/// The file of conflicts.
pub struct Evidence {
    path: PathBuf,
    seen: Mutex<BTreeSet<Digest>>,
}

impl Evidence {
    /// Opens the file in the witness's folder; none is made before there is something to keep.
    pub fn open(folder: &Path) -> R<Evidence> {
        let evidence = Evidence { path: folder.join(FILE), seen: Mutex::new(BTreeSet::new()) };
        let known = evidence.all()?.iter().map(|conflict| Digest::of(conflict.second.as_bytes())).collect();
        *evidence.seen.lock().unwrap_or_else(|e| e.into_inner()) = known;
        Ok(evidence)
    }

    /// Keeps a conflict, once, on the disk, and tells it in the log of the process.
    pub fn keep(&self, fault_found: Fault, first: Option<&Kept>, second: &Checkpoint, at: Timestamp) -> R<()> {
        let second = Checkpoint { signatures: own_lines(second), ..second.clone() };
        let text = second.text();
        let mut seen = self.seen.lock().unwrap_or_else(|e| e.into_inner());
        if seen.len() >= MAX || seen.contains(&Digest::of(text.as_bytes())) {
            return Ok(());
        }
        let (origin, size) = (second.origin, second.head.size);
        tracing::error!(origin, size, fault = ?fault_found, file = %self.path.display(), "a log shows two histories");
        let first = first.and_then(Kept::note).map(str::to_owned);
        let digest = Digest::of(text.as_bytes());
        let conflict = Conflict { origin, at, fault: fault_found, first, second: text };
        let mut line = schemas::canonical::to_bytes(&conflict)?;
        line.push(b'\n');
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path).map_err(fault)?;
        file.write_all(&line).and_then(|()| file.sync_all()).map_err(fault)?;
        seen.insert(digest);
        Ok(())
    }

    /// Everything kept so far.
    pub fn all(&self) -> R<Vec<Conflict>> {
        let text = self.text()?;
        text.lines().map(|line| schemas::canonical::parse(line.as_bytes())).collect()
    }

    /// The file as it stands, one JSON object per line.
    pub fn text(&self) -> R<String> {
        match File::open(&self.path) {
            Ok(file) => std::io::read_to_string(file).map_err(fault),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(e) => Err(fault(e)),
        }
    }
}

/// The log's own signature lines: what a stranger added to a note is not evidence and not kept.
fn own_lines(note: &Checkpoint) -> Vec<schemas::log::NoteSignature> {
    note.signatures.iter().filter(|line| line.name == note.origin).take(1).cloned().collect()
}
