//! Processes under measurement: started here, ended with their owner.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use schemas::{Code, R, Refusal};

/// A running process; ended when dropped.
pub struct Process {
    child: Child,
    name: String,
}

/// A folder of this run; removed when dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    /// A fresh folder where the machine keeps its data, so that commits reach a disk: beside the binary.
    pub fn new() -> R<Folder> {
        let fault = |e: std::io::Error| Refusal::new(Code::ConfigInvalid, format!("folder for the run: {e}"));
        let exe = std::env::current_exe().map_err(fault)?;
        let beside = exe.parent().unwrap_or(Path::new("."));
        let folder = beside.join(format!("bench-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&folder).map_err(fault)?;
        Ok(Folder(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The binary of this name beside the running one.
pub fn sibling(name: &str) -> R<PathBuf> {
    let missing = || Refusal::new(Code::ConfigInvalid, format!("the binary {name} is not built beside bench"));
    let path = std::env::current_exe().map_err(|_| missing())?.with_file_name(name);
    if path.is_file() { Ok(path) } else { Err(missing()) }
}

/// A port that nobody listens on now.
pub fn free_port() -> R<u16> {
    let fault = |e: std::io::Error| Refusal::new(Code::Unavailable, format!("no free port: {e}"));
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).map_err(fault)?;
    Ok(listener.local_addr().map_err(fault)?.port())
}

/// Runs a command to its end; its words are shown when it fails.
pub fn once(command: &mut Command) -> R<String> {
    let fault = |why: String| Refusal::new(Code::ConfigInvalid, why);
    let output = command.stdin(Stdio::null()).output().map_err(|e| fault(format!("{command:?}: {e}")))?;
    if !output.status.success() {
        return Err(fault(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Process {
    /// Starts a command; its talk goes to a file.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> R<Process> {
        let fault = |e: std::io::Error| Refusal::new(Code::ConfigInvalid, format!("{name}: {e}"));
        let out = std::fs::File::create(log).map_err(fault)?;
        let err = out.try_clone().map_err(fault)?;
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().map_err(fault)?;
        Ok(Process { child, name: name.to_owned() })
    }

    /// Waits until the port takes connections.
    pub fn listening(&mut self, port: u16) -> R<()> {
        let began = Instant::now();
        while TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_err() {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(Refusal::new(Code::PeerFault, format!("{} ended with {status}", self.name)));
            }
            if began.elapsed() > Duration::from_secs(60) {
                return Err(Refusal::new(Code::Timeout, format!("{} does not listen after 60 s", self.name)));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Ends the process as a power cut would, as far as it is concerned: SIGKILL.
    pub fn kill(&mut self) -> R<()> {
        let fault = |e: std::io::Error| Refusal::new(Code::PeerFault, format!("{}: {e}", self.name));
        self.child.kill().map_err(fault)?;
        self.child.wait().map(drop).map_err(fault)
    }

    /// Processor time that the process has used so far, in seconds: its own and the kernel's for it.
    pub fn cpu_seconds(&self) -> Option<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // Fields 14 and 15, counted after the name in parentheses; in hundredths of a second on Linux.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some((user + system) / 100.0)
    }

    /// Resident memory in MiB, the most so far.
    pub fn peak_mib(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
        line.trim().trim_end_matches(" kB").trim().parse::<f64>().ok().map(|kib| kib / 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(id) = i32::try_from(self.child.id()) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGTERM);
        }
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(5) && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
