//! Where an auditor gets a log from: an export file, a mirror folder, or the service itself.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

use contract_client::Client;
use schemas::log::{Checkpoint, ExportedEntry};
use schemas::{Code, R, Refusal, canonical};

use super::mirror::{Mirror, PER_FILE};
use super::tiles::Tiles;
use super::{Head, tampered};

/// Entries in their order, one canonical line each.
pub trait Source {
    /// The head: asked for once, before any line.
    fn head(&mut self) -> R<Head>;
    /// The line of this entry, without its line feed; `None` where the source ends before it. Asked for in order.
    fn line(&mut self, index: u64) -> R<Option<Vec<u8>>>;
    /// Refuses anything after the last entry.
    fn end(&mut self, size: u64) -> R<()>;
    /// The published tiles, where the source has them.
    fn tiles(&self) -> Option<Box<dyn Tiles>> {
        None
    }
}

/// An export: a head line, then entries.
pub struct Lines<'a> {
    reader: &'a mut dyn BufRead,
}

impl<'a> Lines<'a> {
    /// Lines of this reader.
    pub fn new(reader: &'a mut dyn BufRead) -> Lines<'a> {
        Lines { reader }
    }
}

impl Source for Lines<'_> {
    fn head(&mut self) -> R<Head> {
        let line = next_line(self.reader, "head")?.ok_or_else(|| tampered("the export is empty"))?;
        let head: Head = canonical::parse(&line).map_err(|e| tampered(format!("head: {}: {}", e.code, e.sentence)))?;
        if canonical::to_bytes(&head)? != line {
            return Err(tampered("head: not in canonical form"));
        }
        Ok(head)
    }

    fn line(&mut self, index: u64) -> R<Option<Vec<u8>>> {
        next_line(self.reader, &format!("entry {index}"))
    }

    fn end(&mut self, size: u64) -> R<()> {
        match next_line(self.reader, "after the last entry")? {
            None => Ok(()),
            Some(_) => Err(tampered(format!("entries follow entry {}, the checkpoint's last", size.saturating_sub(1)))),
        }
    }
}

/// Reads one line without its line feed; `None` at the end.
fn next_line(reader: &mut dyn BufRead, what: &str) -> R<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let unreadable = |e: std::io::Error| tampered(format!("{what}: cannot be read: {e}"));
    reader.take(MAX_LINE).read_until(b'\n', &mut line).map_err(unreadable)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(tampered(format!("{what}: the line is cut off"))),
    }
}

/// The service, read page by page as a person of the SRO or an auditor.
pub struct Service {
    client: Client,
    page: std::vec::IntoIter<ExportedEntry>,
    at: u64,
}

impl Service {
    /// The service behind this client.
    pub fn new(client: Client) -> Service {
        Service { client, page: Vec::new().into_iter(), at: 0 }
    }
}

impl Source for Service {
    fn head(&mut self) -> R<Head> {
        let page = self.client.export(0, super::PAGE).map_err(without_bodies)?;
        self.page = page.entries.into_iter();
        Ok(Head { v: 1, size: page.size, checkpoint: page.checkpoint })
    }

    fn line(&mut self, index: u64) -> R<Option<Vec<u8>>> {
        if self.page.len() == 0 && self.at > 0 {
            self.page = self.client.export(index, super::PAGE)?.entries.into_iter();
        }
        self.at = index + 1;
        self.page.next().map(|entry| canonical::to_bytes(&entry)).transpose()
    }

    fn end(&mut self, _: u64) -> R<()> {
        // Entries that came in meanwhile belong to the next audit.
        Ok(())
    }

    fn tiles(&self) -> Option<Box<dyn Tiles>> {
        Some(Box::new(self.client.clone()))
    }
}

/// A service that enters nothing shows no bodies, since their reading is entered first: what can be checked all the same.
fn without_bodies(refusal: Refusal) -> Refusal {
    if !matches!(refusal.code, Code::ReadOnly | Code::NotWriter) {
        return refusal;
    }
    let next = "bodies are shown once their reading is entered, which this service cannot do now; check its checkpoint and \
                public tiles with depa audit monitor URL --state DIR --tiles-only, or a mirror with depa audit verify \
                --from DIR";
    Refusal::new(refusal.code, format!("{}; {next}", refusal.sentence))
}

/// A folder that `depa audit monitor` keeps.
pub struct Folder {
    mirror: Mirror,
    /// The file that is open, and the entry that comes next in it.
    open: Option<(u64, BufReader<File>)>,
}

impl Folder {
    /// The mirror in this folder.
    pub fn new(dir: &Path) -> Folder {
        Folder { mirror: Mirror::at(dir), open: None }
    }
}

impl Source for Folder {
    fn head(&mut self) -> R<Head> {
        let checkpoint = self.mirror.checkpoint()?.ok_or_else(|| tampered("the folder holds no checkpoint"))?;
        Ok(Head { v: 1, size: Checkpoint::parse(&checkpoint)?.head.size, checkpoint })
    }

    fn line(&mut self, index: u64) -> R<Option<Vec<u8>>> {
        let goes_on = self.open.as_ref().is_some_and(|(next, _)| *next == index) && !index.is_multiple_of(PER_FILE);
        if !goes_on {
            let Ok(file) = File::open(self.mirror.entries_path(index)) else { return Ok(None) };
            let mut reader = BufReader::new(file);
            for skipped in index / PER_FILE * PER_FILE..index {
                next_line(&mut reader, &format!("entry {skipped}"))?;
            }
            self.open = Some((index, reader));
        }
        let Some((next, reader)) = &mut self.open else { return Ok(None) };
        *next = index + 1;
        next_line(reader, &format!("entry {index}"))
    }

    fn end(&mut self, _: u64) -> R<()> {
        // Lines beyond the checkpoint came in with a pass that was not accepted: they are no part of the mirror.
        Ok(())
    }

    fn tiles(&self) -> Option<Box<dyn Tiles>> {
        self.mirror.has_tiles().then(|| Box::new(self.mirror.clone()) as Box<dyn Tiles>)
    }
}

/// The longest line: a body has at most 1 MiB, base64url in base64url takes 16/9 of it.
const MAX_LINE: u64 = 16 * 1024 * 1024;
