//! The ways back after entries were lost: taking them from a mirror up to a checkpoint that was witnessed, or, where
//! nobody has them, a new log that two SRO people signed for.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, sync_channel};

use policies::lifecycle::State;
use schemas::envelope::Envelope;
use schemas::event::Body;
use schemas::log::{Checkpoint, CheckpointRef, ExportedEntry};
use schemas::rules::LogSucceeded;
use schemas::{Code, Digest, R, Refusal, Timestamp, canonical};

use crate::conn::{self, Db, Place};
use crate::enter::{self, Entry, EntryRow};
use crate::error::{Fault, tampered};
use crate::lock::Lock;
use crate::log::StoredEntry;
use crate::snapshot::Snapshots;
use crate::step::{Growth, Step};
use crate::writer::{self, Memory};
use crate::{Options, Registry, erase, lineage, load, orders, pending, told};

/// Rows of one statement.
const PAGE: usize = 512;

impl Registry {
    /// Takes the entries that a database has lost from a mirror, up to a checkpoint of this log, in one transaction: every
    /// signature, record and rule is checked as they enter, and the root must be the checkpoint's, or nothing changes
    /// (`CONSISTENCY_INVALID`). The checkpoint is signed by the key that is in use at its end, as the entries say, and not by
    /// one that was replaced, though that lies at hand (`CHECKPOINT_INVALID`). Where a witness is known to have seen a head,
    /// the entries lead through it (`CONSISTENCY_INVALID`): no branch of before a change of key takes its place. Entries that
    /// are still there are skipped. No other process may have the log open.
    pub fn restore_from(
        options: &Options,
        entries: impl IntoIterator<Item = R<ExportedEntry>>,
        checkpoint: &Checkpoint,
        seen: Option<&CheckpointRef>,
    ) -> R<CheckpointRef> {
        let wanted = options.own_note(&checkpoint.text())?;
        let place = Place::parse(&options.url)?;
        let _lock = Lock::take(&place)?;
        let mut db = place.writer()?;
        if !conn::leads(&mut db).map_err(Fault::refusal)? {
            return Err(Fault::NotWriter.refusal());
        }
        let epoch = load::take_epoch(&mut db).map_err(Fault::refusal)?;
        let snapshots = Snapshots::new(options)?;
        let (memory, ..) = load::load(&mut db, options, &snapshots)?;
        if wanted.head.size < memory.log.size() {
            return Err(Refusal::new(Code::ConsistencyInvalid, "the database holds more than the checkpoint says"));
        }
        let outcome = conn::write(&mut db, |db| refill(db, memory, entries, (&wanted, seen), epoch, options));
        conn::step_down(&mut db);
        outcome.map_err(Fault::refusal)
    }
}

fn refill(
    db: &mut Db,
    mut memory: Memory,
    entries: impl IntoIterator<Item = R<ExportedEntry>>,
    (checkpoint, seen): (&Checkpoint, Option<&CheckpointRef>),
    epoch: i64,
    options: &Options,
) -> Result<CheckpointRef, Fault> {
    let wanted = &checkpoint.head;
    let (old, mut growth, mut rows) = (memory.log.size(), Growth::default(), Vec::new());
    for entry in entries {
        let entry = entry?;
        if entry.index < memory.log.size() {
            continue;
        }
        if entry.index >= wanted.size {
            break;
        }
        let row = stored(&entry)?;
        let step = Step::read(StoredEntry {
            index: row.idx,
            record: row.record.clone(),
            subject: row.subject.clone(),
            subject_salt: row.subject_salt.clone(),
            body_salt: row.body_salt.clone(),
            body: row.body.clone(),
        })?;
        let body = step.verify(&memory.replay.state)?;
        let before = memory.replay.state.clone();
        step.fold(&mut memory, Some(&body), &mut growth)?;
        (growth.log.nodes, growth.twin.nodes) = Default::default();
        if seen.is_some_and(|seen| seen.size == memory.log.size() && *seen != memory.head()) {
            let sentence = format!("a witness has seen another root at size {}", memory.log.size());
            return Err(Refusal::new(Code::ConsistencyInvalid, sentence).into());
        }
        if !erase::is_erased(&body) {
            told::tell(db, &before, &memory.replay.state, entry.index, entry.record.at, &body)?;
            pending::settle(db, &body)?;
            orders::settle(db, &body)?;
        }
        rows.push(row);
        if rows.len() == PAGE {
            enter::insert(db, &std::mem::take(&mut rows))?;
        }
    }
    enter::insert(db, &rows)?;
    if memory.head() != *wanted {
        let sentence = format!("the entries lead to size {}, not to the checkpoint's root", memory.log.size());
        return Err(Refusal::new(Code::ConsistencyInvalid, sentence).into());
    }
    let in_use = memory.replay.state.registry_keys().last().ok_or_else(|| tampered("entry 0: no genesis"))?;
    signing::note::verify_checkpoint(&checkpoint.text(), &options.origin, &in_use.jwk).map_err(|refusal| {
        let sentence = format!("{}; the key in use there is {}", refusal.sentence, in_use.thumbprint());
        Refusal::new(refusal.code, sentence)
    })?;
    if old < wanted.size {
        memory.replay.finish()?;
        memory.log.write(db, old, &growth.log)?;
        memory.twin.write(db, old, &growth.twin)?;
        lineage::keep(db, wanted, old, options, &memory.replay.state)?;
        let note = options.sign(wanted, &memory.replay.state)?.text();
        writer::advance_head(db, wanted, old, epoch, note)?;
    }
    Ok(wanted.clone())
}

