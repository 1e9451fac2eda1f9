//! The one writer: a thread that takes what is queued, at most 512 commands, into one transaction, and answers after
//! the commit is on the disk. It never waits for a fuller batch.
//!
//! Log order = commit order = state order. One refusal does not spoil a batch; when the database itself fails, the
//! commands of the batch are tried once more one by one.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::sync::{Arc, RwLock};

use diesel::prelude::*;
use policies::lifecycle::{Frontier, Link, State};
use schemas::log::CheckpointRef;
use schemas::{Code, Digest, R, Refusal, Signer};

use crate::conn::{self, Db};
use crate::error::Fault;
use crate::tables::log_head;

/// Commands that may wait; one more is refused with `UNAVAILABLE`.
pub(crate) const QUEUE: usize = 4096;
/// Commands of one transaction.
const BATCH: usize = 512;

/// Something to be written.
pub(crate) trait Command: Send {
    /// Writes within the batch's transaction. An `Err` is the whole batch's; a refusal of this command alone is kept.
    fn run(&mut self, db: &mut Db, work: &mut Work) -> Result<(), Fault>;
    /// Answers the caller, after the commit or with its failure.
    fn answer(self: Box<Self>, outcome: R<&Sealed>);
}

/// The memory of the log while a batch is being written: becomes the writer's own after the commit.
pub(crate) struct Work {
    pub(crate) state: State,
    pub(crate) frontier: Frontier,
    /// Complete subtrees: the right edge before the batch, and all that the batch completes.
    pub(crate) nodes: HashMap<(u8, u64), Digest>,
    /// Chains that the batch moved.
    pub(crate) moved: HashMap<String, Link>,
    /// Chains before the batch.
    pub(crate) chains: Arc<HashMap<String, Link>>,
    pub(crate) signer: Arc<dyn Signer>,
}

impl Work {
    /// Where a subject's chain stands.
    pub(crate) fn link(&self, subject: &str) -> Option<&Link> {
        self.moved.get(subject).or_else(|| self.chains.get(subject))
    }
}

/// A committed batch: the tree that receipts are made from.
pub(crate) struct Sealed {
    pub(crate) size: u64,
    pub(crate) checkpoint: String,
    pub(crate) nodes: HashMap<(u8, u64), Digest>,
}

/// What the writer starts from.
pub(crate) struct Memory {
    pub(crate) state: State,
    pub(crate) frontier: Frontier,
    pub(crate) chains: HashMap<String, Link>,
    pub(crate) epoch: i64,
}

/// The writer's own.
pub(crate) struct Writer {
    db: Db,
    state: Arc<RwLock<Arc<State>>>,
    frontier: Frontier,
    chains: Arc<HashMap<String, Link>>,
    epoch: i64,
    origin: String,
    signer: Arc<dyn Signer>,
    fenced: bool,
}

impl Writer {
    pub(crate) fn new(db: Db, memory: Memory, origin: String, signer: Arc<dyn Signer>) -> Writer {
        Writer {
            db,
            state: Arc::new(RwLock::new(Arc::new(memory.state))),
            frontier: memory.frontier,
            chains: Arc::new(memory.chains),
            epoch: memory.epoch,
            origin,
            signer,
            fenced: false,
        }
    }

    /// The state that readers see; replaced after each commit.
    pub(crate) fn published(&self) -> Arc<RwLock<Arc<State>>> {
        Arc::clone(&self.state)
    }

