//! The member rooms of a run: a job that asks for several has one that leads (`ccr run`) and the others beside it
//! (`ccr member`). Those on other machines are lent from the addresses that the agent was told; what is missing then is
//! started here. They end with their run: by themselves, or told to, or killed.

use std::path::Path;
use std::process::Command;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use schemas::desk::Leased;
use schemas::job::MOST_ROOMS;
use schemas::{Code, Digest, R, Refusal};
use serde_json::{Value, json};

use super::kept;
use super::lines::Lines;
use super::process::{Named, Process};
use super::{Agent, News, Stop, TICK};

/// How long a member may take to listen: its run must check in within a minute of its order.
const LISTEN: Duration = Duration::from_secs(40);
/// Seconds after which a member gives up that no leader called: one whose agent was killed must not wait for ever.
const WITHIN: &str = "120";
/// How long members may take to end by themselves once their leader has.
const FAREWELL: Duration = Duration::from_secs(2);
/// And once they were told to.
const GRACE: Duration = Duration::from_secs(10);

/// How many members the job of an order asks for. One that cannot be read, or asks for what no job may, gets none: its
/// room refuses it by its own code.
pub(crate) fn asked(leased: &Leased) -> usize {
    let rooms = leased.bundle.job.read_unverified().ok().and_then(|job| job.rooms);
    rooms.filter(|rooms| (2..=MOST_ROOMS).contains(rooms)).map_or(0, |rooms| rooms as usize - 1)
}

/// Members on other machines that no run has now.
#[derive(Clone, Default)]
pub(crate) struct Elsewhere(Arc<Mutex<Vec<String>>>);

/// Members on other machines, for one run.
pub(crate) struct Lent {
    from: Elsewhere,
    /// Where they wait.
    pub addresses: Vec<String>,
}

impl Elsewhere {
    /// All that the agent was told.
    pub fn new(addresses: &[String]) -> Elsewhere {
        Elsewhere(Arc::new(Mutex::new(addresses.to_vec())))
    }

    fn free(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The first that are free, so many at most.
    pub fn lend(&self, most: usize) -> Lent {
        let mut free = self.free();
        let count = most.min(free.len());
        Lent { from: self.clone(), addresses: free.drain(..count).collect() }
    }

    /// Those that a run of an earlier agent has.
    pub fn lent_before(&self, addresses: &[String]) -> Lent {
        self.free().retain(|address| !addresses.contains(address));
        Lent { from: self.clone(), addresses: addresses.to_vec() }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.from.free().append(&mut self.addresses);
    }
}

/// A member on this machine.
struct Member {
    process: Process,
    lines: Lines,
    /// Where it waits, once it does.
    address: Option<String>,
    ended: bool,
}

/// The members of one run; those of this machine do not outlive this value.
pub(crate) struct Members {
    here: Vec<Member>,
    /// Those on other machines.
    pub lent: Lent,
    job_sha256: Digest,
    send: Sender<News>,
}

impl Members {
    /// Has as many members as the job asks for, each of which waits for its leader.
    pub fn gather(
        (agent, elsewhere): (&Agent, &Elsewhere),
        leased: &Leased,
        folder: &Path,
        stop: &Stop,
        send: Sender<News>,
    ) -> R<Members> {
        let asked = asked(leased);
        let lent = elsewhere.lend(asked);
        let missing = asked - lent.addresses.len();
        let mut members = Members { here: Vec::new(), lent, job_sha256: leased.job_sha256, send };
        for place in 1..=missing {
            let lines = kept::member_lines(folder, place);
            let mut command = Command::new(&agent.ccr);
            command.arg("member").arg("--config").arg(&agent.config);
            command.args(["--listen", "127.0.0.1:0", "--within", WITHIN]);
            let process = Process::start(&mut command, &lines)?;
            let (lines, address) = (Lines::of(&lines)?, None);
            members.here.push(Member { process, lines, address, ended: false });
        }
        members.wait_until_listening(stop)?;
        Ok(members)
    }

    /// Takes up those of a run of an earlier agent.
    pub fn found(record: &kept::Record, elsewhere: &Elsewhere, send: Sender<News>) -> R<Members> {
        let member = |(place, named): (usize, &Named)| {
            let lines = Lines::of(&kept::member_lines(&record.folder, place))?;
            Ok(Member { process: Process::found(*named), lines, address: None, ended: false })
        };
        let here = (1..).zip(&record.members).map(member).collect::<R<_>>()?;
        let lent = elsewhere.lent_before(&record.elsewhere);
        Ok(Members { here, lent, job_sha256: record.job_sha256, send })
    }

    /// Where they wait: as many as the job asks for, those of other machines first.
    pub fn addresses(&self) -> impl Iterator<Item = &String> {
        self.lent.addresses.iter().chain(self.here.iter().filter_map(|member| member.address.as_ref()))
    }

    /// The processes of this machine.
    pub fn named(&self) -> Vec<Named> {
        self.here.iter().map(|member| member.process.named).collect()
    }

    fn wait_until_listening(&mut self, stop: &Stop) -> R<()> {
        let since = Instant::now();
        while self.here.iter().any(|member| member.address.is_none()) {
            self.listen();
            if let Some(place) = self.here.iter().position(|member| member.ended) {
                let sentence = format!("member room {} ended before it waited for its leader", place + 1);
                return Err(Refusal::new(Code::WorkerFailed, sentence));
            }
            if stop.asked() > 1 {
                return Err(Refusal::new(Code::RoomStopped, "the agent was told to stop at once"));
            }
            if since.elapsed() > LISTEN {
                return Err(Refusal::new(Code::Timeout, "a member room does not wait for its leader in time"));
            }
            std::thread::sleep(TICK);
        }
        Ok(())
    }

    /// Tells what members said since, and which have ended.
    pub fn listen(&mut self) {
        for (place, member) in (1..).zip(&mut self.here) {
            let say = |mut event: Value| {
                event["member"] = json!(place);
                event["job_sha256"] = json!(self.job_sha256);
                let _ = self.send.send(News::Said(event));
            };
            let end = if member.ended { None } else { member.process.ended() };
            for line in member.lines.next() {
                let said: Value = serde_json::from_str(&line).unwrap_or_default();
                if said.get("event").and_then(Value::as_str) == Some("listening") {
                    member.address = said.get("address").and_then(Value::as_str).map(str::to_owned);
                    say(json!({"event": "agent_member", "pid": member.process.named.pid, "address": member.address}));
                } else {
                    let text = line.chars().take(500).collect::<String>();
                    say(
                        json!({"event": "agent_member_said", "says": if said.is_object() { said } else { json!(text) }}),
                    );
                }
            }
            if let Some(end) = end {
                member.ended = true;
                say(json!({"event": "agent_member_ended", "exit": end.exit()}));
            }
        }
    }

    /// The run is over: they end, and that is told.
    pub fn end(&mut self) {
        let (since, mut told) = (Instant::now(), false);
        loop {
            self.listen();
            if self.here.iter().all(|member| member.ended) {
                return;
            }
            if since.elapsed() > FAREWELL + GRACE {
                self.here.iter_mut().for_each(|member| member.process.kill());
            } else if since.elapsed() > FAREWELL && !told {
                self.here.iter().for_each(|member| member.process.named.signal(Signal::SIGTERM));
                told = true;
            }
            std::thread::sleep(TICK);
        }
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        self.here.iter_mut().filter(|member| !member.ended).for_each(|member| member.process.kill());
    }
}

#[cfg(test)]
mod tests;
