//! The one writer: a thread that takes what is queued, at most 1,024 commands, into one transaction, and hands them to
//! a second thread that makes the receipts and answers, after the commit is on the disk. It never waits for a fuller
//! batch.
//!
//! Log order = commit order = state order. One refusal does not spoil a batch; when the database itself fails, the
//! commands of the batch are tried once more one by one. With PostgreSQL the writer may have to follow another process
//! that writes, see `follow`.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use policies::lifecycle::{Replay, State};
use schemas::event::Body;
use schemas::log::CheckpointRef;
use schemas::{Code, R, Refusal};

use crate::Options;
use crate::conn::{self, Db, Place};
use crate::enter::{self, EntryRow};
use crate::error::{Fault, OVERTAKEN};
use crate::face::{Face, Published};
use crate::lineage;
use crate::snapshot::Snapshots;
use crate::tables::log_head;
use crate::tiles::{Edge, Grown, Nodes, Tile, Tree};

/// Commands that may wait; one more is refused with `UNAVAILABLE`.
pub(crate) const QUEUE: usize = 4096;
/// Commands of one transaction.
const BATCH: usize = 1024;
/// Batches that may wait for their receipts.
const ANSWERS: usize = 8;
/// How often a follower looks for new entries, and a writer without work at its connection.
const LOOK: Duration = Duration::from_millis(100);
const PING: Duration = Duration::from_secs(1);

/// Something to be written.
pub(crate) trait Command: Send {
    /// Writes within the batch's transaction. An `Err` is the whole batch's; a refusal of this command alone is kept.
    fn run(&mut self, db: &mut Db, work: &mut Work) -> Result<(), Fault>;
    /// Answers the caller, after the commit or with its failure.
    fn answer(self: Box<Self>, outcome: R<&Sealed>);
}

/// The memory of the log: state, chains and both trees.
#[derive(Clone)]
pub(crate) struct Memory {
    pub(crate) replay: Replay,
    pub(crate) log: Edge,
    pub(crate) twin: Edge,
}

impl Memory {
    pub(crate) fn new() -> Memory {
        Memory { replay: Replay::new(), log: Edge::new(Tree::Log), twin: Edge::new(Tree::Twin) }
    }

    pub(crate) fn head(&self) -> CheckpointRef {
        CheckpointRef { size: self.log.size(), root: self.log.root() }
    }
}

/// A batch being written: becomes the writer's memory after the commit.
pub(crate) struct Work {
    pub(crate) memory: Memory,
    /// Rows of new entries, written at the end.
    pub(crate) rows: Vec<EntryRow>,
    pub(crate) log: Grown,
    pub(crate) twin: Grown,
    /// Why no entry is made now.
    pub(crate) stopped: Option<Refusal>,
    /// Something was erased: the journal of the database is emptied after the commit.
    pub(crate) erased: bool,
}

impl Work {
    fn new(memory: &Memory, face: &Face) -> Work {
        Work {
            memory: memory.clone(),
            rows: Vec::new(),
            log: memory.log.grown(),
            twin: memory.twin.grown(),
            stopped: face.may_write(memory.log.size()).err(),
            erased: false,
        }
    }

    /// The state after what was entered so far.
    pub(crate) fn state(&self) -> &State {
        &self.memory.replay.state
    }
}

/// A committed batch: the tree that receipts are made from.
pub(crate) struct Sealed {
    pub(crate) size: u64,
    pub(crate) checkpoint: String,
    pub(crate) nodes: Nodes,
}

/// Commands with what became of their batch.
pub(crate) type Answers = (Vec<Box<dyn Command>>, R<Sealed>);

/// What the writer begins with.
pub(crate) struct Start {
    pub(crate) place: Place,
    pub(crate) memory: Memory,
    /// None for a follower.
    pub(crate) epoch: Option<i64>,
    pub(crate) options: Options,
    pub(crate) face: Arc<Face>,
    pub(crate) snapshots: Arc<Snapshots>,
    /// The first entry of a new log.
    pub(crate) genesis: Box<dyn FnMut() -> R<Box<dyn Command>> + Send>,
}

