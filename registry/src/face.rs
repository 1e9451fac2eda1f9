//! What readers see: the state, the signed head and the tiles after the last commit, and why nothing may be written.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use policies::lifecycle::{Replay, State};
use schemas::log::CheckpointRef;
use schemas::{Code, Digest, R, Refusal};

use crate::pace::Pace;
use crate::scrub::ScrubStatus;
use crate::tiles::Tiles;

/// How long nothing is said of a log that could neither be read nor written.
const STALE: Duration = Duration::from_secs(5);

/// The log after a commit. Does not change under its holder.
pub(crate) struct Published {
    pub(crate) state: Arc<State>,
    /// The same state with its chains; a clone of it is cheap.
    pub(crate) replay: Replay,
    pub(crate) head: CheckpointRef,
    /// The signed head; empty before the first entry.
    pub(crate) note: String,
}

impl Published {
    pub(crate) fn new(replay: Replay, root: Digest, note: String) -> Published {
        let head = CheckpointRef { size: replay.state.size(), root };
        Published { state: Arc::new(replay.state.clone()), replay, head, note }
    }
}

/// Shared by the writer and all readers of one process.
pub(crate) struct Face {
    published: RwLock<Arc<Published>>,
    pub(crate) tiles: Tiles,
    /// Why nothing is entered any more.
    stopped: RwLock<Option<Refusal>>,
    /// What a witness has seen of this log.
    witnessed: RwLock<Option<CheckpointRef>>,
    leading: AtomicBool,
    opened: Instant,
    /// Milliseconds after `opened` at which the database last said that the published log is the newest.
    seen: AtomicU64,
    pub(crate) scrub: Mutex<ScrubStatus>,
    pub(crate) pace: Arc<Pace>,
    /// Entries that the start replayed.
    pub(crate) replayed: u64,
}

impl Face {
    pub(crate) fn new(published: Published, leading: bool, replayed: u64) -> Face {
        Face {
            published: RwLock::new(Arc::new(published)),
            tiles: Tiles::default(),
            stopped: RwLock::new(None),
            witnessed: RwLock::new(None),
            leading: AtomicBool::new(leading),
            opened: Instant::now(),
            seen: AtomicU64::new(0),
            scrub: Mutex::new(ScrubStatus::default()),
            pace: Arc::default(),
            replayed,
        }
    }

    pub(crate) fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published.read().unwrap_or_else(|p| p.into_inner()))
    }

    pub(crate) fn publish(&self, published: Published) {
        *self.published.write().unwrap_or_else(|p| p.into_inner()) = Arc::new(published);
    }

    pub(crate) fn leads(&self) -> bool {
        self.leading.load(Ordering::Acquire)
    }

    pub(crate) fn set_leading(&self, leading: bool) {
        self.leading.store(leading, Ordering::Release);
    }

    /// The database says, as of a moment, that the published log is the newest. The moment is before the question.
    pub(crate) fn saw(&self, asked: Instant) {
        let millis = asked.saturating_duration_since(self.opened).as_millis();
        self.seen.fetch_max(u64::try_from(millis).unwrap_or(u64::MAX), Ordering::AcqRel);
    }

    /// Refuses where the published log may be old.
    pub(crate) fn fresh(&self) -> R<()> {
        let seen = Duration::from_millis(self.seen.load(Ordering::Acquire));
        if self.opened.elapsed().saturating_sub(seen) < STALE {
            return Ok(());
        }
        Err(Refusal::new(
            Code::Unavailable,
            "the log could not be read for some seconds; what is known here may be old",
        ))
    }

    /// Nothing is entered from here on; the first reason stays.
    pub(crate) fn stop(&self, why: &str) {
        let mut stopped = self.stopped.write().unwrap_or_else(|p| p.into_inner());
        if stopped.is_none() {
            tracing::error!(why, "the log is read-only from here on");
            *stopped = Some(Refusal::new(Code::ReadOnly, format!("the log is read-only: {why}")));
        }
    }

    pub(crate) fn witness(&self, head: CheckpointRef) {
        let mut known = self.witnessed.write().unwrap_or_else(|p| p.into_inner());
        if known.as_ref().is_none_or(|k| k.size < head.size) {
            *known = Some(head);
        }
    }

    /// Whether entries may be made on a log of this size.
    pub(crate) fn may_write(&self, size: u64) -> R<()> {
        if let Some(refusal) = &*self.stopped.read().unwrap_or_else(|p| p.into_inner()) {
            return Err(refusal.clone());
        }
        match &*self.witnessed.read().unwrap_or_else(|p| p.into_inner()) {
            Some(seen) if seen.size > size => Err(Refusal::new(
                Code::ReadOnly,
                format!("the log is read-only: a witness has seen {} entries, here are {size}", seen.size),
            )),
            _ => Ok(()),
        }
    }
}
