//! One room: started or taken up again, listened to, stopped when its run was aborted, and reported when it dies.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use contract_client::Client;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use schemas::desk::Leased;
use schemas::id::RunId;
use schemas::{Code, R, Refusal};
use serde_json::{Value, json};

use super::kept::{self, Record};
use super::{Agent, News, Stop, TICK};
use crate::edge;

/// How often the run of a room is looked at for an abort from outside.
const LOOK: Duration = Duration::from_secs(2);
/// How long a room that is told to stop may take to say so to log and key services.
const GRACE: Duration = Duration::from_secs(10);
/// The most output of a room that is read.
const MAX_OUTPUT: u64 = 64 * 1024 * 1024;
/// The longest line that is forwarded.
const MAX_LINE: usize = 64 * 1024;

/// A room as its thread sees it.
struct Watched {
    client: Client,
    record: Record,
    /// None for a room of an earlier agent.
    child: Option<Child>,
    lines: File,
    read: u64,
    line: Vec<u8>,
    run_id: Option<RunId>,
    /// Whether it said how it ended.
    said_end: bool,
    send: Sender<News>,
}

/// Starts the room of an order, in a thread that ends with it.
pub(crate) fn carry_out(client: &Client, agent: &Agent, leased: Leased, stop: &Stop, send: Sender<News>) {
    let (client, agent, stop) = (client.clone(), agent.clone(), stop.clone());
    std::thread::spawn(move || {
        let job = leased.job_sha256;
        let say = |event: Value| drop(send.send(News::Said(event)));
        say(json!({"event": "agent_took", "job_sha256": job}));
        match start(client, &agent, &leased, send.clone()) {
            Ok(room) => room.follow(&stop),
            Err(refusal) => say(failed(&job.to_string(), &refusal)),
        }
        let _ = send.send(News::Ended);
    });
}

/// Takes up a room of an earlier agent.
pub(crate) fn take_up(client: &Client, record: Record, stop: &Stop, send: Sender<News>) {
    let (client, stop) = (client.clone(), stop.clone());
    std::thread::spawn(move || {
        let path = kept::lines(&record.folder);
        let job = record.job_sha256.to_string();
        match File::open(&path).map_err(|e| edge::file_fault(&path, e)) {
            Ok(lines) => Watched::new(client, record, None, lines, send.clone()).follow(&stop),
            Err(refusal) => drop(send.send(News::Said(failed(&job, &refusal)))),
        }
        let _ = send.send(News::Ended);
    });
}

fn failed(job: &str, refusal: &Refusal) -> Value {
    json!({"event": "agent_failed", "job_sha256": job, "code": refusal.code.as_str(), "sentence": refusal.sentence})
}

fn start(client: Client, agent: &Agent, leased: &Leased, send: Sender<News>) -> R<Watched> {
    let fault = |why: String| Refusal::new(Code::WorkerFailed, format!("{}: {why}", agent.ccr.display()));
    let folder = kept::open(&agent.work, leased)?;
    let path = kept::lines(&folder);
    // A file and no pipe: the room outlives this agent, and the next one reads on.
    let out = edge::create_private(&path)?;
    let lines = File::open(&path).map_err(|e| edge::file_fault(&path, e))?;
    let mut child = Command::new(&agent.ccr)
        .arg("run")
        .arg("--config")
        .arg(&agent.config)
        .arg("--bundle")
        .arg(kept::bundle(&folder))
        // A claim on this one order for a minute, used up at check-in; no key of anything.
        .env("DEPA_CCR_LEASE_TOKEN", &leased.lease_token)
        // A signal to the agent's terminal is not one to its rooms.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|e| fault(format!("cannot be started: {e}")))?;
    let pid = child.id();
    let began = kept::stat(pid).map_or(0, |(_, began)| began);
    let record = Record { job_sha256: leased.job_sha256, pid, began, folder };
    if let Err(refusal) = record.keep() {
        // A room that no later agent would find is none.
        let _ = child.kill();
        let _ = child.wait();
        return Err(refusal);
    }
    Ok(Watched::new(client, record, Some(child), lines, send))
}

/// How a room ended.
enum End {
    /// With this exit code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// A room of an earlier agent: nobody was told.
    Unseen,
}

impl Watched {
    fn new(client: Client, record: Record, child: Option<Child>, lines: File, send: Sender<News>) -> Watched {
        let (line, run_id) = (Vec::new(), None);
        Watched { client, record, child, lines, read: 0, line, run_id, said_end: false, send }
    }

