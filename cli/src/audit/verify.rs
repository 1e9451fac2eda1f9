//! The complete check of an export, entry by entry. Pure but for the reader.

use std::io::{BufRead, Read as _};

use policies::lifecycle::{Replay, State};
use schemas::event::Body;
use schemas::jwk::Jwk;
use schemas::log::{CheckpointRef, ExportedEntry};
use schemas::{Code, R, Refusal, Timestamp, canonical};
use serde::Serialize;
use serde::de::DeserializeOwned;
use signing::{Trust, note};

use super::report::Report;
use super::{Head, budget};

/// What else an auditor knows.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A checkpoint note seen earlier: the log must be a continuation of it.
    pub earlier: Option<String>,
    /// Name and key of a witness whose cosignature the checkpoint must carry.
    pub witness: Option<(String, Jwk)>,
}

/// Verifies an export against pinned trust. In this order:
///
/// 1. the head: its checkpoint signed by the log's key, cosigned where a witness is given;
/// 2. each entry: canonical form; every signature in its body by keys that were active then; record, salts, subject and
///    chain; the fold of the state, which recomputes who may act, every contract's state, completions and obligations;
/// 3. the genesis names what is pinned;
/// 4. the Merkle root over all leaves is the checkpoint's, and over the first ones that of the earlier checkpoint;
/// 5. privacy budgets recomputed from the KMS receipts; books balanced.
///
/// Every fault is a verification failure that names the entry where there is one.
pub fn verify(reader: &mut dyn BufRead, trust: &Trust, options: &Options, now: Timestamp) -> R<Report> {
    let head: Head = next_line(reader, "head")?.ok_or_else(|| tampered("the export is empty"))?;
    let checkpoint = note::verify_checkpoint(&head.checkpoint, &trust.origin, &trust.registry_jwk).map_err(failed)?;
    if head.v != 1 || head.size != checkpoint.head.size {
        return Err(tampered("the head does not fit its checkpoint"));
    }
    let cosigned_at = match &options.witness {
        Some((name, jwk)) => Some(note::verify_cosignature(&checkpoint, name, jwk).map_err(failed)?),
        None => None,
    };
    let earlier = match &options.earlier {
        Some(text) => Some(note::verify_checkpoint(text, &trust.origin, &trust.registry_jwk).map_err(failed)?.head),
        None => None,
    };
    let mut replay = Replay::new();
    expect_root(&replay, earlier.as_ref())?;
    for index in 0..head.size {
        let what = format!("entry {index}");
        let entry: ExportedEntry =
            next_line(reader, &what)?.ok_or_else(|| tampered(format!("{what}: the export ends before it")))?;
        if index == 0 {
            genesis_is_pinned(&entry.body, trust)?;
        }
        enter(&mut replay, &entry, trust)?;
        expect_root(&replay, earlier.as_ref())?;
    }
    if next_line::<serde_json::Value>(reader, "after the last entry")?.is_some() {
        return Err(tampered(format!("entries follow entry {}, the checkpoint's last", head.size.saturating_sub(1))));
    }
    if replay.frontier.root() != checkpoint.head.root {
        return Err(tampered("the root over all entries is not the checkpoint's"));
    }
    if earlier.as_ref().is_some_and(|e| e.size > head.size) {
        return Err(Refusal::new(Code::ConsistencyInvalid, "the earlier checkpoint is of a longer log"));
    }
    let budgets = budget::recompute(&replay.state)?;
    replay.state.check_books().map_err(failed)?;
    Ok(Report::of(&replay.state, &checkpoint.head, cosigned_at, earlier, budgets, now))
}

/// One entry: signatures, then record and fold.
fn enter(replay: &mut Replay, entry: &ExportedEntry, trust: &Trust) -> R<()> {
    let fault = |e: Refusal| tampered(format!("entry {}: {}: {}", entry.index, e.code, e.sentence));
    let state: &State = &replay.state;
    let proposed = |sha256: &schemas::Digest| state.proposed_payload(sha256);
    let verified = signing::verify_body(entry.body.clone(), &trust.registry, state, &proposed).map_err(fault)?;
    replay.enter(entry, &verified)?;
    Ok(())
}

/// Where the log has the size of the earlier checkpoint, it has its root.
fn expect_root(replay: &Replay, earlier: Option<&CheckpointRef>) -> R<()> {
    match earlier {
        Some(e) if e.size == replay.frontier.size() && e.root != replay.frontier.root() => {
            let sentence = format!("the first {} entries are not those of the earlier checkpoint", e.size);
            Err(Refusal::new(Code::ConsistencyInvalid, sentence))
        }
        _ => Ok(()),
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

/// Reads one line, which must be the canonical form of its type.
fn next_line<T: DeserializeOwned + Serialize>(reader: &mut dyn BufRead, what: &str) -> R<Option<T>> {
    let mut line = Vec::new();
    let unreadable = |e: std::io::Error| tampered(format!("{what}: cannot be read: {e}"));
    reader.take(MAX_LINE).read_until(b'\n', &mut line).map_err(unreadable)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(tampered(format!("{what}: the line is cut off")));
    }
    let value: T = canonical::parse(&line).map_err(|e| tampered(format!("{what}: {}: {}", e.code, e.sentence)))?;
    if canonical::to_bytes(&value)? != line {
        return Err(tampered(format!("{what}: not in canonical form")));
    }
    Ok(Some(value))
}

fn tampered(sentence: impl Into<String>) -> Refusal {
    Refusal::new(Code::LogTampered, sentence)
}

/// A fault of a part that has codes of its own: kept where it is a verification failure already.
fn failed(refusal: Refusal) -> Refusal {
    if crate::exit::of(&refusal) == crate::exit::VERIFICATION {
        return refusal;
    }
    tampered(format!("{}: {}", refusal.code, refusal.sentence))
}

/// The longest line: a body has at most 1 MiB, base64url in base64url takes 16/9 of it.
const MAX_LINE: u64 = 16 * 1024 * 1024;
