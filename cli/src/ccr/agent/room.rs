//! One run: its room, and its member rooms where it has any, started or taken up again, listened to, stopped when the run
//! was aborted, and reported when they die.

use std::process::Command;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use contract_client::Client;
use nix::sys::signal::Signal;
use schemas::desk::Leased;
use schemas::id::RunId;
use schemas::{Code, R, Refusal};
use serde_json::{Value, json};

use super::kept::{self, Record};
use super::lines::Lines;
use super::members::{Elsewhere, Members};
use super::process::{End, Process};
use super::{Agent, News, Stop, TICK};

/// How often the run of a room is looked at for an abort from outside.
const LOOK: Duration = Duration::from_secs(2);
/// How long a room that is told to stop may take to say so to log and key services.
const GRACE: Duration = Duration::from_secs(10);

/// A room as its thread sees it.
struct Watched {
    client: Client,
    record: Record,
    process: Process,
    lines: Lines,
    members: Members,
    run_id: Option<RunId>,
    /// Whether it said how it ended.
    said_end: bool,
    send: Sender<News>,
}

/// Starts the rooms of an order, in a thread that ends with them.
pub(crate) fn carry_out(
    client: &Client,
    (agent, elsewhere): (&Agent, &Elsewhere),
    leased: Leased,
    stop: &Stop,
    send: Sender<News>,
) {
    let (client, agent, elsewhere, stop) = (client.clone(), agent.clone(), elsewhere.clone(), stop.clone());
    std::thread::spawn(move || {
        let job = leased.job_sha256;
        let say = |event: Value| drop(send.send(News::Said(event)));
        say(json!({"event": "agent_took", "job_sha256": job}));
        match start(client, (&agent, &elsewhere), &leased, &stop, send.clone()) {
            Ok(room) => room.follow(&stop),
            Err(refusal) => say(failed(&job.to_string(), &refusal)),
        }
        let _ = send.send(News::Ended);
    });
}

/// Takes up a run of an earlier agent.
pub(crate) fn take_up(client: &Client, record: Record, elsewhere: &Elsewhere, stop: &Stop, send: Sender<News>) {
    let (client, elsewhere, stop) = (client.clone(), elsewhere.clone(), stop.clone());
    std::thread::spawn(move || {
        let job = record.job_sha256.to_string();
        let found = || -> R<Watched> {
            let members = Members::found(&record, &elsewhere, send.clone())?;
            let (process, lines) = (Process::found(record.named()), Lines::of(&kept::lines(&record.folder))?);
            Ok(Watched::new(client, record, (process, lines), members, send.clone()))
        };
        match found() {
            Ok(room) => room.follow(&stop),
            Err(refusal) => drop(send.send(News::Said(failed(&job, &refusal)))),
        }
        let _ = send.send(News::Ended);
    });
}

fn failed(job: &str, refusal: &Refusal) -> Value {
    json!({"event": "agent_failed", "job_sha256": job, "code": refusal.code.as_str(), "sentence": refusal.sentence})
}

/// The members first, so that the room that leads knows where they wait.
fn start(
    client: Client,
    (agent, elsewhere): (&Agent, &Elsewhere),
    leased: &Leased,
    stop: &Stop,
    send: Sender<News>,
) -> R<Watched> {
    let folder = kept::open(&agent.work, leased)?;
    let members = Members::gather((agent, elsewhere), leased, &folder, stop, send.clone())?;
    let mut command = Command::new(&agent.ccr);
    command.arg("run").arg("--config").arg(&agent.config).arg("--bundle").arg(kept::bundle(&folder));
    for address in members.addresses() {
        command.arg("--member").arg(address);
    }
    // A claim on this one order for a minute, used up at check-in; no key of anything.
    command.env("DEPA_CCR_LEASE_TOKEN", &leased.lease_token);
    let path = kept::lines(&folder);
    let mut process = Process::start(&mut command, &path)?;
    let record = Record {
        job_sha256: leased.job_sha256,
        pid: process.named.pid,
        began: process.named.began,
        members: members.named(),
        elsewhere: members.lent.addresses.clone(),
        folder,
    };
    match record.keep().and_then(|()| Lines::of(&path)) {
        Ok(lines) => Ok(Watched::new(client, record, (process, lines), members, send)),
        Err(refusal) => {
            // A room that no later agent would find is none.
            process.kill();
            Err(refusal)
        }
    }
}

impl Watched {
    fn new(
        client: Client,
        record: Record,
        (process, lines): (Process, Lines),
        members: Members,
        send: Sender<News>,
    ) -> Watched {
        Watched { client, record, process, lines, members, run_id: None, said_end: false, send }
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
            let ended = self.process.ended();
            self.listen();
            self.members.listen();
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
                    self.process.named.signal(Signal::SIGKILL);
                    told = Some(Instant::now());
                }
                _ => {}
            }
            std::thread::sleep(TICK);
        };
        // Members hear from the room that leads how it ended; only then are they told by anybody else.
        self.members.end();
        self.report(&end);
        if let Err(refusal) = self.record.close() {
            self.say(failed(&self.record.job_sha256.to_string(), &refusal));
        }
    }

    /// Forwards the lines that came since.
    fn listen(&mut self) {
        for line in self.lines.next() {
            self.forward(&line);
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

    /// Tells the room to stop: it wipes its keys, says in the log what it still may, and ends its members.
    fn tell_to_stop(&self, why: &str) -> Instant {
        self.say(json!({"event": "agent_stops_room", "run_id": self.run_id, "why": why}));
        self.process.named.signal(Signal::SIGTERM);
        Instant::now()
    }

    /// Tells how it ended. A room that did not say so itself has died: its run stands in the log as it was, what it had
    /// reserved lapses by itself, and what was charged stays.
    fn report(&self, end: &End) {
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
        self.say(json!({"event": "agent_ended", "run_id": self.run_id, "exit": end.exit()}));
    }
}
