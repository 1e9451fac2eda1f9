//! The worker as a process: started with nothing but a pipe pair, spoken to in frames, dead with its value.

use std::io::{BufReader, BufWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use schemas::worker::{MAX_MESSAGE, MAX_TABLE, Report};
use schemas::{Code, R, Refusal};
use zeroize::Zeroizing;

use crate::open::Table;

/// A worker process that dies with this value.
pub struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A frame in either direction, wiped when it is dropped.
pub type Frame = Zeroizing<Vec<u8>>;

/// Why nothing more is heard of a worker.
#[derive(Debug)]
pub enum Silence {
    /// Its process ended in the middle: another may go on where it was.
    Died,
    /// It said what no worker says.
    Wrong(Refusal),
}

/// A report, and the raw frame behind it where there is one.
pub type Heard = Result<(Report, Option<Frame>), Silence>;

/// A worker at work: its process, what it says, and the thread that feeds it.
pub struct Started {
    /// The process.
    pub worker: Worker,
    /// Its reports.
    pub reports: mpsc::Receiver<Heard>,
    /// Whether it took all of its data.
    pub feeder: JoinHandle<std::io::Result<()>>,
}

/// What every worker of a training gets again.
pub struct Inputs {
    /// The tables.
    pub tables: Vec<Table>,
    /// The weights to begin with.
    pub weights: Option<Frame>,
}

/// Standard input of a worker that trains with others: behind its data come packets, in both directions
/// ([`schemas::worker::Group`]).
pub struct Socket {
    /// The worker's end.
    pub theirs: UnixStream,
    /// This end, for its data; who switches packets has a clone.
    pub ours: UnixStream,
}

/// Starts a worker and feeds it its first frame, the tables, the weights and the state to go on from, where there are any.
/// `apart`, beside its binary: it refuses where it has no network of its own.
pub fn start(
    (trainer, apart): (&Path, bool),
    first: Frame,
    inputs: Arc<Inputs>,
    state: Option<Frame>,
    socket: Option<Socket>,
) -> R<Started> {
    let no_pipe = || super::failed("no pipe");
    let (theirs, ours) = socket.map_or((None, None), |socket| (Some(socket.theirs), Some(socket.ours)));
    let mut worker =
        spawn(trainer, apart, theirs.map_or_else(Stdio::piped, |theirs| Stdio::from(OwnedFd::from(theirs))))?;
    let stdin: Box<dyn Write + Send> = match ours {
        Some(ours) => Box::new(ours),
        None => Box::new(worker.0.stdin.take().ok_or_else(no_pipe)?),
    };
    let stdout = worker.0.stdout.take().ok_or_else(no_pipe)?;
    let feeder = std::thread::spawn(move || feed(stdin, &first, &inputs, state.as_ref()));
    Ok(Started { worker, reports: listen(stdout), feeder })
}

fn spawn(trainer: &Path, apart: bool, stdin: Stdio) -> R<Worker> {
    let child = Command::new(trainer)
        .args(apart.then_some("--apart"))
        .env_clear() // allocator and threads it settles itself: `settle` of the trainer
        .current_dir("/")
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    child
        .map(Worker)
        .map_err(|e| Refusal::new(Code::WorkerFailed, format!("{} cannot be started: {e}", trainer.display())))
}

fn feed(stdin: impl Write, first: &[u8], inputs: &Inputs, state: Option<&Frame>) -> std::io::Result<()> {
    let mut out = BufWriter::new(stdin);
    frame(&mut out, first)?;
    for table in &inputs.tables {
        frame(&mut out, &table.bytes)?;
    }
    for bytes in inputs.weights.as_ref().into_iter().chain(state) {
        frame(&mut out, bytes)?;
    }
    out.flush()
}

fn frame(out: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| std::io::Error::other("frame too large"))?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(bytes)
}

fn listen(stdout: impl Read + Send + 'static) -> mpsc::Receiver<Heard> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut input = BufReader::new(stdout);
        loop {
            let heard = hear(&mut input);
            let last = matches!(heard, Err(_) | Ok((Report::Done(_) | Report::Failed { .. }, _)));
            if send.send(heard).is_err() || last {
                return;
            }
        }
    });
    receive
}

