//! The acts line by line in a file beside the database. The log hears of none of them: this file is what a database that was
//! put back learns them from, and what tells that a folder is not the one of before.
//!
//! Only whole lines stay in it, so that a line which does not read is damage, never an interrupted writing: under the file's
//! lock, what broke off is cut away before the next line comes. Nobody was answered about it.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use schemas::{Code, Digest, R, Refusal};

/// The file's name in the folder of a key service.
const NAME: &str = "releases.jsonl";

/// The file.
pub(crate) struct Beside {
    path: PathBuf,
    /// Digests of the lines that this process read or wrote.
    lines: Mutex<BTreeSet<Digest>>,
}

/// The file, open for a line and locked until this goes.
pub(crate) struct Open<'a> {
    beside: &'a Beside,
    file: File,
    /// Where whole lines end.
    end: u64,
}

impl Beside {
    /// The file in this folder.
    pub fn new(dir: &Path) -> Beside {
        Beside { path: dir.join(NAME), lines: Mutex::default() }
    }

    /// Its name with its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is there.
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Its lines, the first one first; none where there is no file.
    ///
    /// # Errors
    /// `UNAVAILABLE` where it is there and cannot be read: what it says is then unknown, not nothing.
    pub fn read(&self) -> R<Vec<Vec<u8>>> {
        let mut whole = Vec::new();
        match File::open(&self.path) {
            Ok(mut file) => file.read_to_end(&mut whole).map_err(|e| self.fault(&e))?,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(self.fault(&e)),
        };
        let lines: Vec<Vec<u8>> = whole.split_inclusive(|byte| *byte == b'\n').filter_map(line).collect();
        self.note(lines.iter().map(|line| Digest::of(line)));
        Ok(lines)
    }

    /// Opens it for lines, and makes it where it is missing.
    ///
    /// # Errors
    /// `UNAVAILABLE` where that cannot be: nothing may be charged that cannot be kept here.
    pub fn open(&self) -> R<Open<'_>> {
        let new = !self.exists();
        let open = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(&self.path);
        let mut file = open.map_err(|e| self.fault(&e))?;
        file.lock().map_err(|e| self.fault(&e))?;
        if new {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| self.fault(&e))?;
        }
        let end = whole_lines(&mut file).map_err(|e| self.fault(&e))?;
        Ok(Open { beside: self, file, end })
    }

    fn note(&self, lines: impl Iterator<Item = Digest>) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).extend(lines);
    }

    fn fault(&self, e: &std::io::Error) -> Refusal {
        Refusal::new(Code::Unavailable, format!("{}: {e}", self.path.display()))
    }
}

impl Open<'_> {
    /// Appends a line that is not known to be there, and waits until it is on the disk.
    pub fn keep(&mut self, line: &[u8]) -> R<()> {
        let digest = Digest::of(line);
        if self.beside.lines.lock().unwrap_or_else(PoisonError::into_inner).contains(&digest) {
            return Ok(());
        }
        let written = self.file.write_all(&[line, b"\n"].concat()).and_then(|()| self.file.sync_data());
        if let Err(e) = written {
            // Where this fails too, the next one who opens it cuts it away.
            drop(self.file.set_len(self.end));
            return Err(self.beside.fault(&e));
        }
        self.end += line.len() as u64 + 1;
        self.beside.note(std::iter::once(digest));
        Ok(())
    }
}

/// A line without its end; none where it has none, or nothing is in it.
fn line(bytes: &[u8]) -> Option<Vec<u8>> {
    bytes.strip_suffix(b"\n").filter(|line| !line.is_empty()).map(<[u8]>::to_vec)
}

/// Cuts away what follows the last whole line; where that ends.
fn whole_lines(file: &mut File) -> std::io::Result<u64> {
    let length = file.metadata()?.len();
    let mut end = length;
    let mut piece = [0; 4096];
    while end > 0 {
        let from = end.saturating_sub(piece.len() as u64);
        let part = piece.get_mut(..(end - from) as usize).unwrap_or_default();
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(part)?;
        match part.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => {
                end = from + at as u64 + 1;
                break;
            }
            None => end = from,
        }
    }
    if end < length {
        file.set_len(end)?;
    }
    Ok(end)
}
