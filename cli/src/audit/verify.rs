//! The complete check of a log, entry by entry. Pure but for the source.

use std::io::BufRead;

use policies::lifecycle::{Completed, RegistryKey, Replay};
use schemas::event::Body;
use schemas::jwk::Jwk;
use schemas::log::{Checkpoint, CheckpointRef};
use schemas::{Code, R, Refusal, Timestamp};
use signing::{Trust, note};

use super::line::Line;
use super::period::Period;
use super::report::{Counted, Report};
use super::source::{Lines, Source};
use super::within::Tally;
use super::{Head, ahead, budget, pipe, quorum, tampered, tiles};

/// What else an auditor knows.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A checkpoint note seen earlier: the log must be a continuation of it.
    pub earlier: Option<String>,
    /// Name and key of a witness whose cosignature the checkpoint must carry.
    pub witness: Option<(String, Jwk)>,
    /// The period of which the report tells apart what happened in it.
    pub period: Option<Period>,
}

/// How much is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// All of it.
    Everything,
    /// Tiles, chains, digests and states, but no signature inside an entry. No audit, but a quick look; and a measure.
    NoSignatures,
}

/// [`verify_from`] with everything, of an export.
pub fn verify(reader: &mut dyn BufRead, trust: &Trust, options: &Options, now: Timestamp) -> R<Report> {
    verify_from(&mut Lines::new(reader), trust, options, Depth::Everything, now)
}

/// Verifies a log against pinned trust. In this order:
///
/// 1. the head: its checkpoint signed by the log's key, cosigned by the pinned quorum, and by a witness that is named;
/// 2. each entry: canonical form; every signature in its body by keys that were active then; record, salts, subject and
///    chain; the fold of the state, which recomputes who may act, every contract's state, completions and obligations;
///    published tiles, where the source has them, against the leaves; the second tree's root, where an entry states it;
/// 3. the genesis names what is pinned; the key may be a later one of the log's;
/// 4. the Merkle root over all leaves is the checkpoint's, and over the first ones that of the earlier checkpoint;
/// 5. privacy budgets recomputed from the KMS receipts; books balanced.
///
/// Every fault is a verification failure that names the entry where there is one.
pub fn verify_from(
    source: &mut dyn Source,
    trust: &Trust,
    options: &Options,
    depth: Depth,
    now: Timestamp,
) -> R<Report> {
    let head = source.head()?;
    let mut audit = Audit::new(trust, depth, source.tiles());
    audit.counted.tally = options.period.map(Tally::of);
    let opened = audit.open(&head, options)?;
    audit.take(source, head.size)?;
    source.end(head.size)?;
    audit.judge(&opened, now)
}

/// A head that was read.
pub struct Opened {
    checkpoint: Checkpoint,
    earlier: Option<Checkpoint>,
    cosigned_at: Option<Timestamp>,
}

/// An audit that can be taken further when the log has grown.
pub struct Audit {
    replay: Replay,
    trust: Trust,
    depth: Depth,
    earlier: Option<CheckpointRef>,
    tiles: Option<tiles::Check>,
    counted: Counted,
}

impl Audit {
    /// An audit before the first entry; published tiles are compared where there are any.
    pub fn new(trust: &Trust, depth: Depth, published: Option<Box<dyn tiles::Tiles>>) -> Audit {
        Audit {
            replay: Replay::new(),
            trust: trust.clone(),
            depth,
            earlier: None,
            tiles: published.map(tiles::Check::new),
            counted: Counted::default(),
        }
    }

    /// Number of entries that were taken.
    pub fn size(&self) -> u64 {
        self.replay.frontier.size()
    }

    /// Reads a head. Where its checkpoint is not signed by a key that is known by now, [`Audit::judge`] looks again.
    pub fn open(&mut self, head: &Head, options: &Options) -> R<Opened> {
        let trust = &self.trust;
        let checkpoint = Checkpoint::parse(&head.checkpoint).map_err(failed)?;
        // Only entries whose signatures are verified can name another key; and no key makes up for another origin.
        if self.depth == Depth::NoSignatures || checkpoint.origin != trust.origin {
            note::verify_checkpoint(&head.checkpoint, &trust.origin, trust).map_err(failed)?;
        }
        if head.v != 1 || head.size != checkpoint.head.size {
            return Err(tampered("the head does not fit its checkpoint"));
        }
        let cosigned_at = match &options.witness {
            Some((name, jwk)) => Some(note::verify_cosignature(&checkpoint, name, jwk).map_err(failed)?),
            None => None,
        };
        let earlier = options.earlier.as_deref().map(Checkpoint::parse).transpose().map_err(failed)?;
        self.earlier = earlier.as_ref().map(|note| note.head.clone());
        if self.earlier.as_ref().is_some_and(|e| e.size > head.size) {
            return Err(Refusal::new(Code::ConsistencyInvalid, "the earlier checkpoint is of a longer log"));
        }
        self.counted.cosigned = quorum::require(&checkpoint, trust)?;
        Ok(Opened { checkpoint, earlier, cosigned_at })
    }