/// The writer's own.
pub(crate) struct Writer {
    pub(crate) start: Start,
    /// None while the connection is lost.
    pub(crate) db: Option<Db>,
    file: (u64, u64),
    fenced: bool,
    pub(crate) looked: Instant,
}

impl Start {
    pub(crate) fn writer(self, db: Db) -> R<Writer> {
        let fault = |e: std::io::Error| Refusal::new(Code::ConfigInvalid, format!("database: {e}"));
        let file = self.place.identity().map_err(fault)?;
        Ok(Writer { start: self, db: Some(db), file, fenced: false, looked: Instant::now() })
    }
}

impl Writer {
    /// Works until every sender is gone; `answers` ends with it.
    pub(crate) fn run(mut self, queue: &Receiver<Box<dyn Command>>, answers: &SyncSender<Answers>) {
        loop {
            match queue.recv_timeout(if self.start.epoch.is_some() { PING } else { LOOK }) {
                Ok(first) => {
                    self.start.face.pace.taken();
                    let mut batch = vec![first];
                    while batch.len() < BATCH {
                        match queue.try_recv() {
                            Ok(command) => {
                                self.start.face.pace.taken();
                                batch.push(command);
                            }
                            Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                        }
                    }
                    self.batch(batch, answers);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.looked.elapsed() > if self.start.epoch.is_some() { PING } else { LOOK } {
                self.look(answers);
            }
        }
        if let (Some(_), Some(db)) = (self.start.epoch, self.db.as_mut()) {
            let published = self.start.face.published();
            if let Err(fault) = self.start.snapshots.write_now(db, &published) {
                tracing::warn!(?fault, "the state could not be kept; the next start replays more entries");
            }
            conn::step_down(db);
        }
    }

    pub(crate) fn batch(&mut self, mut commands: Vec<Box<dyn Command>>, answers: &SyncSender<Answers>) {
        self.start.face.pace.wrote(commands.len());
        let outcome = self.attempt(&mut commands);
        let refusal = match outcome {
            Ok(sealed) => return drop(answers.send((commands, Ok(sealed)))),
            Err(Fault::Database(error)) if self.usable() && commands.len() > 1 => {
                tracing::warn!(cause = %error, "a batch failed; its commands are tried one by one");
                return commands.into_iter().for_each(|command| self.batch(vec![command], answers));
            }
            Err(Fault::Refused(_)) if commands.len() > 1 => {
                return commands.into_iter().for_each(|command| self.batch(vec![command], answers));
            }
            Err(fault) => fault.refusal(),
        };
        drop(answers.send((commands, Err(refusal))));
    }

    /// Whether the connection can go on after a fault; one that cannot is given up, and the log is followed until it
    /// can be written again.
    fn usable(&mut self) -> bool {
        let usable = match self.db.as_mut() {
            Some(Db::Sqlite(_)) => true,
            Some(db) => conn::alive(db),
            None => false,
        };
        if !usable {
            self.lose();
        }
        usable
    }

    /// Another process writes this log. With PostgreSQL it is followed from here on; with SQLite nothing is said or
    /// written here any more.
    pub(crate) fn fence(&mut self) {
        if let Some(Db::Pg(_)) = self.db {
            return self.lose();
        }
        if !self.fenced {
            self.fenced = true;
            self.start.face.set_leading(false);
            self.start.face.stop("another process writes it");
        }
    }

    /// A later build has brought the tables on: what they mean is not known here. The log is read on, and the writer's place is
    /// left to that build.
    pub(crate) fn give_way(&mut self) {
        if let Some(db) = self.db.as_mut() {
            conn::step_down(db);
        }
        self.lose();
        self.start.face.stop(OVERTAKEN);
    }

    /// Whether the database is where it was.
    pub(crate) fn in_place(&self) -> bool {
        self.start.place.identity().ok() == Some(self.file)
    }

    pub(crate) fn lose(&mut self) {
        self.db = None;
        self.start.epoch = None;
        self.start.face.set_leading(false);
    }

    fn attempt(&mut self, commands: &mut [Box<dyn Command>]) -> Result<Sealed, Fault> {
        if self.fenced {
            return Err(Fault::Fenced);
        }
        if !self.in_place() {
            return Err(Fault::Gone);
        }
        let asked = Instant::now();
        let (Some(epoch), Some(db)) = (self.start.epoch, self.db.as_mut()) else {
            return Err(Fault::NotWriter);
        };
        let mut work = Work::new(&self.start.memory, &self.start.face);
        let (old, options) = (self.start.memory.log.size(), &self.start.options);
        let written = conn::write(db, |db| {
            for command in commands.iter_mut() {
                command.run(db, &mut work)?;
            }
            if work.rows.is_empty() { Ok(None) } else { close(db, &mut work, old, epoch, options).map(Some) }
        });
        match &written {
            Err(Fault::Fenced) => self.fence(),
            Err(Fault::Overtaken(_)) => self.give_way(),
            _ => {}
        }
        let Some(checkpoint) = written? else {
            return Ok(Sealed { size: old, checkpoint: String::new(), nodes: Nodes::default() });
        };
        if work.erased
            && let Some(Db::Sqlite(db)) = self.db.as_mut()
        {
            // What was overwritten stands in the journal until then.
            drop(diesel::connection::SimpleConnection::batch_execute(db, "PRAGMA wal_checkpoint(TRUNCATE)"));
        }
        self.start.face.saw(asked);
        Ok(self.adopt(work, checkpoint))
    }

    /// After the commit: readers see the new state before any caller is answered.
    fn adopt(&mut self, work: Work, checkpoint: String) -> Sealed {
        let Work { memory, log, twin, .. } = work;
        let size = memory.log.size();
        self.show(memory, (log.full, twin.full), checkpoint.clone());
        Sealed { size, checkpoint, nodes: log.nodes }
    }

    /// Takes a new memory over and shows it.
    pub(crate) fn show(&mut self, memory: Memory, (log, twin): (Vec<Tile>, Vec<Tile>), note: String) {
        let face = &self.start.face;
        face.tiles.adopt(&memory.log, log);
        face.tiles.adopt(&memory.twin, twin);
        face.publish(Published::new(memory.replay.clone(), memory.log.root(), note));
        self.start.memory = memory;
    }
}

/// The end of a batch with entries: the second tree's root as its last entry, then all rows, tiles and the head.
fn close(db: &mut Db, work: &mut Work, old: u64, epoch: i64, options: &Options) -> Result<String, Fault> {
    let twin = Body::TwinRoot { size: work.memory.twin.size(), root: work.memory.twin.root() };
    let twin = signing::verify_body(twin, &options.registry, work.state(), &|_| None)?;
    let at = work.state().last_at();
    enter::own(work, twin, at)?;
    enter::insert(db, &work.rows)?;
    work.memory.log.write(db, old, &work.log)?;
    work.memory.twin.write(db, old, &work.twin)?;
    lineage::keep(db, &work.memory.head(), old, options, work.state())?;
    advance_head(db, &work.memory.head(), old, epoch, options.sign(&work.memory.head(), work.state())?.text())
}

/// Compare and set: the head moves from the size that this writer knows, in this writer's epoch, or not at all. The
/// checkpoint is signed inside the transaction, by the key in use at its end, and leaves it only with the commit.
pub(crate) fn advance_head(
    db: &mut Db,
    head: &CheckpointRef,
    old: u64,
    epoch: i64,
    checkpoint: String,
) -> Result<String, Fault> {
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

/// Makes the receipts and answers, batch after batch.
pub(crate) fn answer(batches: Receiver<Answers>) {
    for (commands, outcome) in batches {
        match &outcome {
            Ok(sealed) => commands.into_iter().for_each(|c| c.answer(Ok(sealed))),
            Err(refusal) => commands.into_iter().for_each(|c| c.answer(Err(refusal.clone()))),
        }
    }
}

/// The way from the writer to the answering thread.
pub(crate) fn answers() -> (SyncSender<Answers>, Receiver<Answers>) {
    std::sync::mpsc::sync_channel(ANSWERS)
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
