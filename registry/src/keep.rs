//! What goes on in the background: keeping the state every 5,000 entries, and the scrub, at a small part of one core.

use std::sync::Weak;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use schemas::R;

use crate::scrub::Scrub;
use crate::{Registry, Shared, snapshot};

/// Entries after which the state is kept anew.
const EVERY: u64 = 5_000;
/// Writes in which a state is kept, and as many in which the one before it is cleared away.
const PARTS: usize = 16;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// The scrub begins this long after the start, and again this long after its end.
const REST: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_secs(6 * 3600);
/// The scrub rests this many times as long as it worked.
const SHARE: u32 = 12;

/// Works until the registry is closed.
pub(crate) fn run(shared: &Weak<Shared>, closing: &Receiver<()>) {
    let (mut scrub, began, mut wait, mut looked) = (Scrub::new(), Instant::now(), LOOK, Instant::now());
    while closing.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        let Some(shared) = shared.upgrade() else { return };
        let registry = Registry { shared };
        wait = LOOK;
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            if let Err(refusal) = keep(&registry) {
                tracing::warn!(%refusal, "the state could not be kept; it is tried again");
            }
        }
        if scrub.ended.is_some_and(|ended| ended.elapsed() > AGAIN) {
            scrub = Scrub::new();
        }
        if began.elapsed() < REST || scrub.ended.is_some() || registry.read_only().is_some() {
            continue;
        }
        let started = Instant::now();
        if scrub.block(&registry.shared).is_ok() {
            wait = (started.elapsed() * SHARE).min(LOOK * 4);
        }
    }
}

/// Keeps the state where enough was entered since: row by row beside other writes, then its head.
fn keep(registry: &Registry) -> R<()> {
    let (face, snapshots) = (&registry.shared.face, &registry.shared.snapshots);
    let published = face.published();
    if !face.leads() || published.head.size < snapshots.size() + EVERY {
        return Ok(());
    }
    let Some(mut pending) = snapshots.prepare(&published)? else { return Ok(()) };
    registry.write(snapshot::tidy)?;
    let size = pending.size;
    let rows = std::mem::take(&mut pending.rows);
    // Each part waits for its batch. A fixed number of parts bounds how many entries are made meanwhile; parts of a fixed
    // size would need more batches the more was entered, and under load the kept state would fall behind for good.
    let part = rows.len().div_ceil(PARTS).max(snapshot::PART);
    for part in rows.chunks(part) {
        let part = part.to_vec();
        registry.write(move |db| snapshot::put(db, &part, size))?;
    }
    let finished = pending.finished();
    registry.write(move |db| pending.seal(db))?;
    snapshots.finish(finished);
    for part in rows.chunks(part) {
        let part = part.to_vec();
        registry.write(move |db| snapshot::clean(db, &part, size))?;
    }
    Ok(())
}
