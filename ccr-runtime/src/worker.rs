//! The worker `ccr-trainer`: started with nothing but a pipe pair, watched, stopped when the lease is lost.
//!
//! It gets data, plan and one seed; no key, no network, no environment, no argument that depends on the run.

use std::io::{BufReader, BufWriter, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use policies::accountant::{Event, RdpVector};
use schemas::event::RunEventKind;
use schemas::text::Bytes;
use schemas::worker::{MAX_MESSAGE, MAX_TABLE, Outcome, Report, SeedBytes, Start, TableFormat, TableHead};
use schemas::{Code, R, Refusal};
use zeroize::Zeroizing;

use crate::admit::Admitted;
use crate::lease::Lease;
use crate::open::Table;
use crate::room::{Progress, Room};
use crate::run::Tell;
use crate::session::Session;

/// How often the lease is looked at while the worker is silent.
const GLANCE: Duration = Duration::from_millis(200);
/// How long the pipe of a worker that was killed may take to end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What a worker delivered; `policies::output` judges it before anything else happens.
pub struct Delivered {
    /// Its words.
    pub outcome: Outcome,
    /// The model in the clear.
    pub model: Zeroizing<Vec<u8>>,
}

/// A worker process that dies with this value.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn failed(why: &str) -> Refusal {
    Refusal::new(Code::WorkerProtocol, format!("worker: {why}"))
}

/// Trains: starts the worker, hands it the tables, follows its reports.
pub fn train(
    job: &Admitted,
    session: &mut Session,
    data: Vec<Table>,
    lease: &Lease,
    room: &Room,
    tell: Tell<'_>,
) -> R<Delivered> {
    crate::report::event(job, session, room, RunEventKind::Training {})?;
    let start = start_message(job, session, &data)?;
    let mut worker = spawn(room)?;
    let stdin = worker.0.stdin.take().ok_or_else(|| failed("no pipe"))?;
    let stdout = worker.0.stdout.take().ok_or_else(|| failed("no pipe"))?;
    let writer = std::thread::spawn(move || feed(stdin, &start, data));
    let reports = listen(stdout);
    let delivered = follow(job, session, &reports, lease, room, tell);
    // Killing the worker first unblocks a writer that it did not read from.
    drop(worker);
    session.steps_run = session.steps_run.max(unheard(&reports));
    match (writer.join(), delivered) {
        (Ok(Ok(())), delivered) => delivered,
        (_, Err(refusal)) => Err(refusal),
        (_, Ok(_)) => Err(failed("it did not take its data")),
    }
}

fn start_message(job: &Admitted, session: &Session, data: &[Table]) -> R<Zeroizing<Vec<u8>>> {
    let datasets = job.datasets()?;
    let mut tables = Vec::new();
    for table in data {
        let wanted = datasets.iter().find(|d| d.job.handle == table.handle);
        let wanted = wanted.ok_or_else(|| failed("a table has no contract"))?;
        let columns = wanted.offer.columns.iter().map(|c| c.name.clone()).collect();
        let media_type = wanted.offer.objects.first().map_or("", |object| object.media_type.as_str());
        let format = TableFormat::of_media_type(media_type);
        tables.push(TableHead { handle: table.handle.clone(), bytes: table.bytes.len() as u64, columns, format });
    }
    let seed = session.secret.worker_seed(&job.opened.job.digest())?;
    let start = Start {
        v: 1,
        tables,
        join: job.join.clone(),
        training: job.training.clone(),
        plan: job.plan.clone(),
        seed: SeedBytes(Bytes(seed.to_vec())),
    };
    serde_json::to_vec(&start).map(Zeroizing::new).map_err(|_| failed("the plan cannot be written"))
}

fn spawn(room: &Room) -> R<Worker> {
    let child = Command::new(&room.config.trainer)
        .env_clear()
        .env("OMP_NUM_THREADS", "1")
        .env("MKL_NUM_THREADS", "1")
        .env("MALLOC_ARENA_MAX", "1")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    child.map(Worker).map_err(|e| {
        Refusal::new(Code::WorkerFailed, format!("{} cannot be started: {e}", room.config.trainer.display()))
    })
}

fn frame(out: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| std::io::Error::other("frame too large"))?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(bytes)
}

fn feed(stdin: impl Write, start: &[u8], data: Vec<Table>) -> std::io::Result<()> {
    let mut out = BufWriter::new(stdin);
    frame(&mut out, start)?;
    for table in data {
        frame(&mut out, &table.bytes)?;
    }
    out.flush()
}

/// A report, and the raw frame behind `Done`.
type Heard = R<(Report, Option<Zeroizing<Vec<u8>>>)>;

fn listen(stdout: impl Read + Send + 'static) -> mpsc::Receiver<Heard> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut input = BufReader::new(stdout);
        loop {
            let heard = hear(&mut input);
            let last = !matches!(heard, Ok((Report::Ready {} | Report::Progress { .. }, _)));
            if send.send(heard).is_err() || last {
                return;
            }
        }
    });
    receive
}

fn hear(input: &mut impl Read) -> Heard {
    let bytes = read_frame(input, MAX_MESSAGE)?;
    let report: Report = schemas::canonical::parse(&bytes).map_err(|_| failed("a report cannot be read"))?;
    let model = match &report {
        Report::Done(outcome) => {
            let model = read_frame(input, MAX_TABLE)?;
            if model.len() as u64 != outcome.bytes {
                return Err(failed("the model has another size"));
            }
            Some(model)
        }
        _ => None,
    };
    Ok((report, model))
}

