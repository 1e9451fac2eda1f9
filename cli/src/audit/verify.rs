//! The complete check of a log, entry by entry. Pure but for the source.

use std::io::BufRead;

use policies::lifecycle::{Completed, Replay};
use schemas::event::Body;
use schemas::jwk::Jwk;
use schemas::log::{Checkpoint, CheckpointRef};
use schemas::{Code, R, Refusal, Timestamp};
use signing::{Trust, note};

use super::line::Line;
use super::report::{Counted, Report};
use super::source::{Lines, Source};
use super::{Head, ahead, budget, pipe, quorum, tampered, tiles};

/// What else an auditor knows.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A checkpoint note seen earlier: the log must be a continuation of it.
    pub earlier: Option<String>,
    /// Name and key of a witness whose cosignature the checkpoint must carry.
    pub witness: Option<(String, Jwk)>,
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
/// 3. the genesis names what is pinned;
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
    let opened = audit.open(&head, options)?;
    audit.take(source, head.size)?;
    source.end(head.size)?;
    audit.judge(&opened, now)
}

/// A head that was read.
pub struct Opened {
    checkpoint: Checkpoint,
    cosigned_at: Option<Timestamp>,
}

/// An audit that can be taken further when the log has grown.
pub struct Audit {
    replay: Replay,
    trust: Trust,
    depth: Depth,
    earlier: Option<CheckpointRef>,
    tiles: Option<tiles::Check>,
    /// Keys that the log named in place of the pinned one, in entries that were verified.
    log_keys: Vec<Jwk>,
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
            log_keys: Vec::new(),
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
            note::verify_checkpoint(&head.checkpoint, &trust.origin, &trust.registry_jwk).map_err(failed)?;
        }
        if head.v != 1 || head.size != checkpoint.head.size {
            return Err(tampered("the head does not fit its checkpoint"));
        }
        let cosigned_at = match &options.witness {
            Some((name, jwk)) => Some(note::verify_cosignature(&checkpoint, name, jwk).map_err(failed)?),
            None => None,
        };
        self.earlier = match &options.earlier {
            Some(text) => Some(note::verify_checkpoint(text, &trust.origin, &trust.registry_jwk).map_err(failed)?.head),
            None => None,
        };
        if self.earlier.as_ref().is_some_and(|e| e.size > head.size) {
            return Err(Refusal::new(Code::ConsistencyInvalid, "the earlier checkpoint is of a longer log"));
        }
        self.counted.cosigned = quorum::require(&checkpoint, trust)?;
        Ok(Opened { checkpoint, cosigned_at })
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
            genesis_is_pinned(&entry.body, &self.trust)?;
        }
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
        match &entry.body {
            Body::Erased { .. } => self.counted.erased += 1,
            Body::TwinRoot { .. } => self.counted.twin_roots += 1,
            Body::LogKeyRotated { rotation } => self.log_keys.push(rotation.read_unverified()?.jwk),
            Body::Genesis { succeeds: Some(succeeds), .. } => self.counted.succeeds = Some(succeeds.read_unverified()?),
            _ => {}
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

    /// What the entries come to under this head: its signature, its root, tiles, budgets and books.
    pub fn judge(&mut self, opened: &Opened, now: Timestamp) -> R<Report> {
        let text = opened.checkpoint.text();
        let by = |jwk: &Jwk| note::verify_checkpoint(&text, &self.trust.origin, jwk).map(drop);
        if let Err(refusal) = by(&self.trust.registry_jwk)
            && !self.log_keys.iter().any(|jwk| by(jwk).is_ok())
        {
            return Err(failed(refusal));
        }
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

fn genesis_is_pinned(body: &Body, trust: &Trust) -> R<()> {
    match body {
        Body::Genesis { registry, registry_jwk, origin, sro, .. }
            if *registry == trust.registry
                && *registry_jwk == trust.registry_jwk
                && *origin == trust.origin
                && *sro == trust.sro =>
        {
            Ok(())
        }
        _ => Err(tampered("entry 0: the genesis is not what the trust file pins")),
    }
}

/// A fault of a part that has codes of its own: kept where it is a verification failure already.
fn failed(refusal: Refusal) -> Refusal {
    if crate::exit::of(&refusal) == crate::exit::VERIFICATION {
        return refusal;
    }
    tampered(format!("{}: {}", refusal.code, refusal.sentence))
}
