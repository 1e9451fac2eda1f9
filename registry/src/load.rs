//! What is checked before anything is answered: the signed head, the right edge of both trees, the kept state, the last
//! 10,000 entries, and the state that the newest ones make of it. The scrub compares the rest block by block, and
//! `depa audit verify` is the complete check.
//!
//! Where no state was kept, as after a process that was killed young, or where something of this does not fit, the whole
//! log is replayed from its first entry; what does not fit then is refused with `LOG_TAMPERED` and named.

use diesel::prelude::*;
use policies::lifecycle::{State, twin_leaf};
use schemas::event::Body;
use schemas::jwk::Jwk;
use schemas::log::{Checkpoint, CheckpointRef, Record, leaf_hash, subject_digest};
use schemas::{Code, Digest, R, Refusal, canonical};

use crate::Options;
use crate::conn::{self, Db};
use crate::erase::ERASED;
use crate::error::{Fault, tampered};
use crate::log::{StoredEntry, stored};
use crate::snapshot::Snapshots;
use crate::step::{Growth, Step, verify_all};
use crate::tables::{log_entries, log_head};
use crate::tiles::{self, Edge, Tiles, Tree};
use crate::tree;
use crate::writer::Memory;

/// Entries whose signatures are verified anew, where they are replayed; of the others among them leaf and digests.
const VERIFIED: u64 = 10_000;
/// Entries read at a time.
const PAGE: u64 = 512;

/// The head as stored.
pub(crate) struct Head {
    pub(crate) at: CheckpointRef,
    pub(crate) note: String,
    pub(crate) epoch: i64,
}

/// Checks and reads the log: its memory, its head, and how many entries were replayed for it.
pub(crate) fn load(db: &mut Db, options: &Options, snapshots: &Snapshots) -> R<(Memory, Head, u64)> {
    let (memory, head, replayed) = conn::steady(db, |db| {
        let head = head(db)?;
        let note = Checkpoint::parse(&head.note);
        if note.is_ok_and(|note| note.origin == options.origin && note.head != head.at) {
            return Err(unsigned(&head, "it is another one").into());
        }
        let quick = match check_note(&head, options) {
            Ok(()) if head.at.size > 0 => fast(db, &head, snapshots),
            Ok(()) => return Ok((replay(db, &head)?, head, 0)),
            Err(refusal) => Err(refusal.into()),
        };
        let (memory, replayed) = match quick {
            Ok(Some(quick)) => quick,
            Ok(None) => {
                tracing::info!(size = head.at.size, "no state was kept; the whole log is replayed");
                (replay(db, &head)?, head.at.size)
            }
            Err(Fault::Refused(why)) => {
                tracing::warn!(%why, size = head.at.size, "the quick check found a difference; the whole log is replayed");
                (replay(db, &head)?, head.at.size)
            }
            Err(fault) => return Err(fault),
        };
        Ok((memory, head, replayed))
    })
    .map_err(Fault::refusal)?;
    check_owner(&memory, &head, options)?;
    Ok((memory, head, replayed))
}

/// Replays the whole log of a database and verifies its signed head with the keys that its own entries name: what can be
/// said of a copy without knowing whose it is.
pub(crate) fn check(db: &mut Db) -> Result<CheckpointRef, Fault> {
    let head = head(db)?;
    let memory = replay(db, &head)?;
    let genesis = memory.replay.state.genesis().ok_or_else(|| tampered("the log has no entry"))?;
    check_signed(&head, &genesis.origin, &memory.replay.state)?;
    Ok(head.at)
}

/// The stored head; size 0 where there is none yet.
pub(crate) fn head(db: &mut Db) -> Result<Head, Fault> {
    type Row = (i64, Vec<u8>, i64, String);
    let columns = (log_head::size, log_head::root, log_head::epoch, log_head::checkpoint);
    let found: Option<Row> = log_head::table.find(1).select(columns).first(db).optional()?;
    let Some((size, root, epoch, note)) = found else {
        let first: Option<i64> = log_entries::table.select(diesel::dsl::max(log_entries::idx)).first(db)?;
        if first.is_some() {
            return Err(tampered("the head is missing").into());
        }
        let at = CheckpointRef { size: 0, root: Digest::of(&[]) };
        return Ok(Head { at, note: String::new(), epoch: 0 });
    };
    let root = Digest(root.try_into().map_err(|_| tampered("the head's root is no digest"))?);
    let size = u64::try_from(size).map_err(|_| tampered("the head's size is negative"))?;
    Ok(Head { at: CheckpointRef { size, root }, note, epoch })
}