fn hear(input: &mut impl Read) -> Heard {
    let wrong = |why| Silence::Wrong(super::failed(why));
    let bytes = read_frame(input, MAX_MESSAGE)?;
    let report: Report = schemas::canonical::parse(&bytes).map_err(|_| wrong("a report cannot be read"))?;
    let announced = match &report {
        Report::Done(outcome) => outcome.bytes,
        Report::Checkpoint { bytes, .. } => *bytes,
        _ => return Ok((report, None)),
    };
    let raw = read_frame(input, MAX_TABLE)?;
    if raw.len() as u64 != announced {
        return Err(wrong("a frame has another size than announced"));
    }
    Ok((report, Some(raw)))
}

fn read_frame(input: &mut impl Read, limit: usize) -> Result<Frame, Silence> {
    let died = |_| Silence::Died;
    let mut length = [0; 4];
    input.read_exact(&mut length).map_err(died)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > limit {
        return Err(Silence::Wrong(super::failed("a frame is too large")));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    input.take(length as u64).read_to_end(&mut bytes).map_err(died)?;
    if bytes.len() == length { Ok(bytes) } else { Err(Silence::Died) }
}

#[cfg(test)]
mod tests {
    use schemas::Digest;
    use schemas::worker::{NoiseSampler, Outcome};

    use super::super::supervise::unheard;
    use super::*;

    fn framed(parts: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for part in parts {
            frame(&mut out, part).unwrap();
        }
        out
    }

    fn done(bytes: u64) -> Vec<u8> {
        let outcome = Outcome {
            kind: "model".into(),
            bytes,
            sha256: Digest::of(b"abc"),
            steps: 1,
            noise_draws: 1,
            configuration: Digest([1; 32]),
            noise: NoiseSampler::DiscreteGaussian,
            metrics: None,
        };
        serde_json::to_vec(&Report::Done(outcome)).unwrap()
    }

    /// The code of what is wrong; none where the worker died.
    fn code(bytes: &[u8]) -> Option<Code> {
        match hear(&mut &*bytes).map(|_| ()).unwrap_err() {
            Silence::Died => None,
            Silence::Wrong(refusal) => Some(refusal.code),
        }
    }

    #[test]
    fn a_worker_is_told_to_be_apart() {
        for (apart, told) in [(true, "--apart\n"), (false, "\n")] {
            let mut worker = spawn(Path::new("/bin/echo"), apart, Stdio::null()).unwrap();
            let mut said = String::new();
            worker.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
            assert_eq!(said, told);
        }
    }

    #[test]
    fn what_a_stopped_worker_had_said_still_counts() {
        let ready = br#"{"report":"ready"}"#;
        let progress = br#"{"report":"progress","step":7,"steps":9}"#;
        let checkpoint = br#"{"report":"checkpoint","step":8,"bytes":3}"#;
        let steps = |said: Vec<u8>| unheard(&listen(std::io::Cursor::new(said)));
        assert_eq!(steps(framed(&[])), 0);
        assert_eq!(steps(framed(&[br#"{"report":"failed","code":"TABLE_FORM","sentence":"x"}"#])), 0);
        assert_eq!(steps(framed(&[ready])), 1);
        assert_eq!(steps(framed(&[ready, progress])), 7);
        assert_eq!(steps(framed(&[ready, progress, &progress[..5]])), 7);
        assert_eq!(steps(framed(&[ready, progress, checkpoint, b"abc"])), 8);
    }

    #[test]
    fn reports_are_read_strictly() {
        let (report, model) = hear(&mut &*framed(&[&done(3), b"abc"])).unwrap();
        assert!(matches!(report, Report::Done(_)));
        assert_eq!(model.unwrap().as_slice(), b"abc");
        assert!(matches!(hear(&mut &*framed(&[br#"{"report":"ready"}"#])).unwrap().0, Report::Ready {}));
        let checkpoint = br#"{"report":"checkpoint","step":8,"bytes":3}"#;
        assert_eq!(hear(&mut &*framed(&[checkpoint, b"abc"])).unwrap().1.unwrap().as_slice(), b"abc");

        assert_eq!(code(&framed(&[&done(4), b"abc"])), Some(Code::WorkerProtocol));
        assert_eq!(code(&framed(&[checkpoint, b"ab"])), Some(Code::WorkerProtocol));
        assert_eq!(code(&framed(&[br#"{"report":"ready","loss":"0.5"}"#])), Some(Code::WorkerProtocol));
        assert_eq!(code(&framed(&[br#"{"report":"rows","rows":3}"#])), Some(Code::WorkerProtocol));
        assert_eq!(code(&u32::MAX.to_be_bytes()), Some(Code::WorkerProtocol));
        for died in [framed(&[&done(3)]), framed(&[checkpoint]), vec![0, 0, 0, 9, b'{'], vec![]] {
            assert_eq!(code(&died), None);
        }
    }
}