fn read_frame(input: &mut impl Read, limit: usize) -> R<Zeroizing<Vec<u8>>> {
    let ended = |_| Refusal::new(Code::WorkerFailed, "the worker ended early");
    let mut length = [0; 4];
    input.read_exact(&mut length).map_err(ended)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > limit {
        return Err(failed("a frame is too large"));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    input.take(length as u64).read_to_end(&mut bytes).map_err(ended)?;
    if bytes.len() != length {
        return Err(Refusal::new(Code::WorkerFailed, "the worker ended early"));
    }
    Ok(bytes)
}

fn follow(
    job: &Admitted,
    session: &mut Session,
    reports: &mpsc::Receiver<Heard>,
    lease: &Lease,
    room: &Room,
    tell: Tell<'_>,
) -> R<Delivered> {
    let patience = Duration::from_secs(room.config.worker_timeout_seconds);
    let mut heard_at = Instant::now();
    loop {
        if lease.is_lost() {
            return Err(crate::run::lease_lost(lease.cause()));
        }
        room.goes_on()?;
        match reports.recv_timeout(GLANCE) {
            Ok(heard) => {
                heard_at = Instant::now();
                match heard? {
                    // From `Ready` on steps may have been run: an abort gives nothing back.
                    (Report::Ready {}, _) => session.steps_run = session.steps_run.max(1),
                    (Report::Progress { step, .. }, _) => {
                        session.steps_run = session.steps_run.max(step);
                        let epsilon = epsilon_at(job, step);
                        tell(Progress::Training { step, steps: job.plan.steps, epsilon });
                    }
                    (Report::Done(outcome), Some(model)) => return Ok(Delivered { outcome, model }),
                    (Report::Done(_), None) => return Err(failed("no model came")),
                    (Report::Failed { code, .. }, _) => {
                        let code = Code::parse(&code).unwrap_or(Code::WorkerFailed);
                        return Err(Refusal::new(code, "the worker refused its data or plan"));
                    }
                }
            }
            Err(mpsc::RecvTimeoutError::Timeout) if heard_at.elapsed() < patience => {}
            Err(mpsc::RecvTimeoutError::Timeout) => {
                return Err(Refusal::new(Code::Timeout, "the worker is silent; it was stopped"));
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(Refusal::new(Code::WorkerFailed, "the worker ended early"));
            }
        }
    }
}

/// How far a worker that has ended had got beyond what was heard of it: it says `Ready` before its first step, and what
/// it said lies in the pipe. A run that was stopped for another reason meanwhile gives no charge back for such steps.
fn unheard(reports: &mpsc::Receiver<Heard>) -> u32 {
    let mut steps = 0;
    loop {
        let said = match reports.recv_timeout(LAST_WORDS) {
            Ok(Ok((Report::Progress { step, .. }, _))) => step.max(1),
            Ok(Ok((Report::Ready {} | Report::Done(_), _))) => 1,
            Ok(Ok((Report::Failed { .. }, _)) | Err(_)) => 0,
            Err(mpsc::RecvTimeoutError::Disconnected) => return steps,
            // The pipe is still held by somebody: what was said there is not known.
            Err(mpsc::RecvTimeoutError::Timeout) => return steps.max(1),
        };
        steps = steps.max(said);
    }
}

/// ε of the training after `step` steps at the plan's δ: a public figure, for people only.
fn epsilon_at(job: &Admitted, step: u32) -> f64 {
    let plan = &job.plan;
    let spent = Event::SampledGaussian {
        noise_multiplier: plan.noise_multiplier.value(),
        sample_rate: plan.sample_rate.value(),
        steps: step.max(1),
    };
    RdpVector::of(&[spent]).map_or(f64::INFINITY, |v| v.epsilon(job.training.delta.value()))
}

#[cfg(test)]
mod tests {
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
            sha256: schemas::Digest::of(b"abc"),
            steps: 1,
            noise_draws: 1,
            metrics: None,
        };
        serde_json::to_vec(&Report::Done(outcome)).unwrap()
    }

    fn code(bytes: &[u8]) -> Code {
        hear(&mut &*bytes).map(|_| ()).unwrap_err().code
    }

    #[test]
    fn what_a_stopped_worker_had_said_still_counts() {
        let ready = br#"{"report":"ready"}"#;
        let progress = br#"{"report":"progress","step":7,"steps":9}"#;
        let steps = |said: Vec<u8>| unheard(&listen(std::io::Cursor::new(said)));
        assert_eq!(steps(framed(&[])), 0);
        assert_eq!(steps(framed(&[br#"{"report":"failed","code":"TABLE_FORM","sentence":"x"}"#])), 0);
        assert_eq!(steps(framed(&[ready])), 1);
        assert_eq!(steps(framed(&[ready, progress])), 7);
        assert_eq!(steps(framed(&[ready, progress, &progress[..5]])), 7);
    }

    #[test]
    fn reports_are_read_strictly() {
        let (report, model) = hear(&mut &*framed(&[&done(3), b"abc"])).unwrap();
        assert!(matches!(report, Report::Done(_)));
        assert_eq!(model.unwrap().as_slice(), b"abc");
        assert!(matches!(hear(&mut &*framed(&[br#"{"report":"ready"}"#])).unwrap().0, Report::Ready {}));

        assert_eq!(code(&framed(&[&done(4), b"abc"])), Code::WorkerProtocol);
        assert_eq!(code(&framed(&[&done(3)])), Code::WorkerFailed);
        assert_eq!(code(&framed(&[br#"{"report":"ready","loss":"0.5"}"#])), Code::WorkerProtocol);
        assert_eq!(code(&framed(&[br#"{"report":"rows","rows":3}"#])), Code::WorkerProtocol);
        assert_eq!(code(&[0, 0, 0, 9, b'{']), Code::WorkerFailed);
        assert_eq!(code(&u32::MAX.to_be_bytes()), Code::WorkerProtocol);
        assert_eq!(code(&[]), Code::WorkerFailed);
    }
}
