//! A mirror of a log in a folder: `checkpoint`, `tile/…` as published, and bodies as `entries/000000000.jsonl`, 1,000
//! exported entries to a file. It serves `depa audit verify --from DIR` and a service that must be restored.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use schemas::{R, Refusal};

use super::tiles::Tiles;
use crate::edge::file_fault;

/// Entries per file.
pub const PER_FILE: u64 = 1000;

/// A mirror folder.
#[derive(Clone, Debug)]
pub struct Mirror {
    dir: PathBuf,
}

impl Mirror {
    /// The mirror in this folder, which need not exist yet.
    pub fn at(dir: &Path) -> Mirror {
        Mirror { dir: dir.to_owned() }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The last checkpoint note that was accepted.
    pub fn checkpoint(&self) -> R<Option<String>> {
        let path = self.dir.join("checkpoint");
        let Some(bytes) = read(&path)? else { return Ok(None) };
        String::from_utf8(bytes).map(Some).map_err(|_| file_fault(&path, "not UTF-8"))
    }

    /// Keeps a checkpoint note in place of the one before; last of all, so that what it covers is there.
    pub fn keep_checkpoint(&self, note: &str) -> R<()> {
        self.keep("checkpoint", note.as_bytes())
    }

    /// The file in which this entry stands.
    pub fn entries_path(&self, index: u64) -> PathBuf {
        self.dir.join(format!("entries/{:09}.jsonl", index / PER_FILE * PER_FILE))
    }

    /// Keeps the lines of the entries from `first` on, each with its line feed; lines at and after `first` are replaced.
    pub fn keep_entries(&self, first: u64, lines: &[Vec<u8>]) -> R<()> {
        let mut at = first;
        let mut rest = lines;
        while !rest.is_empty() {
            let path = self.entries_path(at);
            let before = usize::try_from(at % PER_FILE).unwrap_or_default();
            let room = (PER_FILE as usize - before).min(rest.len());
            let mut text = Vec::new();
            let kept = read(&path)?.unwrap_or_default();
            for line in kept.split_inclusive(|b| *b == b'\n').take(before) {
                text.extend_from_slice(line);
            }
            rest[..room].iter().for_each(|line| text.extend_from_slice(line));
            let name = format!("entries/{:09}.jsonl", at / PER_FILE * PER_FILE);
            self.keep(&name, &text)?;
            at += room as u64;
            rest = &rest[room..];
        }
        Ok(())
    }

    /// How many entries the folder holds, complete lines only.
    pub fn entries(&self) -> R<u64> {
        let mut size = 0;
        loop {
            let Some(text) = read(&self.entries_path(size))? else { return Ok(size) };
            let lines = text.iter().filter(|b| **b == b'\n').count() as u64;
            size += lines;
            if lines < PER_FILE {
                return Ok(size);
            }
        }
    }

    /// Whether tiles are kept.
    pub fn has_tiles(&self) -> bool {
        self.dir.join("tile").is_dir()
    }

    /// Keeps a tile by its path below `tile/`.
    pub fn keep_tile(&self, path: &str, bytes: &[u8]) -> R<()> {
        self.keep(&format!("tile/{path}"), bytes)
    }

    /// Keeps a file whole or not at all: written beside it, synced, renamed.
    pub fn keep(&self, name: &str, bytes: &[u8]) -> R<()> {
        let path = self.dir.join(name);
        let fault = |e: std::io::Error| file_fault(&path, format!("cannot be written: {e}"));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(fault)?;
        }
        let beside = path.with_extension("new");
        let mut file = fs::File::create(&beside).map_err(fault)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(fault)?;
        fs::rename(&beside, &path).map_err(fault)
    }
}

impl Tiles for Mirror {
    fn tile(&self, path: &str) -> R<Option<Vec<u8>>> {
        read(&self.dir.join("tile").join(path))
    }
}

fn read(path: &Path) -> R<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(fault(path, &e)),
    }
}

fn fault(path: &Path, e: &std::io::Error) -> Refusal {
    file_fault(path, e)
}
