//! The provider's agent: takes queued runs and starts a `ccr` for each, so many at a time as it was told. It holds no data
//! key and sees no data; what it forwards are the public progress lines of the rooms.
//!
//! Orders wait at the contract service, and an order whose room has not checked in goes back there after a minute. Rooms
//! are processes of their own: an agent that ends leaves them running, and the next one over the same folder takes them up
//! again (`kept`).

mod kept;
mod lines;
mod members;
mod process;
mod room;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use contract_client::Client;
use schemas::desk::Leased;
use schemas::{Code, R, Refusal};
use serde_json::{Value, json};

use crate::edge;
use members::Elsewhere;

/// The most rooms at once that an agent may be told to run.
pub const MOST_ROOMS: u32 = 64;

/// How an agent works.
#[derive(Clone, Debug)]
pub struct Agent {
    /// The `ccr` binary.
    pub ccr: PathBuf,
    /// Its configuration file.
    pub config: PathBuf,
    /// Folder for the bundles of runs.
    pub work: PathBuf,
    /// Seconds to wait for an order at the service, at most 20.
    pub wait_seconds: u32,
    /// Return after this many runs; none = until stopped.
    pub runs: Option<u32>,
    /// Runs at once, at least 1 and at most [`MOST_ROOMS`]. A machine whose evidence names its boot runs one.
    pub rooms: u32,
    /// Addresses of member rooms on other machines (`host:port`), for jobs that ask for several rooms: each is lent to one
    /// run at a time, and those that are missing are started on this machine.
    pub members: Vec<String>,
}

/// Asks the agent to stop: once = after the runs that go on, twice = at once.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicU8>);

