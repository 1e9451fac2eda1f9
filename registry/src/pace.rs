//! The writer's pace: what waits, and how much goes into one commit.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Registry;

/// How the writer works. Every command goes through exactly one batch, or is tried again alone where that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterPace {
    /// Commands that wait now.
    pub waiting: u64,
    /// Transactions since the start.
    pub batches: u64,
    /// Commands in them.
    pub commands: u64,
    /// Commands of the last one.
    pub last_batch: u64,
}

#[derive(Default)]
pub(crate) struct Pace {
    waiting: AtomicU64,
    batches: AtomicU64,
    commands: AtomicU64,
    last: AtomicU64,
}

impl Pace {
    pub(crate) fn queued(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// A command was taken from the queue, or did not come into it.
    pub(crate) fn taken(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn wrote(&self, commands: usize) {
        let commands = commands as u64;
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.commands.fetch_add(commands, Ordering::Relaxed);
        self.last.store(commands, Ordering::Relaxed);
    }
}

impl Registry {
    /// How the writer works.
    pub fn writer_pace(&self) -> WriterPace {
        let pace = &self.shared.face.pace;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        WriterPace {
            waiting: read(&pace.waiting),
            batches: read(&pace.batches),
            commands: read(&pace.commands),
            last_batch: read(&pace.last),
        }
    }
}
