//! A throw-away PostgreSQL cluster, one for each test binary: a unix socket in a folder of its own, no port.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A running cluster.
pub struct Cluster {
    dir: PathBuf,
    bin: PathBuf,
    databases: AtomicU32,
    /// Ends the cluster when this process ends, however it ends.
    _keeper: Child,
}

fn bin() -> Result<PathBuf, String> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
        .collect();
    found.sort();
    found.pop().ok_or_else(|| "PostgreSQL's server is not installed".to_owned())
}

/// The server refuses to run as root: an unprivileged user of the machine runs it then.
fn command(program: &Path) -> Command {
    let root = std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    if !root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(program);
    command
}

fn run(command: &mut Command) -> Result<(), String> {
    let what = format!("{:?}", command.get_program());
    let done = command.current_dir("/").stdin(Stdio::null()).output().map_err(|e| format!("{what}: {e}"))?;
    if done.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&done.stderr).lines().last().unwrap_or_default().to_owned();
    Err(format!("{what}: {told}"))
}

/// A shell that waits for the end of this process and then clears the cluster away. Statics are never dropped, and a
/// test may be killed.
fn keeper(dir: &Path) -> std::io::Result<Child> {
    let script = format!(
        "read -r _; kill -QUIT $(head -n 1 '{0}/data/postmaster.pid') 2>/dev/null; \
         while [ -e '{0}/data/postmaster.pid' ] && kill -0 $(head -n 1 '{0}/data/postmaster.pid') 2>/dev/null; \
         do sleep 0.1; done; rm -rf '{0}'",
        dir.display()
    );
    let mut shell = Command::new("setsid");
    shell.args(["sh", "-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.spawn()
}

impl Cluster {
    /// Makes and starts a cluster; what stands in the way is told in words.
    pub fn start() -> Result<Cluster, String> {
        let bin = bin()?;
        let dir = std::env::temp_dir().join(format!("depa-pg-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir(&dir).map_err(|e| e.to_string())?;
        std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o777))
            .map_err(|e| e.to_string())?;
        let keeper = keeper(&dir).map_err(|e| e.to_string())?;
        let data = dir.join("data");
        let mut init = command(&bin.join("initdb"));
        run(init.args(["-U", "depa", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "-D"]).arg(&data))?;
        let cluster = Cluster { dir, bin, databases: AtomicU32::new(0), _keeper: keeper };
        cluster.up()?;
        Ok(cluster)
    }

    /// Starts the server.
    pub fn up(&self) -> Result<(), String> {
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories='{}' -c max_connections=80 -c shared_buffers=32MB -c fsync=off",
            self.dir.display()
        );
        let mut start = command(&self.bin.join("pg_ctl"));
        start.args(["-w", "-t", "30", "-o", &options, "-l"]).arg(self.dir.join("data/log")).arg("-D");
        start.arg(self.dir.join("data")).arg("start").stdout(Stdio::null()).stderr(Stdio::null());
        let started = start.current_dir("/").stdin(Stdio::null()).status().map_err(|e| e.to_string())?;
        if started.success() { Ok(()) } else { Err("the server did not start".to_owned()) }
    }

    /// Stops the server at once, as a fallen machine would. Not every binary with this file does so.
    #[allow(dead_code)]
    pub fn down(&self) -> Result<(), String> {
        let mut stop = command(&self.bin.join("pg_ctl"));
        run(stop.args(["-m", "immediate", "-w", "-D"]).arg(self.dir.join("data")).arg("stop"))
    }

    /// A new, empty database's URL.
    pub fn database(&self) -> String {
        let name = format!("d{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let made = run(Command::new(self.bin.join("createdb")).args(["-U", "depa", "-h"]).arg(&self.dir).arg(&name));
        made.unwrap_or_else(|why| panic!("no database: {why}"));
        let host = self.dir.display().to_string().replace('/', "%2F");
        format!("postgres://depa@{host}/{name}")
    }
}