/// Takes the writer's epoch, so that an older writer is fenced.
pub(crate) fn take_epoch(db: &mut Db) -> Result<i64, Fault> {
    conn::write(db, |db| {
        let head = head(db)?;
        let epoch = head.epoch + 1;
        if head.epoch > 0 {
            diesel::update(log_head::table.find(1)).set(log_head::epoch.eq(epoch)).execute(db)?;
            return Ok(epoch);
        }
        let row = (
            log_head::id.eq(1),
            log_head::size.eq(0),
            log_head::root.eq(head.at.root.0.to_vec()),
            log_head::epoch.eq(epoch),
            log_head::checkpoint.eq(""),
        );
        diesel::insert_into(log_head::table).values(row).execute(db)?;
        Ok(epoch)
    })
}

/// The head is signed by a key of ours; whether by the one in use, its entries say.
fn check_note(head: &Head, options: &Options) -> R<()> {
    if head.at.size == 0 && head.note.is_empty() {
        return Ok(());
    }
    let signed = options.own_note(&head.note).map_err(|e| unsigned(head, &e.sentence))?;
    if signed.head == head.at { Ok(()) } else { Err(unsigned(head, "it is another one")) }
}

/// The head is signed by the key in use in this state, which lies at that head.
pub(crate) fn check_signed(head: &Head, origin: &str, state: &State) -> R<()> {
    let key = state.registry_keys().last().ok_or_else(|| tampered("entry 0: no genesis"))?;
    signed(head, origin, &key.jwk)
}

fn signed(head: &Head, origin: &str, jwk: &Jwk) -> R<()> {
    let note = signing::note::verify_checkpoint(&head.note, origin, jwk);
    let note = note.map_err(|e| unsigned(head, &e.sentence))?;
    if note.head == head.at { Ok(()) } else { Err(unsigned(head, "it is another one")) }
}

/// A head that the log's key has not signed: it does not vouch for the entry that it ends with.
fn unsigned(head: &Head, why: &str) -> Refusal {
    tampered(&format!("entry {}: the signed head, which ends with it: {why}", head.at.size.saturating_sub(1)))
}

fn another() -> Refusal {
    Refusal::new(Code::ConfigInvalid, "the database holds another log: registry, origin, key or SRO people differ")
}

/// The quick way: right edges, kept state, the newest entries. None where no state was kept, which is no fault.
fn fast(db: &mut Db, head: &Head, snapshots: &Snapshots) -> Result<Option<(Memory, u64)>, Fault> {
    let size = head.at.size;
    let log = Edge::read(db, Tree::Log, size)?;
    if log.root() != head.at.root {
        return Err(tampered("the right edge is not that of the head").into());
    }
    let twin = Edge::read(db, Tree::Twin, size)?;
    let (last, first): (Option<i64>, Option<i64>) = (
        log_entries::table.select(diesel::dsl::max(log_entries::idx)).first(db)?,
        log_entries::table.select(diesel::dsl::min(log_entries::idx)).first(db)?,
    );
    let spare = tiles::count(db, Tree::Log)? + tiles::count(db, Tree::Twin)? != 2 * tiles::expected(size);
    if spare || (first, last) != (Some(0), Some(size as i64 - 1)) {
        return Err(tampered("the tables hold other entries than the head says").into());
    }
    let Some(kept) = snapshots.load(db, size)? else { return Ok(None) };
    let tiles = Tiles::default();
    let mut read = |tree, level, index| tiles::load(db, tree, level, index).map_err(Fault::refusal);
    let root = tree::root(Tree::Log, kept.size, &mut |l, i| tiles.node(Tree::Log, l, i, &mut read))?;
    if root != kept.root {
        return Err(tampered("the kept state is of another log").into());
    }
    second(db, size)?;
    window(db, &tiles, size.saturating_sub(VERIFIED), kept.size)?;
    let edges = (Edge::at(db, Tree::Log, kept.size)?, Edge::at(db, Tree::Twin, kept.size)?);
    let mut memory = Memory { replay: kept.replay, log: edges.0, twin: edges.1 };
    let mut growth = Growth::default();
    onward(db, &mut memory, size, size.saturating_sub(VERIFIED), true, &mut growth)?;
    if memory.log.root() != log.root() || memory.twin.root() != twin.root() {
        return Err(tampered("the newest entries do not lead to the head").into());
    }
    Ok(Some((Memory { replay: memory.replay, log, twin }, size - kept.size)))
}