impl Stop {
    /// One more request to stop.
    pub fn ask(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// How often it was asked.
    pub fn asked(&self) -> u8 {
        self.0.load(Ordering::SeqCst)
    }
}

/// What reaches the loop from its threads.
pub(crate) enum News {
    /// An answer to a request for work.
    Order(R<Option<Box<Leased>>>),
    /// An event to tell.
    Said(Value),
    /// A room has ended, and all was told of it.
    Ended,
}

/// Takes orders until stopped; a run that failed, or a service that cannot be reached, does not end it. `tell` gets one
/// JSON object per event: those of the agent (`agent_…`) and the lines of the rooms, each with the job's digest.
/// Returns how many runs it took.
pub fn serve(client: &Client, agent: &Agent, stop: &Stop, tell: &mut dyn FnMut(&Value)) -> R<u32> {
    if !(1..=MOST_ROOMS).contains(&agent.rooms) {
        let sentence = format!("an agent runs 1 to {MOST_ROOMS} rooms at once");
        return Err(Refusal::new(Code::ConfigInvalid, sentence).at("rooms"));
    }
    std::fs::create_dir_all(&agent.work).map_err(|e| edge::file_fault(&agent.work, e))?;
    tell(&json!({"event": "agent_ready", "service": client.url(), "rooms": agent.rooms}));
    let (send, news) = mpsc::channel();
    let (mut busy, elsewhere) = (0, Elsewhere::new(&agent.members));
    for record in kept::unfinished(&agent.work)? {
        tell(&json!({"event": "agent_found", "job_sha256": record.job_sha256, "pid": record.pid}));
        room::take_up(client, record, &elsewhere, stop, send.clone());
        busy += 1;
    }
    let mut desk = Desk { client: client.clone(), wait: agent.wait_seconds.min(20), asking: false, send: send.clone() };
    let (mut done, mut pause) = (0, Duration::from_secs(1));
    loop {
        let wanted = stop.asked() == 0 && agent.runs.is_none_or(|most| done < most);
        if wanted && busy < agent.rooms && !desk.asking {
            desk.ask();
        }
        if !wanted && busy == 0 && !desk.asking {
            break;
        }
        match news.recv_timeout(TICK) {
            Ok(News::Order(answer)) => {
                desk.asking = false;
                match answer {
                    Ok(Some(leased)) => {
                        room::carry_out(client, (agent, &elsewhere), *leased, stop, send.clone());
                        (busy, done) = (busy + 1, done + 1);
                        pause = Duration::from_secs(1);
                    }
                    Ok(None) => pause = Duration::from_secs(1),
                    // The key is not that of a verified provider: trying again helps nobody.
                    Err(refusal) if matches!(refusal.code, Code::Forbidden | Code::SignerUnknown) => {
                        return Err(refusal);
                    }
                    Err(refusal) => {
                        let (code, sentence) = (refusal.code.as_str(), refusal.sentence);
                        tell(&json!({"event": "agent_waiting", "code": code, "sentence": sentence}));
                        nap(pause, stop);
                        pause = (pause * 2).min(Duration::from_secs(30));
                    }
                }
            }
            Ok(News::Said(event)) => tell(&event),
            Ok(News::Ended) => busy -= 1,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
    tell(&json!({"event": "agent_stopped", "runs": done}));
    Ok(done)
}

/// The contract service, asked for work by a thread, one request at a time: rooms are looked after meanwhile.
struct Desk {
    client: Client,
    wait: u32,
    asking: bool,
    send: mpsc::Sender<News>,
}

impl Desk {
    fn ask(&mut self) {
        self.asking = true;
        let (client, wait, send) = (self.client.clone(), self.wait, self.send.clone());
        std::thread::spawn(move || {
            let answer = client.lease_order(wait).map(|order| order.map(Box::new));
            let _ = send.send(News::Order(answer));
        });
    }
}

fn nap(time: Duration, stop: &Stop) {
    let step = Duration::from_millis(100);
    let mut left = time;
    while stop.asked() == 0 && !left.is_zero() {
        std::thread::sleep(step.min(left));
        left = left.saturating_sub(step);
    }
}

/// How often a room is looked at that says nothing.
pub(crate) const TICK: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use schemas::bundle::{JobBundle, Logged};
    use schemas::log::{Receipt, Record};
    use schemas::{Digest, Envelope, Timestamp};

    use super::*;

    pub(super) fn leased() -> Leased {
        let zero = Digest([0; 32]);
        let at = Timestamp::from_seconds(1);
        let record = Record { v: 1, kind: "x".into(), subject: zero, seq: 1, at, body_sha256: zero, prev: zero };
        let receipt =
            Receipt { index: 0, record, body_salt: Default::default(), path: vec![], checkpoint: String::new() };
        let bundle = JobBundle {
            job: Envelope::new(vec![], vec![]),
            contracts: vec![],
            offers: vec![],
            participants: vec![],
            image_set: Logged { envelope: Envelope::new(vec![], vec![]), receipt },
            renewals: vec![],
            log_keys: None,
        };
        Leased { job_sha256: Digest([7; 32]), lease_token: "claim".into(), bundle }
    }

    /// An agent whose room is a shell script.
    pub(super) fn agent(script: &str) -> (Agent, PathBuf) {
        let dir = std::env::temp_dir().join(format!("depa-agent-{}", edge::fresh()));
        std::fs::create_dir_all(dir.join("work")).unwrap();
        let ccr = dir.join("ccr");
        std::fs::write(&ccr, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&ccr, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (config, work) = (dir.join("ccr.toml"), dir.join("work"));
        (Agent { ccr, config, work, wait_seconds: 1, runs: None, rooms: 1, members: vec![] }, dir)
    }

    /// A contract service that nobody runs.
    pub(super) fn nowhere() -> Client {
        Client::new("http://127.0.0.1:1", None).unwrap()
    }

    /// What is told of a room until it has ended.
    pub(super) fn told(news: &mpsc::Receiver<News>) -> Vec<Value> {
        let mut seen = Vec::new();
        while let News::Said(event) = news.recv_timeout(Duration::from_secs(60)).unwrap() {
            seen.push(event);
        }
        seen
    }

    fn events(script: &str, stop: &Stop) -> Vec<Value> {
        let (agent, dir) = agent(script);
        let (send, news) = mpsc::channel();
        room::carry_out(&nowhere(), (&agent, &Elsewhere::default()), leased(), stop, send);
        let seen = told(&news);
        assert_eq!(kept::unfinished(&agent.work).unwrap(), [], "nothing is left to take up");
        std::fs::remove_dir_all(dir).unwrap();
        seen
    }

    pub(super) fn words(seen: &[Value]) -> Vec<&str> {
        seen.iter().map(|e| e["event"].as_str().unwrap()).collect()
    }

    #[test]
    fn lines_of_the_room_are_forwarded_with_the_job() {
        let script = r#"echo '{"event":"training","step":1,"steps":2}'; echo "$1 $2 $4 $DEPA_CCR_LEASE_TOKEN ${6:-none}" | sed 's,/[^ ]*/,,g'; echo plain; cat "$5" >/dev/null && echo '{"event":"refused"}' && exit 6"#;
        let seen = events(script, &Stop::default());
        assert_eq!(words(&seen), ["agent_took", "training", "room_said", "room_said", "refused", "agent_ended"]);
        assert!(seen.iter().all(|e| e["job_sha256"] == json!(Digest([7; 32]))));
        assert_eq!(seen[2]["text"], "run --config --bundle claim none");
        assert_eq!(seen[5]["exit"], 6);
    }

    #[test]
    fn a_room_that_cannot_start_is_told_and_survived() {
        let (mut agent, dir) = agent("");
        agent.ccr = dir.join("missing");
        let (send, news) = mpsc::channel();
        room::carry_out(&nowhere(), (&agent, &Elsewhere::default()), leased(), &Stop::default(), send);
        let seen = told(&news);
        assert_eq!(words(&seen), ["agent_took", "agent_failed"]);
        assert_eq!(seen[1]["code"], "WORKER_FAILED");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn asked_twice_the_room_is_stopped() {
        let stop = Stop::default();
        stop.ask();
        stop.ask();
        let seen = events("exec sleep 60", &stop);
        assert_eq!(words(&seen), ["agent_took", "agent_stops_room", "agent_room_died", "agent_ended"]);
        assert_eq!(seen.last().unwrap()["exit"], -1);
        // One that catches the signal, once it is ready to, has the time for its own last word.
        let script = r#"trap 'echo "{\"event\":\"refused\"}"; exit 5' TERM; echo '{"event":"ready"}'; while :; do sleep 0.1; done"#;
        let ((agent, dir), stop) = (agent(script), Stop::default());
        let (send, news) = mpsc::channel();
        room::carry_out(&nowhere(), (&agent, &Elsewhere::default()), leased(), &stop, send);
        let mut seen = Vec::new();
        while let News::Said(event) = news.recv_timeout(Duration::from_secs(60)).unwrap() {
            if event["event"] == "ready" {
                stop.ask();
                stop.ask();
            }
            seen.push(event);
        }
        assert_eq!(words(&seen), ["agent_took", "ready", "agent_stops_room", "refused", "agent_ended"]);
        assert_eq!(seen.last().unwrap()["exit"], 5);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_room_that_dies_is_told_with_how() {
        for (script, how) in [("kill -9 $$", "signal 9"), ("exit 3", "exited with 3")] {
            let seen = events(script, &Stop::default());
            assert_eq!(words(&seen), ["agent_took", "agent_room_died", "agent_ended"]);
            assert_eq!(seen[1]["code"], "WORKER_FAILED");
            assert!(seen[1]["sentence"].as_str().unwrap().contains(how), "{seen:?}");
        }
    }

    #[test]
    fn a_room_of_an_earlier_agent_is_taken_up_and_its_lines_are_told_whole() {
        let (agent, dir) = agent(r#"echo '{"event":"early"}'; read word <"$0.go"; echo '{"event":"completed"}'"#);
        let gate = dir.join("ccr.go");
        assert!(std::process::Command::new("mkfifo").arg(&gate).status().unwrap().success());
        let (send, news) = mpsc::channel();
        room::carry_out(&nowhere(), (&agent, &Elsewhere::default()), leased(), &Stop::default(), send);
        let heard = |word: &str| {
            let wanted = |n: &News| matches!(n, News::Said(e) if e["event"] == word);
            while !wanted(&news.recv_timeout(Duration::from_secs(60)).unwrap()) {}
        };
        heard("early");
        // A second agent over the same folder; the first one is as good as gone.
        let [record] = kept::unfinished(&agent.work).unwrap().try_into().unwrap();
        assert!(record.named().lives());
        assert!(
            !kept::Record { began: record.began + 1, ..record.clone() }.named().lives(),
            "another process of this number"
        );
        let (send, later) = mpsc::channel();
        room::take_up(&nowhere(), record.clone(), &Elsewhere::default(), &Stop::default(), send);
        std::fs::write(&gate, "go\n").unwrap();
        let seen = told(&later);
        assert_eq!(words(&seen)[..2], ["early", "completed"]);
        assert_eq!(seen.last().unwrap()["event"], "agent_ended");
        assert!(!record.named().lives());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
