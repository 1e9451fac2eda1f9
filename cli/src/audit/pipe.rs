//! Reading, hashing and signature arithmetic on all cores, folding on one: entries leave in the order of the log.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use schemas::id::Did;
use schemas::{Code, R, Refusal};

use super::ahead::{Checked, Known, check};
use super::line::{self, Line};
use super::source::Source;
use super::{Depth, tampered};

/// An entry that was read, with its early check of signatures.
pub type Read = (Line, Option<Checked>);

/// Hands these entries of a source to `fold`, in order. What cannot be read is refused in its place.
pub fn each(
    source: &mut dyn Source,
    entries: Range<u64>,
    depth: Depth,
    registry: &Did,
    fold: &mut dyn FnMut(Read) -> R<()>,
) -> R<()> {
    let workers = thread::available_parallelism().map_or(2, NonZero::get);
    let most = 4 * workers;
    let known = Known::default();
    // At most `most` batches are under way, so no sender ever waits for room.
    let (give, work) = sync_channel(2 * most);
    let (answer, done) = sync_channel(2 * most);
    let work = Mutex::new(work);
    thread::scope(|scope| {
        for _ in 0..workers {
            let (answer, work, known) = (answer.clone(), &work, &known);
            scope.spawn(move || while do_one(work, &answer, known, registry).is_some() {});
        }
        drop(answer);
        Conductor { give, done, known: &known, depth, most }.conduct(source, entries, fold)
    })
}

enum Work {
    Read(Vec<(u64, R<Vec<u8>>)>),
    Check(Vec<R<Line>>),
}

enum Done {
    Read(Vec<R<Line>>),
    Checked(Vec<R<Read>>),
}

type Numbered<T> = (u64, T);

/// One piece of work; `None` when there will be no more.
fn do_one(
    work: &Mutex<Receiver<Numbered<Work>>>,
    answer: &SyncSender<Numbered<Done>>,
    known: &Known,
    registry: &Did,
) -> Option<()> {
    let (n, work) = work.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()?;
    let done = match work {
        Work::Read(lines) => Done::Read(lines.into_iter().map(|(index, line)| read(index, line)).collect()),
        Work::Check(lines) => Done::Checked(
            lines
                .into_iter()
                .map(|line| {
                    line.map(|line| {
                        let checked = check(&line.entry.body, registry, known);
                        (line, checked)
                    })
                })
                .collect(),
        ),
    };
    answer.send((n, done)).ok()
}

fn read(index: u64, line: R<Vec<u8>>) -> R<Line> {
    line::read(&line?).map_err(|e| tampered(format!("entry {index}: {}: {}", e.code, e.sentence)))
}

struct Conductor<'a> {
    give: SyncSender<Numbered<Work>>,
    done: Receiver<Numbered<Done>>,
    known: &'a Known,
    depth: Depth,
    most: usize,
}

impl Conductor<'_> {
    fn conduct(self, source: &mut dyn Source, entries: Range<u64>, fold: &mut dyn FnMut(Read) -> R<()>) -> R<()> {
        let (mut index, size) = (entries.start, entries.end);
        let (mut read, mut ready) = (BTreeMap::new(), BTreeMap::new());
        let (mut sent, mut learnt, mut folded) = (0, 0, 0);
        loop {
            while ((sent - folded) as usize) < self.most && index < size {
                let batch = batch(source, &mut index, size);
                self.give(sent, Work::Read(batch))?;
                sent += 1;
            }
            if folded == sent {
                return Ok(());
            }
            match self.done.recv().map_err(|_| stopped())? {
                (n, Done::Read(lines)) => drop(read.insert(n, lines)),
                (n, Done::Checked(lines)) => drop(ready.insert(n, lines)),
            }
            // In the order of the log, so that a worker knows every key that stands before an entry.
            while let Some(mut lines) = read.remove(&learnt) {
                for line in lines.iter_mut().flatten() {
                    self.known.learn(std::mem::take(&mut line.brings));
                }
                match self.depth {
                    Depth::Everything => self.give(learnt, Work::Check(lines))?,
                    Depth::NoSignatures => {
                        ready.insert(learnt, lines.into_iter().map(|line| line.map(|l| (l, None))).collect());
                    }
                }
                learnt += 1;
            }
            while let Some(lines) = ready.remove(&folded) {
                for line in lines {
                    fold(line?)?;
                }
                folded += 1;
            }
        }
    }

    fn give(&self, n: u64, work: Work) -> R<()> {
        self.give.send((n, work)).map_err(|_| stopped())
    }
}

/// The next lines: at most [`BATCH`], or those that reach [`BATCH_BYTES`]. Nothing is read beyond a fault.
fn batch(source: &mut dyn Source, index: &mut u64, size: u64) -> Vec<(u64, R<Vec<u8>>)> {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    while *index < size && lines.len() < BATCH && bytes < BATCH_BYTES {
        let at = *index;
        let ends = || tampered(format!("entry {at}: the export ends before it"));
        let line = source.line(at).and_then(|line| line.ok_or_else(ends));
        bytes += line.as_ref().map_or(0, Vec::len);
        *index = if line.is_err() { size } else { at + 1 };
        lines.push((at, line));
    }
    lines
}

fn stopped() -> Refusal {
    Refusal::new(Code::Internal, "a worker of the audit stopped")
}

const BATCH: usize = 256;
const BATCH_BYTES: usize = 1024 * 1024;
