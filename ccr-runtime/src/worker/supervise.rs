//! A worker and its successors: where one dies, the next goes on from the last checkpoint, and nobody can tell the
//! difference from what comes out.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use schemas::worker::{Report, Resume, Start};
use schemas::{Code, R, Refusal};
use zeroize::Zeroizing;

pub use super::process::Socket;
use super::process::{self, Heard, Inputs, Silence, Started};
use super::{Delivered, failed};
use crate::checkpoint::{Kept, Vault};
use crate::open::Table;
use crate::weights::File;

/// How often the watcher is asked while the worker is silent.
const GLANCE: Duration = Duration::from_millis(200);
/// How long the pipe of a worker that was killed may take to end.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Workers that may die in one run. A worker that cannot live at all ends the run so, too.
pub const MOST_DEATHS: u32 = 5;

/// One training, whoever carries it out.
pub struct Work<'a> {
    /// The worker's binary.
    pub trainer: &'a Path,
    /// What each worker is told; `resume` is set here.
    pub start: Start,
    /// The tables. They stay until the training is done, since a successor needs them again.
    pub tables: Vec<Table>,
    /// The weights to begin with, where the training names any. They stay as long.
    pub weights: Option<File>,
    /// What seals and opens checkpoints.
    pub vault: &'a Vault,
    /// Seconds of silence after which a worker is stopped.
    pub patience: Duration,
    /// Whether a worker that finds itself in no network of its own refuses the work.
    pub apart: bool,
}

/// Asked at every glance (with nothing) and told every report; a refusal ends the training.
pub type Watch<'a> = &'a mut dyn FnMut(Option<&Report>) -> R<()>;

/// Carries a training to its end; the second part is how many steps may have been run, also where it failed.
pub fn supervise(work: Work<'_>, watch: Watch<'_>) -> (R<Delivered>, u32) {
    supervise_by(work, None, watch)
}

/// The same for a worker that trains with those of other rooms over this socket: where it dies, nobody goes on, since the
/// others are at a step that it was part of.
pub fn supervise_by(work: Work<'_>, mut socket: Option<Socket>, watch: Watch<'_>) -> (R<Delivered>, u32) {
    let Work { trainer, start, tables, weights, vault, patience, apart } = work;
    let inputs = Arc::new(Inputs { tables, weights });
    let mut training = Training { trainer, start, inputs, vault, patience, apart, kept: None, steps: 0 };
    let most_deaths = if socket.is_some() { 0 } else { MOST_DEATHS };
    let mut deaths = 0;
    loop {
        match training.attempt(socket.take(), watch) {
            Ok(delivered) => return (Ok(delivered), training.steps),
            Err(Silence::Wrong(refusal)) => return (Err(refusal), training.steps),
            Err(Silence::Died) if deaths < most_deaths => deaths += 1,
            Err(Silence::Died) => {
                let died = Refusal::new(Code::WorkerFailed, "the worker ended early");
                return (Err(died), training.steps);
            }
        }
    }
}

struct Training<'a> {
    trainer: &'a Path,
    start: Start,
    inputs: Arc<Inputs>,
    vault: &'a Vault,
    patience: Duration,
    apart: bool,
    /// The last checkpoint, sealed.
    kept: Option<Kept>,
    /// Steps that may have been run.
    steps: u32,
}

impl Training<'_> {
    /// One worker, from its start to its end.
    fn attempt(&mut self, socket: Option<Socket>, watch: Watch<'_>) -> Result<Delivered, Silence> {
        let state = match &self.kept {
            Some(kept) => Some(self.vault.open(kept).map_err(Silence::Wrong)?),
            None => None,
        };
        self.start.resume = match (&self.kept, &state) {
            (Some(kept), Some(state)) => Some(Resume { step: kept.step, bytes: state.len() as u64 }),
            _ => None,
        };
        let first = serde_json::to_vec(&self.start).map_err(|_| failed("the plan cannot be written"));
        let first = Zeroizing::new(first.map_err(Silence::Wrong)?);
        let started = process::start((self.trainer, self.apart), first, self.inputs.clone(), state, socket);
        let started = started.map_err(Silence::Wrong)?;
        let Started { worker, reports, feeder } = started;
        let delivered = self.follow(&reports, watch);
        // Killing the worker first unblocks a feeder that it did not read from.
        drop(worker);
        self.steps = self.steps.max(unheard(&reports));
        match (feeder.join(), delivered) {
            (Ok(Ok(())), delivered) => delivered,
            (_, Err(silence)) => Err(silence),
            (_, Ok(_)) => Err(Silence::Wrong(failed("it did not take its data"))),
        }
    }

    fn follow(&mut self, reports: &mpsc::Receiver<Heard>, watch: Watch<'_>) -> Result<Delivered, Silence> {
        let mut heard_at = Instant::now();
        loop {
            watch(None).map_err(Silence::Wrong)?;
            match reports.recv_timeout(GLANCE) {
                Ok(heard) => {
                    heard_at = Instant::now();
                    let (report, raw) = heard?;
                    self.steps = self.steps.max(reached(&report));
                    watch(Some(&report)).map_err(Silence::Wrong)?;
                    match (report, raw) {
                        (Report::Ready {} | Report::Progress { .. }, _) => {}
                        (Report::Checkpoint { step, .. }, Some(state)) => {
                            self.kept = Some(self.vault.seal(step, &state).map_err(Silence::Wrong)?);
                        }
                        (Report::Done(outcome), Some(model)) => return Ok(Delivered { outcome, model }),
                        (Report::Failed { code, .. }, _) => {
                            let code = Code::parse(&code).unwrap_or(Code::WorkerFailed);
                            let refusal = Refusal::new(code, "the worker refused its data or plan");
                            return Err(Silence::Wrong(refusal));
                        }
                        (Report::Checkpoint { .. } | Report::Done(_), None) => {
                            return Err(Silence::Wrong(failed("no frame came")));
                        }
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) if heard_at.elapsed() < self.patience => {}
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let silent = Refusal::new(Code::Timeout, "the worker is silent; it was stopped");
                    return Err(Silence::Wrong(silent));
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(Silence::Died),
            }
        }
    }
}

/// How many steps a worker that says this may have run: from `Ready` on an abort gives nothing back.
pub(super) fn reached(report: &Report) -> u32 {
    match report {
        Report::Progress { step, .. } | Report::Checkpoint { step, .. } => (*step).max(1),
        Report::Ready {} | Report::Done(_) => 1,
        Report::Failed { .. } => 0,
    }
}

/// How far a worker that has ended had got beyond what was heard of it: it says `Ready` before its first step, and what
/// it said lies in the pipe. A run that was stopped for another reason meanwhile gives no charge back for such steps.
pub(super) fn unheard(reports: &mpsc::Receiver<Heard>) -> u32 {
    let mut steps = 0;
    loop {
        let said = match reports.recv_timeout(LAST_WORDS) {
            Ok(Ok((report, _))) => reached(&report),
            Ok(Err(_)) => 0,
            Err(mpsc::RecvTimeoutError::Disconnected) => return steps,
            // The pipe is still held by somebody: what was said there is not known.
            Err(mpsc::RecvTimeoutError::Timeout) => return steps.max(1),
        };
        steps = steps.max(said);
    }
}
