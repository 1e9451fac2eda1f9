//! The scrub: block by block the whole log is read again from the database and compared: digests, leaves, chains, both
//! trees and, at the end, the state in memory and the kept one. At the first difference the log turns read-only and
//! names the entry.

use std::time::Instant;

use schemas::{Code, R};

use crate::error::Fault;
use crate::load;
use crate::step::Growth;
use crate::tiles::{self, Tree};
use crate::writer::Memory;
use crate::{Registry, Shared};

/// Entries of a block.
const BLOCK: u64 = 256;

/// How far the scrub is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubStatus {
    /// Entries compared in this pass.
    pub checked: u64,
    /// Entries of the log.
    pub size: u64,
    /// Passes that came to the end.
    pub passes: u64,
    /// What does not fit, naming the entry; the log is read-only from then on.
    pub first_difference: Option<String>,
}

/// A pass in progress.
pub(crate) struct Scrub {
    memory: Memory,
    growth: Growth,
    pub(crate) ended: Option<Instant>,
}

impl Scrub {
    pub(crate) fn new() -> Scrub {
        Scrub { memory: Memory::new(), growth: Growth::default(), ended: None }
    }

    /// Compares the next block; true at the end of a pass. A database that does not answer is asked again next time.
    pub(crate) fn block(&mut self, shared: &Shared) -> R<bool> {
        let published = shared.face.published();
        let (size, done) = (published.head.size, self.memory.log.size());
        let until = size.min(done + BLOCK);
        let compared = shared.readers().and_then(|mut db| self.compare(&mut db, until));
        let mut status = shared.face.scrub.lock().unwrap_or_else(|p| p.into_inner());
        (status.size, status.checked) = (size, self.memory.log.size());
        let difference = match compared {
            Ok(()) if until < size => return Ok(false),
            Ok(()) => {
                let same = self.memory.replay == published.replay && self.memory.replay.finish().is_ok();
                let kept = shared.readers().and_then(|mut db| {
                    end(&mut db)?;
                    shared.snapshots.check(&mut db, size)
                });
                match (same, kept) {
                    (false, _) => format!("entry {}: the state in memory is another one", size.saturating_sub(1)),
                    (_, Err(Fault::Refused(refusal))) if refusal.code == Code::Unavailable => return Err(refusal),
                    (_, Err(Fault::Refused(refusal))) => refusal.sentence,
                    _ => {
                        status.passes += 1;
                        self.ended = Some(Instant::now());
                        return Ok(true);
                    }
                }
            }
            // No connection is no difference.
            Err(Fault::Refused(refusal)) if refusal.code == Code::Unavailable => return Err(refusal),
            Err(Fault::Refused(refusal)) => refusal.sentence,
            Err(fault) => return Err(fault.refusal()),
        };
        status.first_difference.get_or_insert_with(|| difference.clone());
        drop(status);
        shared.face.stop(&difference);
        Ok(true)
    }

    fn compare(&mut self, db: &mut crate::conn::Db, until: u64) -> Result<(), Fault> {
        let (memory, growth) = (&mut self.memory, &mut self.growth);
        load::onward(db, memory, until, u64::MAX, true, growth)?;
        let full = [(Tree::Log, &mut growth.log.full, &memory.log), (Tree::Twin, &mut growth.twin.full, &memory.twin)];
        for (tree, full, edge) in full {
            for (level, index, hashes) in full.drain(..) {
                load::compare(&tiles::load(db, tree, level, index)?, &hashes, level, index)?;
            }
            for (level, index, hashes) in edge.open() {
                // Written on meanwhile, perhaps: what was there must still be.
                let mut stored = tiles::load(db, tree, level, index)?;
                stored.truncate(hashes.len());
                load::compare(&stored, hashes, level, index)?;
            }
        }
        Ok(())
    }
}

/// Nothing stands beyond the head, in one snapshot of both: the next entry could not be made there.
fn end(db: &mut crate::conn::Db) -> Result<(), Fault> {
    crate::conn::read(db, |db| {
        let size = load::head(db)?.at.size;
        load::nothing_beyond(db, size)
    })
}

impl Registry {
    /// How far the background comparison is, and the first difference that it found.
    pub fn scrub_status(&self) -> ScrubStatus {
        let mut status = self.shared.face.scrub.lock().unwrap_or_else(|p| p.into_inner()).clone();
        status.size = self.shared.face.published().head.size;
        status
    }

    /// Compares the whole log now, in this thread. What does not fit stands in the status, and the log is read-only.
    pub fn scrub(&self) -> R<ScrubStatus> {
        let mut scrub = Scrub::new();
        while !scrub.block(&self.shared)? {}
        Ok(self.scrub_status())
    }
}
