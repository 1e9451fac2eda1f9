//! A room as a process of this machine: started by this agent or by an earlier one, told to stop, seen to end.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::edge;

/// A process by its number and when that began, in ticks since boot: another one may get the number later.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    /// Its number.
    pub pid: u32,
    /// When it began.
    pub began: u64,
}

impl Named {
    /// Whether it lives: the one of this number that began then, and is no mere entry of a process that ended.
    pub fn lives(&self) -> bool {
        stat(self.pid).is_some_and(|(state, began)| began == self.began && !matches!(state, 'Z' | 'X'))
    }

    /// Signals it, if it still is that one.
    pub fn signal(&self, signal: Signal) {
        if let (true, Ok(pid)) = (self.lives(), i32::try_from(self.pid)) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

/// State and start of a process (proc(5), fields 3 and 22).
fn stat(pid: u32) -> Option<(char, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// With this exit code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// A process of an earlier agent: nobody was told.
    Unseen,
}

impl End {
    /// Its exit code: -1 by a signal, null where nobody saw it.
    pub fn exit(&self) -> Value {
        match self {
            End::Exit(code) => json!(code),
            End::Signal(_) => json!(-1),
            End::Unseen => Value::Null,
        }
    }
}

/// A process that is looked after.
pub(crate) struct Process {
    /// Which it is.
    pub named: Named,
    /// None for one of an earlier agent.
    child: Option<Child>,
}

impl Process {
    /// Starts one whose output goes into a new file. A signal to the agent's terminal is not one to its rooms.
    pub fn start(command: &mut Command, lines: &Path) -> R<Process> {
        let out = edge::create_private(lines)?;
        let started = command.process_group(0).stdin(Stdio::null()).stdout(out).stderr(Stdio::inherit()).spawn();
        let child = started.map_err(|e| {
            let binary = Path::new(command.get_program()).display();
            Refusal::new(Code::WorkerFailed, format!("{binary}: cannot be started: {e}"))
        })?;
        let pid = child.id();
        let began = stat(pid).map_or(0, |(_, began)| began);
        Ok(Process { named: Named { pid, began }, child: Some(child) })
    }

    /// One of an earlier agent.
    pub fn found(named: Named) -> Process {
        Process { named, child: None }
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Option<End> {
        let Some(child) = &mut self.child else { return (!self.named.lives()).then_some(End::Unseen) };
        match child.try_wait() {
            Ok(Some(status)) => Some(match (status.code(), status.signal()) {
                (Some(code), _) => End::Exit(code),
                (None, signal) => End::Signal(signal.unwrap_or(0)),
            }),
            Ok(None) => None,
            Err(_) => Some(End::Unseen),
        }
    }

    /// Ends it at once and waits for it.
    pub fn kill(&mut self) {
        self.named.signal(Signal::SIGKILL);
        if let Some(child) = &mut self.child {
            let _ = child.wait();
        }
    }
}