/// The last entry of a batch holds the root of the second tree over all entries before it.
fn second(db: &mut Db, size: u64) -> Result<(), Fault> {
    let last = stored(db, size - 1, 1)?.pop().ok_or_else(|| tampered(&format!("entry {}: missing", size - 1)))?;
    let Step { entry, digests } = Step::read(last)?;
    let Body::TwinRoot { root, .. } = entry.body else { return Ok(()) };
    let bad = || tampered(&format!("entry {}: the root of the second tree is another one", entry.index));
    if Edge::at(db, Tree::Twin, size - 1)?.root() != root {
        return Err(bad().into());
    }
    let (tiles, index) = (Tiles::default(), entry.index);
    let mut read = |tree, level, index| tiles::load(db, tree, level, index).map_err(Fault::refusal);
    let leaf = tiles.node(Tree::Twin, 0, index, &mut read)?;
    if leaf != twin_leaf(index, &digests.leaf, &entry.record.body_sha256) { Err(bad().into()) } else { Ok(()) }
}

/// Entries before the kept state: each is of its leaf and its salted digests.
fn window(db: &mut Db, tiles: &Tiles, from: u64, until: u64) -> Result<(), Fault> {
    let mut next = from;
    while next < until {
        let page = stored(db, next, PAGE.min(until - next))?;
        if page.is_empty() {
            return Err(tampered(&format!("entry {next}: missing")).into());
        }
        for entry in page {
            check_alone(&entry, next)?;
            let mut read = |tree, level, index| tiles::load(db, tree, level, index).map_err(Fault::refusal);
            if tiles.node(Tree::Log, 0, next, &mut read)? != leaf_hash(&entry.record) {
                return Err(tampered(&format!("entry {next}: its leaf hash is not that of its record")).into());
            }
            next += 1;
        }
    }
    Ok(())
}

/// What can be said of an entry without those before it. An erased one has neither subject nor body left.
fn check_alone(stored: &StoredEntry, index: u64) -> R<()> {
    let bad = |why: &str| tampered(&format!("entry {index}: {why}"));
    if stored.index != index as i64 {
        return Err(bad("missing"));
    }
    let record: Record = canonical::parse(&stored.record).map_err(|e| bad(&e.sentence))?;
    if stored.subject == ERASED {
        return Ok(());
    }
    let salt: [u8; 32] = stored.subject_salt.as_slice().try_into().map_err(|_| bad("a salt has 32 bytes"))?;
    if record.subject != subject_digest(&salt, &stored.subject) {
        return Err(bad("the record is about another subject"));
    }
    if stored.body_salt.len() != 32 || record.body_sha256 != Digest::of_parts(&[&stored.body_salt, &stored.body]) {
        return Err(bad("the record is of another body"));
    }
    Ok(())
}

/// Folds what is stored from where the memory stands up to a size; signatures from index `verified` on. With `leaves`
/// each leaf is compared with the one in its tile, so that a difference names its entry.
pub(crate) fn onward(
    db: &mut Db,
    memory: &mut Memory,
    size: u64,
    verified: u64,
    leaves: bool,
    growth: &mut Growth,
) -> Result<(), Fault> {
    while memory.log.size() < size {
        let first = memory.log.size();
        let page = stored(db, first, PAGE.min(size - first))?;
        if page.is_empty() {
            return Err(tampered(&format!("entry {first} is missing, or the head's size {size} is wrong")).into());
        }
        let steps = Step::read_all(page).into_iter().collect::<R<Vec<_>>>()?;
        let early = if first + PAGE > verified { verify_all(&steps, &memory.replay.state) } else { Vec::new() };
        let mut early = early.into_iter();
        let mut tile = Vec::new();
        for step in steps {
            let index = memory.log.size();
            if leaves && (tile.is_empty() || index & 255 == 0) {
                tile = tiles::load(db, Tree::Log, 0, index >> 8).unwrap_or_default();
            }
            if step.entry.index != index {
                return Err(tampered(&format!("entry {index}: missing")).into());
            }
            let at = (index & 255) as usize * 32;
            if leaves && tile.get(at..at + 32) != Some(step.digests.leaf.0.as_slice()) {
                let sentence = format!("entry {index}: its leaf hash is not that of its record");
                return Err(tampered(&sentence).into());
            }
            let body = match early.next().flatten() {
                _ if index < verified => None,
                Some(body) => Some(body),
                None => Some(step.verify(&memory.replay.state)?),
            };
            step.fold(memory, body.as_ref(), growth)?;
        }
        // Receipts are made of the nodes, nothing else is.
        (growth.log.nodes, growth.twin.nodes) = Default::default();
    }
    Ok(())
}

