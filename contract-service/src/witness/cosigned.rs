//! The newest checkpoints that witnesses have cosigned: what relying parties ask for who trust no log alone.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use schemas::log::{Checkpoint, NoteSignature};
use schemas::{R, Timestamp};

use crate::error::fault;

/// Sizes that are remembered: a quorum may gather while the log grows on.
const KEPT: usize = 64;
/// Seconds for which a cosigned note is handed out.
pub const FRESH_SECONDS: i64 = 600;

/// Notes with the cosignatures that have come in, by size.
pub struct Cosigned {
    quorum: usize,
    file: PathBuf,
    notes: Mutex<BTreeMap<u64, Gathered>>,
}

struct Gathered {
    note: Checkpoint,
    at: Timestamp,
}

impl Cosigned {
    /// An empty memory. A note counts as cosigned once `quorum` witnesses have signed it, one at least; the newest is
    /// written to `file`, so that it is at hand after the log was lost.
    pub fn new(quorum: u32, file: PathBuf) -> Cosigned {
        let quorum = usize::try_from(quorum).unwrap_or(usize::MAX).max(1);
        Cosigned { quorum, file, notes: Mutex::new(BTreeMap::new()) }
    }

    /// Adds a verified cosignature to the note over the same head; a newer one of the same witness replaces the old.
    pub fn add(&self, note: &Checkpoint, line: &NoteSignature, at: Timestamp) -> R<()> {
        let mut notes = self.notes.lock().unwrap_or_else(|e| e.into_inner());
        let fresh = || {
            let own = note.signatures.iter().filter(|l| l.name == note.origin).cloned().collect();
            Gathered { note: Checkpoint { signatures: own, ..note.clone() }, at }
        };
        let gathered = notes.entry(note.head.size).or_insert_with(fresh);
        if gathered.note.head != note.head {
            *gathered = fresh();
        }
        gathered.note.signatures.retain(|l| l.name != line.name);
        gathered.note.signatures.push(line.clone());
        gathered.at = at;
        let whole = self.counts(gathered).then(|| gathered.note.text());
        while notes.len() > KEPT {
            notes.pop_first();
        }
        drop(notes);
        match whole {
            Some(text) => self.write(&text),
            None => Ok(()),
        }
    }

    /// The newest note that enough witnesses have cosigned, at most ten minutes before `now`.
    pub fn newest(&self, now: Timestamp) -> Option<Checkpoint> {
        let notes = self.notes.lock().unwrap_or_else(|e| e.into_inner());
        let young = |g: &&Gathered| now.micros() - g.at.micros() <= FRESH_SECONDS * 1_000_000;
        let whole = notes.values().rev().find(|g| self.counts(g));
        whole.filter(young).map(|g| g.note.clone())
    }

    fn counts(&self, gathered: &Gathered) -> bool {
        gathered.note.signatures.len() > self.quorum
    }

    fn write(&self, text: &str) -> R<()> {
        let fresh = self.file.with_extension("new");
        std::fs::write(&fresh, text).and_then(|()| std::fs::rename(&fresh, &self.file)).map_err(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::Digest;
    use schemas::log::{CheckpointRef, checkpoint_body};

    fn line(name: &str) -> NoteSignature {
        NoteSignature { name: name.into(), key_hash: [0; 4], signature: vec![0; 72] }
    }

    fn note(size: u64) -> Checkpoint {
        let head = CheckpointRef { size, root: Digest([1; 32]) };
        let body = checkpoint_body("a/log", &head);
        Checkpoint { origin: "a/log".into(), head, body, signatures: vec![line("a/log")] }
    }

    #[test]
    fn a_note_counts_with_its_quorum_and_for_ten_minutes() {
        let file = std::env::temp_dir().join(format!("depa-cosigned-{}", crate::ids::token().unwrap()));
        let cosigned = Cosigned::new(2, file.clone());
        let at = Timestamp::from_seconds(1_000);
        cosigned.add(&note(5), &line("w1"), at).unwrap();
        assert!(cosigned.newest(at).is_none(), "one of two");
        cosigned.add(&note(5), &line("w1"), at).unwrap();
        assert!(cosigned.newest(at).is_none(), "the same one twice");
        assert!(!file.exists());
        cosigned.add(&note(5), &line("w2"), at).unwrap();
        cosigned.add(&note(6), &line("w2"), at).unwrap();
        assert_eq!(cosigned.newest(at).unwrap().head.size, 5);
        assert_eq!(Checkpoint::parse(&std::fs::read_to_string(&file).unwrap()).unwrap().signatures.len(), 3);
        assert!(cosigned.newest(at.plus_seconds(600)).is_some());
        assert!(cosigned.newest(at.plus_seconds(601)).is_none());
        std::fs::remove_file(file).unwrap();
    }
}
