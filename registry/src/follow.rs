//! Following another process that writes the log (PostgreSQL): new entries are read, checked against the signed head and
//! folded, within a fraction of a second. Whoever gets the advisory lock of a writer that has died goes on writing.

use std::sync::mpsc::SyncSender;
use std::time::Instant;

use schemas::{Code, Refusal};

use crate::conn::{self, Db};
use crate::error::{Fault, OVERTAKEN, tampered};
use crate::load;
use crate::snapshot;
use crate::step::Growth;
use crate::writer::{Answers, Memory, Writer};

/// New memory, its full tiles of both trees and its signed head.
type News = (Memory, Growth, String);

impl Writer {
    /// A look at the log between commands: a follower reads on and tries to become the writer; a writer sees whether its
    /// connection still stands.
    pub(crate) fn look(&mut self, answers: &SyncSender<Answers>) {
        self.looked = Instant::now();
        if let Some(epoch) = self.start.epoch {
            return self.still_writes(epoch);
        }
        if self.db.is_none() {
            self.db = self.start.place.connect().ok();
        }
        match self.follow() {
            Ok(true) => self.begin(answers),
            Ok(false) => {}
            Err(Fault::Refused(refusal)) if refusal.code != Code::Unavailable => {
                self.start.face.stop(&refusal.sentence);
            }
            Err(_) => self.db = None,
        }
    }

    /// A writer without work sees whether it is the writer still, and whether the tables are those that it knows.
    fn still_writes(&mut self, epoch: i64) {
        let asked = self.looked;
        match self.db.as_mut().map(|db| conn::not_overtaken(db).and_then(|()| conn::epoch(db))) {
            Some(Err(fault @ Fault::Overtaken(_))) => {
                drop(fault.refusal());
                self.give_way();
            }
            Some(Ok(now)) if now == epoch && self.in_place() => self.start.face.saw(asked),
            Some(Ok(now)) if now != epoch => self.fence(),
            _ if matches!(self.db, Some(Db::Pg(_))) => {
                tracing::warn!("the writer's connection was lost");
                self.lose();
            }
            // A file that is away may come back.
            _ => {}
        }
    }

    /// Reads on; true where this process may write from now on.
    fn follow(&mut self) -> Result<bool, Fault> {
        self.catch_up()?;
        let Some(db) = self.db.as_mut() else { return Ok(false) };
        if !conn::leads(db)? {
            return Ok(false);
        }
        // A later build may have brought the tables on while this one followed: it reads on, and leaves the place to that one.
        if let Err(refusal) = self.start.place.knows(db) {
            conn::step_down(db);
            // Callers learn why nothing is entered here, and not where the database is.
            return Err(Refusal { sentence: OVERTAKEN.to_owned(), ..refusal }.into());
        }
        // Nobody else can write now: the epoch first, so that a writer that only lost its lock is fenced, then the rest.
        let epoch = load::take_epoch(db)?;
        self.catch_up()?;
        let Some(db) = self.db.as_mut() else { return Ok(false) };
        let size = self.start.memory.log.size();
        conn::write(db, |db| {
            snapshot::tidy(db)?;
            if self.start.snapshots.load(db, size).is_err() {
                tracing::warn!("the kept state is not whole; it is written anew");
            }
            Ok(())
        })?;
        self.start.epoch = Some(epoch);
        self.start.face.set_leading(true);
        tracing::info!(epoch, size, "this process writes the log now");
        Ok(true)
    }

    fn catch_up(&mut self) -> Result<(), Fault> {
        let asked = Instant::now();
        let Some(db) = self.db.as_mut() else { return Ok(()) };
        if let Some((memory, growth, note)) = news(db, &self.start.memory, &self.start.options)? {
            self.show(memory, (growth.log.full, growth.twin.full), note);
        }
        self.start.face.saw(asked);
        Ok(())
    }

    /// The writer of an empty log makes its first entry.
    fn begin(&mut self, answers: &SyncSender<Answers>) {
        if self.start.memory.log.size() > 0 {
            return;
        }
        match (self.start.genesis)() {
            Ok(command) => self.batch(vec![command], answers),
            Err(refusal) => self.start.face.stop(&refusal.sentence),
        }
    }
}

/// What was entered since; none where nothing was.
fn news(db: &mut Db, memory: &Memory, options: &crate::Options) -> Result<Option<News>, Fault> {
    conn::steady(db, |db| {
        let head = load::head(db)?;
        if head.at == memory.head() {
            return Ok(None);
        }
        if head.at.size <= memory.log.size() {
            return Err(tampered("the log in the database went back or was changed").into());
        }
        let (mut memory, mut growth) = (memory.clone(), Growth::default());
        load::onward(db, &mut memory, head.at.size, u64::MAX, true, &mut growth)?;
        if memory.log.root() != head.at.root {
            return Err(tampered("new entries do not lead to the signed head").into());
        }
        load::check_signed(&head, &options.origin, &memory.replay.state)?;
        Ok(Some((memory, growth, head.note)))
    })
}