    /// Works until every sender is gone.
    pub(crate) fn run(mut self, queue: Receiver<Box<dyn Command>>) {
        while let Ok(first) = queue.recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH {
                match queue.try_recv() {
                    Ok(command) => batch.push(command),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
            self.batch(batch);
        }
    }

    fn batch(&mut self, mut commands: Vec<Box<dyn Command>>) {
        match self.attempt(&mut commands) {
            Ok(sealed) => commands.into_iter().for_each(|c| c.answer(Ok(&sealed))),
            Err(Fault::Fenced) => {
                let refusal = Fault::Fenced.refusal();
                commands.into_iter().for_each(|c| c.answer(Err(refusal.clone())));
            }
            Err(fault) => {
                let refusal = fault.refusal();
                if commands.len() < 2 {
                    commands.into_iter().for_each(|c| c.answer(Err(refusal.clone())));
                    return;
                }
                for command in commands {
                    self.batch(vec![command]);
                }
            }
        }
    }

    fn attempt(&mut self, commands: &mut [Box<dyn Command>]) -> Result<Sealed, Fault> {
        if self.fenced {
            return Err(Fault::Fenced);
        }
        let state = State::clone(&current(&self.state));
        let mut work = Work {
            state,
            frontier: self.frontier.clone(),
            nodes: self.frontier.peaks().map(|(level, index, hash)| ((level, index), hash)).collect(),
            moved: HashMap::new(),
            chains: Arc::clone(&self.chains),
            signer: Arc::clone(&self.signer),
        };
        let (old, epoch, origin) = (self.frontier.size(), self.epoch, self.origin.clone());
        let written = conn::write(&mut self.db, |db| {
            for command in commands.iter_mut() {
                command.run(db, &mut work)?;
            }
            if work.frontier.size() == old { Ok(String::new()) } else { advance_head(db, &work, old, epoch, &origin) }
        });
        if matches!(written, Err(Fault::Fenced)) {
            self.fenced = true;
        }
        let checkpoint = written?;
        let sealed = Sealed { size: work.frontier.size(), checkpoint, nodes: std::mem::take(&mut work.nodes) };
        self.adopt(work);
        Ok(sealed)
    }

    /// After the commit: readers see the new state before any caller is answered.
    fn adopt(&mut self, work: Work) {
        let Work { state, frontier, moved, chains, .. } = work;
        drop(chains);
        if frontier.size() == self.frontier.size() {
            return;
        }
        self.frontier = frontier;
        Arc::make_mut(&mut self.chains).extend(moved);
        *self.state.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = Arc::new(state);
    }
}

/// Compare and set: the head moves from the size that this writer knows, in this writer's epoch, or not at all. The
/// checkpoint is signed inside the transaction and leaves it only with the commit.
fn advance_head(db: &mut Db, work: &Work, old: u64, epoch: i64, origin: &str) -> Result<String, Fault> {
    let head = CheckpointRef { size: work.frontier.size(), root: work.frontier.root() };
    let checkpoint = signing::note::sign_checkpoint(origin, &head, work.signer.as_ref())?.text();
    let row = log_head::table
        .filter(log_head::id.eq(1))
        .filter(log_head::size.eq(old as i64))
        .filter(log_head::epoch.eq(epoch));
    let changes = (
        log_head::size.eq(head.size as i64),
        log_head::root.eq(head.root.0.to_vec()),
        log_head::checkpoint.eq(&checkpoint),
    );
    if diesel::update(row).set(changes).execute(db)? != 1 {
        return Err(Fault::Fenced);
    }
    Ok(checkpoint)
}

/// The published state.
pub(crate) fn current(state: &RwLock<Arc<State>>) -> Arc<State> {
    Arc::clone(&state.read().unwrap_or_else(|poisoned| poisoned.into_inner()))
}

/// A write beside the log: runs in a savepoint, so that its refusal leaves nothing behind.
pub(crate) struct Side<T, F> {
    act: F,
    result: Option<R<T>>,
    reply: SyncSender<R<T>>,
}

impl<T, F> Side<T, F> {
    pub(crate) fn new(act: F, reply: SyncSender<R<T>>) -> Side<T, F> {
        Side { act, result: None, reply }
    }
}

impl<T: Send, F: FnMut(&mut Db) -> Result<T, Fault> + Send> Command for Side<T, F> {
    fn run(&mut self, db: &mut Db, _: &mut Work) -> Result<(), Fault> {
        match db.transaction(|db| (self.act)(db)) {
            Ok(value) => self.result = Some(Ok(value)),
            Err(Fault::Refused(refusal)) => self.result = Some(Err(refusal)),
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: R<&Sealed>) {
        let unanswered = || Err(Refusal::new(Code::Internal, "a command without result"));
        let Side { result, reply, .. } = *self;
        let result = outcome.and_then(|_| result.unwrap_or_else(unanswered));
        // A caller that has gone away needs no answer.
        drop(reply.send(result));
    }
}