    /// Takes the entries of a source up to this size.
    pub fn take(&mut self, source: &mut dyn Source, size: u64) -> R<()> {
        self.expect_root()?;
        let (from, depth, registry) = (self.size(), self.depth, self.trust.registry.clone());
        pipe::each(source, from..size, depth, &registry, &mut |(line, checked)| self.enter(line, checked))
    }

    /// One entry: signatures, then record, chain and fold, then its tiles.
    fn enter(&mut self, line: Line, checked: Option<ahead::Checked>) -> R<()> {
        let entry = &line.entry;
        if entry.index == 0 && self.replay.frontier.size() == 0 {
            genesis_is_pinned(&entry.body, &self.trust, self.depth)?;
        }
        // What an entry changes shows beside the state before it; tables are shared, so keeping that one costs little.
        let counts = self.counted.tally.as_ref().is_some_and(|tally| tally.holds(entry.record.at));
        let before = counts.then(|| self.replay.state.clone());
        let completed: Completed = match self.depth {
            Depth::Everything => {
                let fault = |e: Refusal| tampered(format!("entry {}: {}: {}", entry.index, e.code, e.sentence));
                let (verified, keys) =
                    ahead::settle(checked, &entry.body, &self.trust.registry, &self.replay.state).map_err(fault)?;
                *self.counted.signatures.get_or_insert(0) += keys;
                self.replay.enter_read(entry, &verified, &line.digests)?
            }
            Depth::NoSignatures => self.replay.reenter_read(entry, &line.digests)?,
        };
        *self.counted.entries.entry(entry.body.kind()).or_default() += 1;
        match &entry.body {
            Body::Erased { .. } => self.counted.erased += 1,
            Body::TwinRoot { .. } => self.counted.twin_roots += 1,
            Body::Genesis { succeeds: Some(succeeds), .. } => self.counted.succeeds = Some(succeeds.read_unverified()?),
            _ => {}
        }
        if let Some(tally) = &mut self.counted.tally {
            tally.enter(entry, before.as_ref(), &self.replay.state);
        }
        if let Some(tiles) = &mut self.tiles {
            tiles.push(&completed)?;
        }
        self.expect_root()
    }

    /// Where the log has the size of the earlier checkpoint, it has its root.
    fn expect_root(&self) -> R<()> {
        match &self.earlier {
            Some(e) if e.size == self.replay.frontier.size() && e.root != self.replay.frontier.root() => {
                let sentence = format!("the first {} entries are not those of the earlier checkpoint", e.size);
                Err(Refusal::new(Code::ConsistencyInvalid, sentence))
            }
            _ => Ok(()),
        }
    }

    /// The head is signed by the key that is in use at its end, an earlier one by any key of the log; and the pinned key
    /// is one of them. Two SRO people signed each change of it.
    fn signed(&self, opened: &Opened) -> R<()> {
        let keys = self.replay.state.registry_keys();
        if !keys.iter().any(|key| key.jwk == self.trust.registry_jwk) {
            return Err(not_pinned());
        }
        let by = |note: &Checkpoint, key: &RegistryKey| {
            note::verify_checkpoint(&note.text(), &self.trust.origin, &key.jwk).map(drop)
        };
        keys.last().map_or_else(|| Err(not_pinned()), |key| by(&opened.checkpoint, key)).map_err(failed)?;
        match &opened.earlier {
            Some(note) if !keys.iter().any(|key| by(note, key).is_ok()) => {
                let sentence = "the earlier checkpoint is not signed by a key of this log";
                Err(failed(Refusal::new(Code::CheckpointInvalid, sentence)))
            }
            _ => Ok(()),
        }
    }

    /// What the entries come to under this head: its signature, its root, tiles, budgets and books.
    pub fn judge(&mut self, opened: &Opened, now: Timestamp) -> R<Report> {
        self.signed(opened)?;
        let head = &opened.checkpoint.head;
        self.counted.tiles = self.tiles.as_ref().map(tiles::Check::edge).transpose()?;
        if self.replay.frontier.root() != head.root {
            return Err(tampered("the root over all entries is not the checkpoint's"));
        }
        self.replay.finish()?;
        let budgets = budget::recompute(&self.replay.state)?;
        self.replay.state.check_books().map_err(failed)?;
        let (earlier, counted) = (self.earlier.clone(), self.counted.clone());
        Ok(Report::of(&self.replay.state, head, opened.cosigned_at, earlier, counted, budgets, now))
    }
}

/// A pinned key that is not the first one must come by an entry, which [`Audit::judge`] sees to.
fn genesis_is_pinned(body: &Body, trust: &Trust, depth: Depth) -> R<()> {
    match body {
        Body::Genesis { registry, registry_jwk, origin, sro, .. }
            if *registry == trust.registry
                && (*registry_jwk == trust.registry_jwk || depth == Depth::Everything)
                && *origin == trust.origin
                && *sro == trust.sro =>
        {
            Ok(())
        }
        _ => Err(not_pinned()),
    }
}

fn not_pinned() -> Refusal {
    tampered("entry 0: the genesis is not what the trust file pins")
}

/// A fault of a part that has codes of its own: kept where it is a verification failure already.
fn failed(refusal: Refusal) -> Refusal {
    if crate::exit::of(&refusal) == crate::exit::VERIFICATION {
        return refusal;
    }
    tampered(format!("{}: {}", refusal.code, refusal.sentence))
}