fn stored(entry: &ExportedEntry) -> R<EntryRow> {
    Ok(EntryRow {
        idx: i64::try_from(entry.index).map_err(|_| tampered("its index is too large"))?,
        record: entry.record.bytes()?,
        subject: entry.subject.clone(),
        subject_salt: entry.subject_salt.0.clone(),
        body_salt: entry.body_salt.0.clone(),
        body: canonical::to_bytes(&entry.body)?,
    })
}

/// Opens a new log in an empty database in the place of one that lost entries. Its genesis holds the succession, signed
/// by two SRO people; what is left of the old log, every entry below `kept`, enters again with its own time, each
/// signature and rule checked. Entries about places of the old log (roots, erased bodies and their erasures, readings,
/// changes of the log's key) do not: they stay in the old one. Many entries share a commit; `tell` hears how many of the
/// old entries were taken.
pub fn succeed(
    options: Options,
    kept: impl IntoIterator<Item = R<ExportedEntry>>,
    succession: Envelope<LogSucceeded>,
    now: Timestamp,
    tell: &mut dyn FnMut(u64),
) -> R<Registry> {
    let said = succession.read_unverified()?;
    let bad = |why: &str| Refusal::new(Code::ConfigInvalid, format!("succession: {why}"));
    if said.new_origin != options.origin || said.old_origin == options.origin {
        return Err(bad("the new log has another origin than the succession says"));
    }
    let mut kept = kept.into_iter();
    let first = kept.next().ok_or_else(|| bad("nothing is left of the old log"))??;
    let Body::Genesis { registry, sro, origin, .. } = &first.body else {
        return Err(bad("what is left does not begin with the genesis"));
    };
    if *registry != options.registry || *sro != options.sro || *origin != said.old_origin {
        return Err(bad("what is left is of another log"));
    }
    let genesis = Body::Genesis {
        registry: options.registry.clone(),
        registry_jwk: options.signer.jwk().clone(),
        origin: options.origin.clone(),
        sro: options.sro.clone(),
        succeeds: Some(succession),
    };
    // Rules of time must judge the old entries as they did; the succession itself says when it was signed.
    let lock = Lock::take(&Place::parse(&options.url)?)?;
    let opened = Registry::open_with(lock, options, genesis, first.record.at.min(now))?;
    if opened.head()?.size > 2 {
        return Err(bad("the database of the new log is not empty; what was cut short begins again in an empty one"));
    }
    let mut ahead = Ahead::new(&opened);
    let mut next = 1;
    for entry in kept.by_ref().take_while(|e| e.as_ref().map_or(true, |e| e.index < said.kept)) {
        let entry = entry?;
        if entry.index != next {
            return Err(bad(&format!("entry {next} is missing")));
        }
        next += 1;
        if enters_again(&entry.body) {
            ahead.enter(entry.body, entry.record.at).map_err(|refusal| {
                Refusal::new(refusal.code, format!("entry {} of the old log: {}", entry.index, refusal.sentence))
            })?;
        }
        if next.is_multiple_of(TOLD_EVERY) {
            tell(next);
        }
    }
    ahead.wait()?;
    tell(next);
    if next == said.kept { Ok(opened) } else { Err(bad(&format!("{next} entries are left, not {}", said.kept))) }
}

/// How often a long succession tells how far it is.
const TOLD_EVERY: u64 = 1000;
/// Entries that wait for their commit at once.
const IN_FLIGHT: usize = 512;

/// Enters bodies without waiting for each commit. A signature is verified with the keys of a state that is ahead of the
/// log by what waits; the writer checks every rule again on its own.
struct Ahead<'a> {
    registry: &'a Registry,
    state: State,
    waiting: VecDeque<Receiver<R<Entry>>>,
}

impl Ahead<'_> {
    fn new(registry: &Registry) -> Ahead<'_> {
        Ahead { registry, state: State::clone(&registry.state()), waiting: VecDeque::new() }
    }

    fn enter(&mut self, body: Body, at: Timestamp) -> R<()> {
        let state = &self.state;
        let found = |sha256: &Digest| state.proposed_payload(sha256);
        let body = signing::verify_body(body, &self.registry.shared.registry, state, &found)?;
        let follows = state.follow_up(&body)?;
        let at = at.max(state.last_at());
        self.state.apply(self.state.size(), at, &body)?;
        if let Some(next) = follows {
            let next = signing::assembled(next)?;
            self.state.apply(self.state.size(), at, &next)?;
        }
        let (answer, waits) = sync_channel(1);
        self.registry.append_then(body, at, move |entry| drop(answer.send(entry)));
        self.waiting.push_back(waits);
        if self.waiting.len() >= IN_FLIGHT { self.first() } else { Ok(()) }
    }

    /// Waits for the oldest one.
    fn first(&mut self) -> R<()> {
        let Some(waits) = self.waiting.pop_front() else { return Ok(()) };
        let gone = || Refusal::new(Code::Unavailable, "the registry's writer has ended");
        waits.recv().map_err(|_| gone())?.map(drop)
    }

    fn wait(mut self) -> R<()> {
        while !self.waiting.is_empty() {
            self.first()?;
        }
        Ok(())
    }
}

/// An executed contract follows by itself when its last signature enters.
fn enters_again(body: &Body) -> bool {
    !matches!(
        body,
        Body::Genesis { .. }
            | Body::ContractExecuted { .. }
            | Body::TwinRoot { .. }
            | Body::Erased { .. }
            | Body::SubjectErased { .. }
            | Body::BodiesRead { .. }
            | Body::LogKeyRotated { .. }
    )
}
