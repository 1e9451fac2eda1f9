//! One role as a process: its own folder, its own log, ended with the house.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use schemas::{Code, R, Refusal};

use super::wire;

/// How long a role may take to be ready.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a role may take to end. An agent that waits for orders at the desk takes longer, and loses nothing by it.
const FAREWELL: Duration = Duration::from_secs(1);

/// Process groups that were started here and not kept: what a signal to this process must end too.
static GROUPS: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Whether a signal is ending the roles.
static ENDING: AtomicBool = AtomicBool::new(false);

fn groups() -> MutexGuard<'static, Vec<u32>> {
    GROUPS.lock().unwrap_or_else(|e| e.into_inner())
}

/// Ends every role that this process has started and not kept. For signal handlers; `Drop` does it otherwise.
pub fn end_all() {
    ENDING.store(true, Ordering::SeqCst);
    groups().iter().for_each(|id| signal(*id, Signal::SIGTERM));
    std::thread::sleep(Duration::from_millis(300));
    groups().drain(..).for_each(|id| signal(id, Signal::SIGKILL));
}

/// Does not return while [`end_all`] ends this process: what fails because the roles end is no failure to tell of.
pub fn wait_if_ending() {
    while ENDING.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// Sends a signal to a process group; one that is gone already is what is wanted.
fn signal(id: u32, signal: Signal) {
    if let Ok(id) = i32::try_from(id) {
        let _ = killpg(Pid::from_raw(id), signal);
    }
}

/// A running role.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    kept: bool,
}

/// The binary of this name next to the running one, or in the folder above it, where tests run from `deps`.
pub fn sibling(name: &str) -> R<PathBuf> {
    let missing = || {
        let sentence = format!("the binary {name} is not built; run: cargo build --workspace --bins");
        Refusal::new(Code::ConfigInvalid, sentence)
    };
    let own = std::env::current_exe().map_err(|_| missing())?;
    own.ancestors().skip(1).take(2).map(|dir| dir.join(name)).find(|path| path.is_file()).ok_or_else(missing)
}

/// A free port of the loopback interface, drawn below the range from which the system takes ports of outgoing calls.
/// Somebody else may still take it before the role binds it; then the role says so.
pub fn free_port() -> R<u16> {
    for _ in 0..100 {
        let port = 20_000 + u16::from_le_bytes(signing::signer::random::<2>()?) % 12_000;
        if TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok() {
            return Ok(port);
        }
    }
    Err(Refusal::new(Code::Unavailable, "no free port between 20000 and 32000"))
}

/// Runs a command of a role to its end and returns what it printed.
pub fn once(name: &str, command: &mut Command) -> R<String> {
    let fault = |why: String| Refusal::new(Code::ConfigInvalid, format!("{name} {why}"));
    let output = command.stdin(Stdio::null()).output().map_err(|e| fault(format!("cannot be started: {e}")))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(fault(format!("ended with {}: {}", output.status, words.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Process {
    /// Starts a role with its log in `dir`. It gets a process group of its own, so that it ends with all it started.
    pub fn start(name: &str, dir: &Path, command: &mut Command) -> R<Process> {
        let fault = |why: String| Refusal::new(Code::ConfigInvalid, format!("{name} cannot be started: {why}"));
        fs::create_dir_all(dir).map_err(|e| fault(e.to_string()))?;
        let log = dir.join(format!("{name}.log"));
        let out = File::create(&log).map_err(|e| fault(e.to_string()))?;
        let err = out.try_clone().map_err(|e| fault(e.to_string()))?;
        command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
        let child = command.spawn().map_err(|e| fault(e.to_string()))?;
        groups().push(child.id());
        Ok(Process { name: name.to_owned(), child, log, kept: false })
    }

    /// Waits until `GET path` answers with success; a role that ended or stays silent is shown with the end of its log.
    pub fn ready(&mut self, port: u16, path: &str) -> R<()> {
        let began = Instant::now();
        loop {
            if wire::send(&super::local(port), "GET", path, &[], b"").is_ok_and(|a| a.status / 100 == 2) {
                return Ok(());
            }
            self.alive()?;
            if began.elapsed() > PATIENCE {
                return Err(Refusal::new(
                    Code::Timeout,
                    format!("{} is not ready after 30 s{}", self.name, self.tail()),
                ));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Refuses if the role has ended.
    pub fn alive(&mut self) -> R<()> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                Err(Refusal::new(Code::PeerFault, format!("{} ended with {status}{}", self.name, self.tail())))
            }
            Err(e) => Err(Refusal::new(Code::PeerFault, format!("{} cannot be watched: {e}", self.name))),
        }
    }

    /// The last lines of its log, for people.
    pub fn tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.get(lines.len().saturating_sub(15)..).unwrap_or_default();
        format!("; the end of {}:\n  {}", self.log.display(), last.join("\n  "))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Its process id, which is its group's too.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Lets it run on when the house ends.
    pub fn keep(&mut self) {
        self.kept = true;
        groups().retain(|id| *id != self.child.id());
    }

    /// Whether it runs on when the house ends.
    pub fn is_kept(&self) -> bool {
        self.kept
    }

    /// Tells it, and all it started, to end.
    pub fn ask_to_end(&self) {
        signal(self.child.id(), Signal::SIGTERM);
    }

    /// Ends it and all it started: politely, then not.
    pub fn stop(&mut self) {
        self.ask_to_end();
        let began = Instant::now();
        while began.elapsed() < FAREWELL && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        signal(self.child.id(), Signal::SIGKILL);
        groups().retain(|id| *id != self.child.id());
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.kept {
            self.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_ends_is_shown_with_the_end_of_its_log() {
        let dir = std::env::temp_dir().join(format!("demo-process-{}", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such thing >&2; exit 3"]);
        let mut process = Process::start("broken", &dir, &mut command).unwrap();
        let refusal = process.ready(free_port().unwrap(), "/readyz").unwrap_err();
        assert_eq!(refusal.code, Code::PeerFault);
        assert!(refusal.sentence.contains("no such thing"), "{refusal}");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_role_ends_with_all_it_started() {
        let dir = std::env::temp_dir().join(format!("demo-group-{}", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & echo $!; wait"]);
        let mut process = Process::start("parent", &dir, &mut command).unwrap();
        let began = Instant::now();
        let grandchild = loop {
            let text = fs::read_to_string(process.log()).unwrap();
            if text.ends_with('\n') {
                break text.trim().to_owned();
            }
            assert!(began.elapsed() < PATIENCE);
        };
        process.alive().unwrap();
        drop(process);
        // Signals arrive when the kernel gets to it; a zombie waits for its new parent only.
        let gone = || {
            let state = fs::read_to_string(format!("/proc/{grandchild}/stat")).unwrap_or_default();
            state.is_empty() || state.contains(") Z") || state.contains(") X")
        };
        let began = Instant::now();
        while !gone() {
            assert!(began.elapsed() < PATIENCE, "the grandchild lives on");
            std::thread::sleep(Duration::from_millis(10));
        }
        fs::remove_dir_all(&dir).unwrap();
    }
}
