//! Peers measured in the same run: siglog (a tlog-tiles server from the Rust registry) for appends, single-row commits
//! of PostgreSQL as the yardstick of durable writing.
//!
//! A peer that is not on the machine says NOT RUN; its column stays empty.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemas::{Code, Digest, R, Refusal, Signer as _};
use signing::FileKey;

use crate::http::{Connection, render};
use crate::load::{once_each, runtime};
use crate::process::{Folder, Process, free_port, once};
use crate::rows::Row;
use crate::scenes::Plan;

/// Connections of siglog's load, as of our own.
const CONNECTIONS: usize = 512;

/// What the peers reached, per second.
#[derive(Default)]
pub struct Peers {
    /// Entries of siglog that stand under a signed checkpoint.
    pub siglog: Option<f64>,
    /// Entries that siglog acknowledged.
    pub siglog_acknowledged: Option<f64>,
    /// Single-row commits of PostgreSQL with 16 clients, which it may put into one flush of its journal.
    pub postgres: Option<f64>,
    /// The same with one client.
    pub postgres_alone: Option<f64>,
}

impl Peers {
    /// The figures as rows of their own.
    pub fn rows(&self) -> Vec<Row> {
        let rows = [
            ("peer siglog: appends integrated under a signed checkpoint, per second", self.siglog),
            ("peer siglog: appends acknowledged, per second", self.siglog_acknowledged),
            ("peer PostgreSQL: single-row commits, 16 clients, per second", self.postgres),
            ("peer PostgreSQL: single-row commits, 1 client, per second", self.postgres_alone),
        ];
        rows.into_iter().filter_map(|(name, value)| value.map(|v| Row::beside(name, v))).collect()
    }
}

/// Measures the peers that are there.
pub fn measure(plan: &Plan) -> R<Peers> {
    let mut peers = Peers::default();
    match siglog_binary() {
        None => eprintln!("NOT RUN siglog: set BENCH_SIGLOG to its binary (cargo install siglog --locked)"),
        Some(binary) => match siglog(plan, &binary) {
            Ok((integrated, acknowledged)) => {
                (peers.siglog, peers.siglog_acknowledged) = (Some(integrated), Some(acknowledged));
            }
            Err(refusal) => eprintln!("NOT RUN siglog: {refusal}"),
        },
    }
    match postgres(plan) {
        Ok((rate, alone)) => (peers.postgres, peers.postgres_alone) = (Some(rate), Some(alone)),
        Err(refusal) => eprintln!("NOT RUN PostgreSQL: {refusal}"),
    }
    Ok(peers)
}

fn siglog_binary() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("BENCH_SIGLOG")?);
    path.is_file().then_some(path)
}

/// A key as siglog reads it: the key id in hex, whatever its documentation says.
fn siglog_key(origin: &str) -> R<String> {
    let seed = signing::signer::random::<32>()?;
    let key = FileKey::from_seed("did:web:bench.example", &seed);
    let point = key.jwk().point(schemas::jwk::Curve::Ed25519)?;
    let id = Digest::of_parts(&[origin.as_bytes(), b"\n", &[1], &point]);
    let secret = STANDARD.encode([&[1u8][..], &seed].concat());
    Ok(format!("PRIVATE+KEY+{origin}+{}+{secret}", &id.to_string()[..8]))
}

/// Entries integrated and acknowledged per second, on SQLite like ours.
fn siglog(plan: &Plan, binary: &Path) -> R<(f64, f64)> {
    let (folder, port, origin) = (Folder::new()?, free_port()?, "bench.example/log");
    let database = folder.0.join("siglog.db");
    let mut command = Command::new(binary);
    command
        .env("DATABASE_URL", format!("sqlite://{}?mode=rwc", database.display()))
        .env("STORAGE_BACKEND", "fs")
        .env("FS_ROOT", folder.0.join("tiles"))
        .env("LOG_ORIGIN", origin)
        .env("LOG_PRIVATE_KEY", siglog_key(origin)?)
        .env("LISTEN_ADDR", format!("127.0.0.1:{port}"))
        .env("CHECKPOINT_INTERVAL", "1")
        .env("RUST_LOG", "warn");
    let mut process = Process::start("siglog", &mut command, &folder.0.join("siglog.log"))?;
    process.listening(port)?;
    let host = format!("127.0.0.1:{port}");
    let mut requests = Vec::new();
    for _ in 0..plan.seconds * 20_000 {
        let body = signing::signer::random::<250>()?;
        requests.push(render("POST", "/add", &host, &[], &body));
    }
    let began = Instant::now();
    let load = once_each(port, requests, CONNECTIONS, plan.time(), 200)?;
    if let Some(status) = load.bad.first() {
        eprintln!("bench: siglog refused {} appends, the first with status {status}: {}", load.bad.len(), load.words);
    }
    if load.good == 0 {
        return Err(Refusal::new(Code::PeerFault, format!("no entry was taken; first status {:?}", load.bad.first())));
    }
    // What stands under a checkpoint when the load ends is what its users could prove by then.
    std::thread::sleep(Duration::from_secs(1));
    let elapsed = began.elapsed().as_secs_f64();
    let size = runtime()?.block_on(async {
        let mut connection = Connection::open(port, 1).await?;
        let answer = connection.send(&render("GET", "/checkpoint", &host, &[], b"")).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        text.lines()
            .nth(1)
            .and_then(|l| l.parse::<f64>().ok())
            .ok_or_else(|| Refusal::new(Code::PeerFault, "siglog shows no checkpoint"))
    })?;
    Ok((size / elapsed, load.rate()))
}

