//! What is checked before anything is answered: signed head, every leaf, every stored hash, every chain, the state.
//!
//! Signatures inside bodies are verified anew for the last 10,000 entries; older ones are held by the leaf hashes under
//! the signed head. `depa audit verify` verifies all of them.

use std::collections::HashMap;

use diesel::prelude::*;
use policies::lifecycle::Replay;
use schemas::event::Body;
use schemas::log::{CheckpointRef, ExportedEntry};
use schemas::{Code, Digest, R, Refusal};

use crate::Options;
use crate::conn::{self, Db};
use crate::error::Fault;
use crate::log::{StoredEntry, stored};
use crate::tables::{log_entries, log_hashes, log_head};
use crate::writer::Memory;

/// Entries whose signatures are verified anew.
const VERIFIED: u64 = 10_000;
/// Entries read at a time.
const PAGE: u64 = 500;

/// Takes the writer's epoch, so that an older writer is fenced, and replays the log.
pub(crate) fn load(db: &mut Db, options: &Options) -> R<Memory> {
    let (epoch, head, checkpoint) = conn::write(db, take_epoch).map_err(Fault::refusal)?;
    let replay = conn::read(db, |db| replay(db, &head)).map_err(Fault::refusal)?;
    check_head(&replay, &head, &checkpoint, options)?;
    let chains: HashMap<_, _> = replay.chains.into_iter().collect();
    Ok(Memory { state: replay.state, frontier: replay.frontier, chains, epoch })
}

fn take_epoch(db: &mut Db) -> Result<(i64, CheckpointRef, String), Fault> {
    type Row = (i64, Vec<u8>, i64, String);
    let columns = (log_head::size, log_head::root, log_head::epoch, log_head::checkpoint);
    let found: Option<Row> = log_head::table.find(1).select(columns).first(db).optional()?;
    let Some((size, root, epoch, checkpoint)) = found else {
        let entries: i64 = log_entries::table.count().get_result(db)?;
        if entries > 0 {
            return Err(tampered("the head is missing").into());
        }
        let root = Digest::of(&[]);
        let row = (
            log_head::id.eq(1),
            log_head::size.eq(0),
            log_head::root.eq(root.0.to_vec()),
            log_head::epoch.eq(1),
            log_head::checkpoint.eq(""),
        );
        diesel::insert_into(log_head::table).values(row).execute(db)?;
        return Ok((1, CheckpointRef { size: 0, root }, String::new()));
    };
    diesel::update(log_head::table.find(1)).set(log_head::epoch.eq(epoch + 1)).execute(db)?;
    let root = Digest(root.try_into().map_err(|_| tampered("the head's root is no digest"))?);
    let size = u64::try_from(size).map_err(|_| tampered("the head's size is negative"))?;
    Ok((epoch + 1, CheckpointRef { size, root }, checkpoint))
}

fn replay(db: &mut Db, head: &CheckpointRef) -> Result<Replay, Fault> {
    let mut replay = Replay::new();
    let mut hashes = 0;
    loop {
        let page = stored(db, replay.frontier.size(), PAGE)?;
        if page.is_empty() {
            break;
        }
        for entry in page {
            hashes += one(db, &mut replay, entry, head.size)?;
        }
    }
    if replay.frontier.size() != head.size {
        let sentence =
            format!("entry {} is missing, or the head's size {} is wrong", replay.frontier.size(), head.size);
        return Err(tampered(&sentence).into());
    }
    let extra = log_hashes::table.count().get_result::<i64>(db)? != hashes
        || log_entries::table.count().get_result::<i64>(db)? != head.size as i64;
    if extra {
        return Err(tampered("the tables hold more than the log").into());
    }
    Ok(replay)
}

/// Checks one stored entry and folds it; returns how many subtrees above the leaves it completes.
fn one(db: &mut Db, replay: &mut Replay, stored: StoredEntry, size: u64) -> Result<i64, Fault> {
    let index = replay.frontier.size();
    let bad = |why: &str| tampered(&format!("entry {index}: {why}"));
    if stored.index != index as i64 {
        return Err(bad("missing").into());
    }
    let stored_leaf = stored.leaf.clone();
    let entry = stored.export().map_err(|e| bad(&e.sentence))?;
    if entry.record.leaf()?.0.as_slice() != stored_leaf {
        return Err(bad("its leaf hash is not that of its record").into());
    }
    let completed = if index + VERIFIED >= size { verified(replay, &entry)? } else { replay.reenter(&entry)? };
    let above = completed.get(1..).unwrap_or_default();
    for (level, at, hash) in above {
        let row = log_hashes::table.find((i32::from(*level), *at as i64)).select(log_hashes::hash);
        let found: Option<Vec<u8>> = row.first(db).optional()?;
        if found.as_deref() != Some(hash.0.as_slice()) {
            return Err(bad(&format!("hash {at} of level {level} of the tree is wrong")).into());
        }
    }
    Ok(above.len() as i64)
}

/// Verifies every signature in the body with the keys known before it, then folds it.
fn verified(replay: &mut Replay, entry: &ExportedEntry) -> R<policies::lifecycle::Completed> {
    let bad = |e: Refusal| tampered(&format!("entry {}: {}: {}", entry.index, e.code, e.sentence));
    let registry = match (&entry.body, replay.state.registry()) {
        (Body::Genesis { registry, .. }, _) => registry.clone(),
        (_, registry) => registry.map_err(bad)?.clone(),
    };
    let state = &replay.state;
    let body = signing::verify_body(entry.body.clone(), &registry, state, &|sha256| state.proposed_payload(sha256))
        .map_err(bad)?;
    replay.enter(entry, &body)
}

/// The head is the replayed tree's, signed by the registry, and the log is the configured one.
fn check_head(replay: &Replay, head: &CheckpointRef, checkpoint: &str, options: &Options) -> R<()> {
    if replay.frontier.root() != head.root {
        return Err(tampered("the entries do not lead to the root of the head"));
    }
    let Some(genesis) = replay.state.genesis() else {
        return if head.size == 0 && checkpoint.is_empty() { Ok(()) } else { Err(tampered("entry 0: no genesis")) };
    };
    let note = signing::note::verify_checkpoint(checkpoint, &genesis.origin, &genesis.registry_jwk);
    let note = note.map_err(|e| tampered(&format!("the signed head: {}", e.sentence)))?;
    if note.head != *head {
        return Err(tampered("the signed head is another one"));
    }
    let same = genesis.registry == options.registry
        && genesis.origin == options.origin
        && genesis.registry_jwk == *options.signer.jwk()
        && genesis.sro == options.sro;
    if !same {
        return Err(Refusal::new(
            Code::ConfigInvalid,
            "the database holds another log: registry, origin, key or SRO people differ",
        ));
    }
    replay.state.check_books()
}

fn tampered(why: &str) -> Refusal {
    Refusal::new(Code::LogTampered, why)
}
