//! The provider's agent: takes queued runs one at a time and starts a `ccr` for each. It holds no data key and sees no
//! data; what it forwards are the public progress lines of the room.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use contract_client::Client;
use schemas::desk::Leased;
use schemas::{Code, Digest, R, Refusal};
use serde_json::{Value, json};

use crate::edge;

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
}

/// Asks the agent to stop: once = after the run that goes on, twice = at once.
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

/// Takes orders until stopped; a run that failed, or a service that cannot be reached, does not end it. `tell` gets one
/// JSON object per event: those of the agent (`agent_…`) and the lines of the room, each with the job's digest.
pub fn serve(client: &Client, agent: &Agent, stop: &Stop, tell: &mut dyn FnMut(&Value)) -> R<u32> {
    std::fs::create_dir_all(&agent.work).map_err(|e| edge::file_fault(&agent.work, e))?;
    tell(&json!({"event": "agent_ready", "service": client.url()}));
    let (mut done, mut pause) = (0, Duration::from_secs(1));
    while stop.asked() == 0 && agent.runs.is_none_or(|most| done < most) {
        match client.lease_order(agent.wait_seconds.min(20)) {
            Ok(Some(leased)) => {
                carry_out(agent, leased, stop, tell);
                done += 1;
                pause = Duration::from_secs(1);
            }
            Ok(None) => pause = Duration::from_secs(1),
            // The key is not that of a verified provider: trying again helps nobody.
            Err(refusal) if matches!(refusal.code, Code::Forbidden | Code::SignerUnknown) => return Err(refusal),
            Err(refusal) => {
                tell(&json!({"event": "agent_waiting", "code": refusal.code.as_str(), "sentence": refusal.sentence}));
                nap(pause, stop);
                pause = (pause * 2).min(Duration::from_secs(30));
            }
        }
    }
    tell(&json!({"event": "agent_stopped", "runs": done}));
    Ok(done)
}

/// One run, from its bundle file to the exit of its room.
fn carry_out(agent: &Agent, leased: Leased, stop: &Stop, tell: &mut dyn FnMut(&Value)) {
    let job = leased.job_sha256;
    tell(&json!({"event": "agent_took", "job_sha256": job}));
    let ended = bundle_file(&agent.work, &leased)
        .and_then(|bundle| start(agent, &bundle, &leased.lease_token, job, stop, tell));
    match ended {
        Ok(exit) => tell(&json!({"event": "agent_ended", "job_sha256": job, "exit": exit})),
        Err(refusal) => {
            tell(
                &json!({"event": "agent_failed", "job_sha256": job, "code": refusal.code.as_str(), "sentence": refusal.sentence}),
            );
        }
    }
}

/// Writes the bundle to a folder of its own; the same job taken again gets another folder.
fn bundle_file(work: &Path, leased: &Leased) -> R<PathBuf> {
    let folder = work.join(format!("{}-{}", leased.job_sha256.short(), edge::fresh().simple()));
    std::fs::create_dir(&folder).map_err(|e| edge::file_fault(&folder, e))?;
    let path = folder.join("job.bundle.json");
    edge::write_private(&path, &schemas::canonical::to_bytes(&leased.bundle)?)?;
    Ok(path)
}

/// Starts the room and forwards its lines until it ends; returns its exit code, -1 if it was killed.
fn start(
    agent: &Agent,
    bundle: &Path,
    lease_token: &str,
    job: Digest,
    stop: &Stop,
    tell: &mut dyn FnMut(&Value),
) -> R<i32> {
    let fault = |why: String| Refusal::new(Code::WorkerFailed, format!("{}: {why}", agent.ccr.display()));
    let mut room = Command::new(&agent.ccr)
        .arg("run")
        .arg("--config")
        .arg(&agent.config)
        .arg("--bundle")
        .arg(bundle)
        // A claim on this one order for a minute, used up at check-in; no key of anything.
        .env("DEPA_CCR_LEASE_TOKEN", lease_token)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|e| fault(format!("cannot be started: {e}")))?;
    let lines = room.stdout.take().ok_or_else(|| fault("has no output".into()))?;
    let (send, receive) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        // A room that does not speak in lines is not buffered without bound.
        for line in BufReader::new(lines.take(MAX_OUTPUT)).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    let ended = loop {
        match receive.recv_timeout(TICK) {
            Ok(line) => forward(&line, job, tell),
            // It has closed its output and lives on: look again in a while.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(TICK),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if stop.asked() > 1 {
            let _ = room.kill();
        }
        if let Some(status) = room.try_wait().map_err(|e| fault(e.to_string()))? {
            break status;
        }
    };
    let _ = reader.join();
    receive.try_iter().for_each(|line| forward(&line, job, tell));
    reap(room);
    Ok(ended.code().unwrap_or(-1))
}