/// Where Debian keeps the server's programs.
const POSTGRES: &str = "/usr/lib/postgresql/15/bin";

/// Commits of one row per second with 16 clients and with one, in a cluster of this run. The server refuses to run as
/// root.
fn postgres(plan: &Plan) -> R<(f64, f64)> {
    if !Path::new(POSTGRES).join("initdb").is_file() {
        return Err(Refusal::new(Code::ConfigInvalid, format!("{POSTGRES}/initdb is not there")));
    }
    let folder = Folder::new()?;
    let dir = folder.0.join("pg");
    std::fs::create_dir(&dir).map_err(|e| Refusal::new(Code::ConfigInvalid, e.to_string()))?;
    let root = nix::unistd::Uid::effective().is_root();
    if root {
        once(Command::new("chown").arg("-R").arg("postgres").arg(&folder.0))?;
    }
    let run = |program: &str| {
        let path = Path::new(POSTGRES).join(program);
        let mut command = Command::new(if root { Path::new("setpriv") } else { &path });
        if root {
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(&path);
        }
        command.current_dir(&dir);
        command
    };
    let data = dir.join("data");
    once(run("initdb").arg("-D").arg(&data).args(["-A", "trust", "-U", "bench"]))?;
    let options = format!("-c listen_addresses= -k {}", dir.display());
    let log = dir.join("server.log");
    once(run("pg_ctl").arg("-D").arg(&data).arg("-l").arg(&log).args(["-w", "start", "-o", &options]))?;
    let measured = pgbench(plan, &dir, &run);
    once(run("pg_ctl").arg("-D").arg(&data).args(["-m", "immediate", "stop"]))?;
    measured
}

fn pgbench(plan: &Plan, dir: &Path, run: &dyn Fn(&str) -> Command) -> R<(f64, f64)> {
    let fault = |e: std::io::Error| Refusal::new(Code::ConfigInvalid, e.to_string());
    let script = dir.join("insert.sql");
    std::fs::write(&script, "INSERT INTO entries (body) VALUES (repeat('x', 250));\n").map_err(fault)?;
    let table = "CREATE TABLE entries (id BIGSERIAL PRIMARY KEY, body TEXT NOT NULL)";
    let shared = |command: &mut Command| {
        command.arg("-h").arg(dir).args(["-U", "bench"]);
    };
    let mut create = run("psql");
    shared(&mut create);
    once(create.args(["-d", "postgres", "-c", table]))?;
    let asked = |sql: &str| {
        let mut ask = run("psql");
        shared(&mut ask);
        once(ask.args(["-d", "postgres", "-t", "-A", "-c", sql])).map(|words| words.trim().to_owned())
    };
    // A yardstick of durable writing only with both.
    for setting in ["fsync", "synchronous_commit"] {
        let value = asked(&format!("SHOW {setting}"))?;
        if value != "on" {
            return Err(Refusal::new(Code::PeerFault, format!("{setting} is {value}")));
        }
    }
    let measured = |clients: &str| -> R<f64> {
        let (rows, mut bench) = (asked("SELECT count(*) FROM entries")?, run("pgbench"));
        shared(&mut bench);
        bench.args(["-n", "-c", clients, "-j", "1", "-T", &plan.seconds.to_string(), "-f"]).arg(&script);
        let words = once(bench.arg("postgres"))?;
        let bad = || Refusal::new(Code::PeerFault, format!("pgbench printed {words}"));
        let number = |prefix: &str| {
            let line = words.lines().find_map(|l| l.trim().strip_prefix(prefix))?;
            line.split([' ', '/']).next()?.parse::<f64>().ok()
        };
        let made = number("number of transactions actually processed: ").ok_or_else(bad)?;
        let before = rows.parse::<f64>().map_err(|_| bad())?;
        // Every transaction is one row that is there.
        if asked("SELECT count(*) FROM entries")?.parse::<f64>().map_err(|_| bad())? != before + made {
            return Err(bad());
        }
        number("tps = ").ok_or_else(bad)
    };
    Ok((measured("16")?, measured("1")?))
}