/// The complete way: every entry from the first, every tile. A log without any tiles gets them anew.
fn replay(db: &mut Db, head: &Head) -> Result<Memory, Fault> {
    let (mut memory, mut growth) = (Memory::new(), Growth::default());
    let size = head.at.size;
    let bare = tiles::count(db, Tree::Log)? == 0 && tiles::count(db, Tree::Twin)? == 0;
    onward(db, &mut memory, size, size.saturating_sub(VERIFIED), !bare, &mut growth)?;
    memory.replay.finish()?;
    nothing_beyond(db, size)?;
    if memory.log.root() != head.at.root {
        return Err(tampered("the entries do not lead to the root of the head").into());
    }
    for (tree, edge, full) in
        [(Tree::Log, &memory.log, &growth.log.full), (Tree::Twin, &memory.twin, &growth.twin.full)]
    {
        if bare {
            continue;
        }
        let all = full.iter().map(|(l, i, h)| (*l, *i, h.as_slice())).chain(edge.open());
        for (level, index, hashes) in all {
            compare(&tiles::load(db, tree, level, index).unwrap_or_default(), hashes, level, index)?;
        }
        if tiles::count(db, tree)? != tiles::expected(size) {
            return Err(tampered("the tables hold more than the log").into());
        }
    }
    Ok(memory)
}

/// The signed head is the end: no entry stands beyond it, or before the first.
pub(crate) fn nothing_beyond(db: &mut Db, size: u64) -> Result<(), Fault> {
    let outside = log_entries::table.filter(log_entries::idx.ge(size as i64).or(log_entries::idx.lt(0)));
    let first: Option<i64> = outside.select(diesel::dsl::min(log_entries::idx)).first(db)?;
    match first {
        Some(index) => {
            Err(tampered(&format!("entry {index}: the tables hold more than the log, which the head ends")).into())
        }
        None => Ok(()),
    }
}

/// Two tiles; the first difference is told with the entry where it begins.
pub(crate) fn compare(stored: &[u8], made: &[u8], level: u8, index: u64) -> R<()> {
    if stored == made {
        return Ok(());
    }
    let at = stored.chunks(32).zip(made.chunks(32)).take_while(|(a, b)| a == b).count() as u64;
    let entry = ((index << 8) + at) << (8 * level);
    Err(tampered(&format!("entry {entry}: hash {at} of tile {index} of level {level} of a tree is wrong")))
}

/// Writes the tiles of a log that has none: one made before there were tiles.
pub(crate) fn furnish(db: &mut Db, memory: &Memory) -> Result<(), Fault> {
    let size = memory.log.size();
    if size == 0 || tiles::count(db, Tree::Log)? > 0 {
        return Ok(());
    }
    let (mut again, mut growth) = (Memory::new(), Growth::default());
    onward(db, &mut again, size, size, false, &mut growth)?;
    again.log.write(db, 0, &growth.log)?;
    again.twin.write(db, 0, &growth.twin)
}

/// The log is the configured one, and its books balance.
fn check_owner(memory: &Memory, head: &Head, options: &Options) -> R<()> {
    let state = &memory.replay.state;
    let Some(genesis) = state.genesis() else {
        return if head.at.size == 0 && head.note.is_empty() { Ok(()) } else { Err(tampered("entry 0: no genesis")) };
    };
    check_signed(head, &genesis.origin, state)?;
    let same = genesis.registry == options.registry
        && genesis.origin == options.origin
        && genesis.sro == options.sro
        && genesis.registry_keys.iter().any(|key| options.all().any(|own| *own.jwk() == key.jwk));
    if !same {
        return Err(another());
    }
    options.sign(&head.at, state)?;
    state.check_books()
}