fn forward(line: &str, job: Digest, tell: &mut dyn FnMut(&Value)) {
    match serde_json::from_str::<Value>(line) {
        Ok(Value::Object(mut members)) => {
            members.entry("job_sha256").or_insert_with(|| json!(job));
            tell(&Value::Object(members));
        }
        _ => {
            tell(&json!({"event": "room_said", "job_sha256": job, "text": line.chars().take(500).collect::<String>()}))
        }
    }
}

fn reap(mut room: Child) {
    let _ = room.wait();
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
const TICK: Duration = Duration::from_millis(100);
/// The most output of a room that is read.
const MAX_OUTPUT: u64 = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use schemas::bundle::{JobBundle, Logged};
    use schemas::log::{Receipt, Record};
    use schemas::{Envelope, Timestamp};

    use super::*;

    fn leased() -> Leased {
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
            log_keys: None,
        };
        Leased { job_sha256: Digest([7; 32]), lease_token: "claim".into(), bundle }
    }

    /// An agent whose room is a shell script.
    fn agent(script: &str) -> (Agent, PathBuf) {
        let dir = std::env::temp_dir().join(format!("depa-agent-{}", edge::fresh()));
        std::fs::create_dir_all(dir.join("work")).unwrap();
        let ccr = dir.join("ccr");
        std::fs::write(&ccr, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&ccr, std::fs::Permissions::from_mode(0o755)).unwrap();
        let agent = Agent { ccr, config: dir.join("ccr.toml"), work: dir.join("work"), wait_seconds: 1, runs: None };
        (agent, dir)
    }

    fn events(script: &str, stop: &Stop) -> Vec<Value> {
        let (agent, dir) = agent(script);
        let mut seen = Vec::new();
        carry_out(&agent, leased(), stop, &mut |event| seen.push(event.clone()));
        std::fs::remove_dir_all(dir).unwrap();
        seen
    }

    #[test]
    fn lines_of_the_room_are_forwarded_with_the_job() {
        let script = r#"echo '{"event":"training","step":1,"steps":2}'; echo "$1 $2 $4 $DEPA_CCR_LEASE_TOKEN ${6:-none}" | sed 's,/[^ ]*/,,g'; echo plain; cat "$5" >/dev/null && exit 6"#;
        let seen = events(script, &Stop::default());
        let words: Vec<&str> = seen.iter().map(|e| e["event"].as_str().unwrap()).collect();
        assert_eq!(words, ["agent_took", "training", "room_said", "room_said", "agent_ended"]);
        assert!(seen.iter().all(|e| e["job_sha256"] == json!(Digest([7; 32]))));
        assert_eq!(seen[2]["text"], "run --config --bundle claim none");
        assert_eq!(seen[4]["exit"], 6);
    }

    #[test]
    fn a_room_that_cannot_start_is_told_and_survived() {
        let (mut agent, dir) = agent("");
        agent.ccr = dir.join("missing");
        let mut seen = Vec::new();
        carry_out(&agent, leased(), &Stop::default(), &mut |event| seen.push(event.clone()));
        assert_eq!(seen[1]["event"], "agent_failed");
        assert_eq!(seen[1]["code"], "WORKER_FAILED");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn asked_twice_the_room_is_killed() {
        let stop = Stop::default();
        stop.ask();
        stop.ask();
        let seen = events("exec sleep 60", &stop);
        assert_eq!(seen.last().unwrap()["exit"], -1);
    }
}