    fn say(&self, mut event: Value) {
        if let Value::Object(members) = &mut event {
            members.entry("job_sha256").or_insert_with(|| json!(self.record.job_sha256));
        }
        let _ = self.send.send(News::Said(event));
    }

    fn follow(mut self, stop: &Stop) {
        let mut looked = Instant::now();
        let mut told = None;
        let end = loop {
            let ended = self.ended();
            self.listen();
            if let Some(end) = ended {
                break end;
            }
            match told {
                None if stop.asked() > 1 => told = Some(self.tell_to_stop("the agent was told to stop at once")),
                None if looked.elapsed() >= LOOK => {
                    looked = Instant::now();
                    if self.aborted_from_outside() {
                        told = Some(self.tell_to_stop("the run was aborted"));
                    }
                }
                Some(since) if Instant::elapsed(&since) > GRACE => {
                    self.signal(Signal::SIGKILL);
                    told = Some(Instant::now());
                }
                _ => {}
            }
            std::thread::sleep(TICK);
        };
        self.report(&end);
        if let Err(refusal) = self.record.close() {
            self.say(failed(&self.record.job_sha256.to_string(), &refusal));
        }
    }

    /// Whether its process has ended, and how.
    fn ended(&mut self) -> Option<End> {
        match &mut self.child {
            Some(child) => match child.try_wait() {
                Ok(Some(status)) => Some(match (status.code(), status.signal()) {
                    (Some(code), _) => End::Exit(code),
                    (None, signal) => End::Signal(signal.unwrap_or(0)),
                }),
                Ok(None) => None,
                Err(_) => Some(End::Unseen),
            },
            None => (!self.record.lives()).then_some(End::Unseen),
        }
    }

    /// Forwards the lines that came since.
    fn listen(&mut self) {
        let mut buffer = [0; 8192];
        while self.read < MAX_OUTPUT {
            let count = match self.lines.read(&mut buffer) {
                Ok(count @ 1..) => count,
                _ => return,
            };
            self.read += count as u64;
            for byte in buffer.get(..count).unwrap_or_default() {
                match byte {
                    b'\n' => {
                        let line = std::mem::take(&mut self.line);
                        self.forward(&String::from_utf8_lossy(&line));
                    }
                    _ if self.line.len() < MAX_LINE => self.line.push(*byte),
                    _ => {}
                }
            }
        }
    }

    fn forward(&mut self, line: &str) {
        match serde_json::from_str::<Value>(line) {
            Ok(event @ Value::Object(_)) => {
                let word = event.get("event").and_then(Value::as_str).unwrap_or_default();
                self.said_end |= matches!(word, "completed" | "refused");
                if word == "checked_in" {
                    let id = event.get("run_id").and_then(Value::as_str);
                    self.run_id = id.and_then(|id| RunId::parse(id).ok());
                }
                self.say(event);
            }
            _ => self.say(json!({"event": "room_said", "text": line.chars().take(500).collect::<String>()})),
        }
    }

    /// Whether TDC, TDP or SRO stopped the run. A service that does not answer is asked again.
    fn aborted_from_outside(&self) -> bool {
        let state = self.run_id.as_ref().and_then(|id| self.client.run(id).ok());
        state.is_some_and(|view| view.state == "aborted")
    }

    /// Tells the room to stop: it wipes its keys, and says in the log what it still may.
    fn tell_to_stop(&self, why: &str) -> Instant {
        self.say(json!({"event": "agent_stops_room", "run_id": self.run_id, "why": why}));
        self.signal(Signal::SIGTERM);
        Instant::now()
    }

    /// Signals the room's own process, if it still is that one.
    fn signal(&self, signal: Signal) {
        if let (true, Ok(pid)) = (self.record.lives(), i32::try_from(self.record.pid)) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Tells how it ended. A room that did not say so itself has died: its run stands in the log as it was, what it had
    /// reserved lapses by itself, and what was charged stays.
    fn report(&self, end: &End) {
        let exit = match end {
            End::Exit(code) => json!(code),
            End::Signal(_) => json!(-1),
            End::Unseen => Value::Null,
        };
        if !self.said_end {
            let how = match end {
                End::Exit(code) => format!("it exited with {code} and without a last word"),
                End::Signal(signal) => format!("signal {signal} ended it"),
                End::Unseen => "it ended unseen and without a last word".to_owned(),
            };
            self.say(json!({
                "event": "agent_room_died", "run_id": self.run_id, "code": Code::WorkerFailed.as_str(), "sentence": how,
            }));
        }
        self.say(json!({"event": "agent_ended", "run_id": self.run_id, "exit": exit}));
    }
}
