//! The worker protocol (`schemas::worker`) from the starter's side, outside any room.

use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use schemas::worker::{MAX_MESSAGE, MAX_TABLE, Outcome, Report, Start};
use schemas::{Code, R, Refusal};
use zeroize::Zeroizing;

use super::{Prepared, Sample};

/// Trains in a process of its own; `tell` hears of steps done.
pub(super) fn train(
    trainer: &Path,
    start: &Start,
    prepared: &Prepared,
    tell: &mut dyn FnMut(u32, u32),
) -> R<(Outcome, Zeroizing<Vec<u8>>)> {
    let weights = prepared.weights.as_ref().map(|weights| weights.as_slice());
    let mut worker = Worker::start(trainer, start, &prepared.tables, weights)?;
    loop {
        let bytes = worker.frame(MAX_MESSAGE)?;
        let report: Report =
            schemas::canonical::parse(&bytes).map_err(|_| protocol("a report of the trainer cannot be read"))?;
        match report {
            Report::Ready {} => {}
            Report::Progress { step, steps } => tell(step, steps),
            Report::Checkpoint { .. } => drop(worker.frame(MAX_TABLE)?),
            Report::Done(outcome) => {
                let model = worker.frame(MAX_TABLE)?;
                worker.end()?;
                return Ok((outcome, model));
            }
            Report::Failed { code, sentence } => {
                let code = Code::parse(&code).unwrap_or(Code::WorkerFailed);
                return Err(Refusal::new(code, format!("the trainer refused: {sentence}")));
            }
        }
    }
}

/// A process that speaks frames; it dies with this value.
pub(super) struct Worker {
    child: Child,
    output: BufReader<ChildStdout>,
    feeder: Option<JoinHandle<std::io::Result<()>>>,
}

impl Worker {
    /// Starts a program and feeds it the first message, the tables and perhaps one frame more.
    pub(super) fn start(program: &Path, start: &Start, tables: &[Sample], last: Option<&[u8]>) -> R<Worker> {
        let fault = |e: std::io::Error| {
            let sentence = format!("{} cannot be started: {e}", program.display());
            Refusal::new(Code::WorkerFailed, sentence)
        };
        // As in the room: an empty environment, no argument, no standard error.
        let mut child = Command::new(program)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(fault)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(protocol("no pipe to the trainer"));
        };
        let first = serde_json::to_vec(start).map_err(|_| protocol("the plan cannot be written"))?;
        let frames: Vec<Zeroizing<Vec<u8>>> = std::iter::once(Zeroizing::new(first))
            .chain(tables.iter().map(|table| table.bytes.clone()))
            .chain(last.map(|bytes| Zeroizing::new(bytes.to_vec())))
            .collect();
        let feeder = std::thread::spawn(move || feed(input, &frames));
        Ok(Worker { child, output: BufReader::new(output), feeder: Some(feeder) })
    }

    /// The next frame.
    pub(super) fn frame(&mut self, most: usize) -> R<Zeroizing<Vec<u8>>> {
        let ended = |_| Refusal::new(Code::WorkerFailed, "the trainer ended early");
        let mut length = [0; 4];
        self.output.read_exact(&mut length).map_err(ended)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > most {
            return Err(protocol("a frame of the trainer is too large"));
        }
        let mut bytes = Zeroizing::new(Vec::new());
        self.output.by_ref().take(length as u64).read_to_end(&mut bytes).map_err(ended)?;
        if bytes.len() != length {
            return Err(Refusal::new(Code::WorkerFailed, "the trainer ended early"));
        }
        Ok(bytes)
    }

    /// Nothing more is expected: it took what it was fed.
    pub(super) fn end(&mut self) -> R<()> {
        match self.feeder.take().map(JoinHandle::join) {
            Some(Ok(Ok(()))) => Ok(()),
            _ => Err(protocol("the trainer did not take its data")),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn feed(input: impl Write, frames: &[Zeroizing<Vec<u8>>]) -> std::io::Result<()> {
    let mut out = BufWriter::new(input);
    for frame in frames {
        let length = u32::try_from(frame.len()).map_err(|_| std::io::Error::other("a frame is too large"))?;
        out.write_all(&length.to_be_bytes())?;
        out.write_all(frame)?;
    }
    out.flush()
}

fn protocol(sentence: &str) -> Refusal {
    Refusal::new(Code::WorkerProtocol, sentence)
}
