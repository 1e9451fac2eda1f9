//! The act by which a log that lost entries goes on under a new origin. One lock is held over all of it, and from the moment
//! at which the new log is whole a paper beside the database says how far the act is: whoever finds it names what was begun
//! and does nothing else, and `succeed` goes on from there.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use registry::{Lock, Options, Registry};
use schemas::log::{CheckpointRef, ExportedEntry};
use schemas::rules::LogSucceeded;
use schemas::{Code, Envelope, R, Refusal, Timestamp, canonical};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::fault;
use crate::keep::{in_use, joined, options, refused, two_people};

/// How far the act is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    /// The new log is whole; the old files are moved aside.
    Close,
    /// The old files are aside; the new ones take their place.
    Open,
    /// All files are in place; the configuration file names the new log.
    Name,
}

/// The paper.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begun {
    origin: String,
    /// The database on PostgreSQL; none on SQLite.
    database: Option<String>,
    /// Where the closed log lies on SQLite, beside the database.
    closed: String,
    head: CheckpointRef,
    step: Step,
}

/// What the caller hears while the act goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told<'t> {
    /// So many of the old entries were taken.
    Entries(u64),
    /// This is done and on the disk.
    Done(&'t str),
}

/// Listens to [`Told`].
pub type Listener<'l> = &'l mut dyn FnMut(Told<'_>);

const PAPER: &str = "succession.json";
const FILES: [&str; 3] = ["-wal", "-shm", ""];

impl Begun {
    fn read(config: &Config) -> R<Option<Begun>> {
        let file = config.data_dir.join(PAPER);
        match std::fs::read(&file) {
            Ok(bytes) => canonical::parse(&bytes).map(Some).map_err(|e| refused(format!("{}: {e}", file.display()))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(fault(e)),
        }
    }

    fn write(&self, config: &Config) -> R<()> {
        write_whole(&config.data_dir.join(PAPER), &canonical::to_bytes(self)?)
    }

    fn named_by(&self, config: &Config) -> bool {
        let database = self.database.is_none() || config.database == self.database;
        self.step == Step::Name && config.log_origin.as_ref() == Some(&self.origin) && database
    }

    fn goes_on_as(&self, config: &Config) -> Config {
        let database = self.database.clone().or_else(|| config.database.clone());
        Config { log_origin: Some(self.origin.clone()), database, ..config.clone() }
    }
}

/// Nothing opens, backs up or restores a log whose succession was begun and not finished: `SUCCESSION_UNFINISHED` names it.
/// Where the configuration names the new log already, the paper goes.
pub fn unfinished(config: &Config) -> R<()> {
    match Begun::read(config)? {
        None => Ok(()),
        Some(begun) if begun.named_by(config) => finish(config),
        Some(begun) => {
            let sentence = format!(
                "the succession by {} was begun and cut short: contract-service succeed, with --config alone, goes on with it",
                begun.origin
            );
            Err(Refusal::new(Code::SuccessionUnfinished, sentence))
        }
    }
}

/// The configuration file names the new log: the act is over.
pub fn finish(config: &Config) -> R<()> {
    match std::fs::remove_file(config.data_dir.join(PAPER)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(fault(e)),
        _ => {}
    }
    sync_folder(&config.data_dir)
}

/// Opens the log that goes on. On SQLite in a new file in the place of the old one, which is kept beside it; on PostgreSQL
/// in the empty database `into`, while the old one stays as it is. Returns its head and the configuration with the new
/// origin and database, which the caller writes and then calls [`finish`]. An act that was cut short after the new log was
/// whole goes on where it stopped, and needs no papers again; before that, nothing has changed.
pub fn succeed(
    config: &Config,
    signed: &[Envelope<LogSucceeded>],
    into: Option<&str>,
    now: Timestamp,
    tell: Listener<'_>,
) -> R<(CheckpointRef, Config)> {
    let lock = Lock::hold(&config.database_url())?;
    if let Some(begun) = Begun::read(config)? {
        return go_on(config, begun, tell);
    }
    let succession = joined(signed)?;
    two_people(&succession, config)?;
    let said = succession.read_unverified()?;
    let next = Config { log_origin: Some(said.new_origin.clone()), ..config.clone() };
    let url = match (&config.database, into) {
        (Some(_), Some(into)) => {
            Config { database: Some(into.to_owned()), ..next }.check()?;
            into.to_owned()
        }
        (Some(_), None) => {
            return Err(refused("on PostgreSQL the log goes on in an empty database: --database postgres://…"));
        }
        (None, Some(_)) => {
            let sentence = "a log on SQLite goes on in a file in the place of the old one; leave --database out";
            return Err(refused(sentence));
        }
        (None, None) => {
            let fresh = fresh(config);
            // What an attempt left that was cut short before the new log was whole.
            FILES.iter().for_each(|suffix| drop(std::fs::remove_file(with(&fresh, suffix))));
            fresh.to_string_lossy().into_owned()
        }
    };
    let old = Registry::open_under(lock.clone(), options(config)?, now)?;
    // People whose keys have ended since the genesis sign nothing any more.
    signing::verify(succession.clone(), &config.did()?, &*old.state())?;
    let new = Options { url, origin: said.new_origin.clone(), ..in_use(config, &old)? };
    if said.new_key.as_ref() != Some(&new.signer.jwk().thumbprint()) {
        let sentence =
            format!("the succession does not name the key in use, {}; draft it anew", new.signer.jwk().thumbprint());
        return Err(refused(sentence));
    }
    let kept = Kept { registry: &old, at: 0, page: Vec::new() };
    let opened = registry::succeed(new, kept, succession, now, &mut |taken| tell(Told::Entries(taken)))?;
    let head = opened.head()?;
    nothing_comes_back(&old, &opened, now)?;
    drop(opened);
    tell(Told::Done("the new log is whole"));
    let (database, step) = match into {
        Some(into) => (Some(into.to_owned()), Step::Name),
        None => (None, Step::Close),
    };
    let begun = Begun { origin: said.new_origin, database, closed: free_name(config)?, head, step };
    begun.write(config)?;
    // The old log is closed before its files move; on PostgreSQL it was held up to here.
    drop(old);
    tell(Told::Done("it is written down"));
    go_on(config, begun, tell)
}

/// Entries have other indices in the new log, and a report of a key names an entry of the old one. So what was stopped there
/// must be stopped here too: no contract comes back into force by a succession.
fn nothing_comes_back(old: &Registry, new: &Registry, now: Timestamp) -> R<()> {
    let (old, new) = (old.state(), new.state());
    let stopped = new.not_in_force(now);
    let back = old.not_in_force(now).into_iter().find(|contract| {
        new.contract(&contract.sha256).is_some() && !stopped.iter().any(|other| other.sha256 == contract.sha256)
    });
    match back {
        Some(contract) => {
            let sentence =
                format!("contract {} is stopped in the log that is closed and would be in force again", contract.id);
            Err(Refusal::new(Code::StateTransition, sentence))
        }
        None => Ok(()),
    }
}

/// Every step may be done a second time.
fn go_on(config: &Config, mut begun: Begun, tell: Listener<'_>) -> R<(CheckpointRef, Config)> {
    let (place, fresh, closed) = (config.database(), fresh(config), config.data_dir.join(&begun.closed));
    let mut moved = |from: &Path, to: &Path| -> R<()> {
        for suffix in FILES {
            let from = with(from, suffix);
            if from.exists() {
                std::fs::rename(&from, with(to, suffix)).map_err(fault)?;
                tell(Told::Done("a file was moved"));
            }
        }
        sync_folder(&config.data_dir)
    };
    if begun.step == Step::Close {
        moved(&place, &closed)?;
        begun.step = Step::Open;
        begun.write(config)?;
    }
    if begun.step == Step::Open {
        moved(&fresh, &place)?;
        drop(std::fs::remove_file(with(&fresh, ".lock")));
        begun.step = Step::Name;
        begun.write(config)?;
    }
    tell(Told::Done("all files are in place"));
    Ok((begun.head.clone(), begun.goes_on_as(config)))
}

fn fresh(config: &Config) -> PathBuf {
    config.data_dir.join("registry.succeeding.sqlite")
}

/// A name for the closed log that no earlier one has.
fn free_name(config: &Config) -> R<String> {
    let names = (1..1000).map(|n| match n {
        1 => "registry.closed.sqlite".to_owned(),
        n => format!("registry.closed-{n}.sqlite"),
    });
    let mut free = names.filter(|name| FILES.iter().all(|suffix| !with(&config.data_dir.join(name), suffix).exists()));
    free.next().ok_or_else(|| refused("too many closed logs lie in the data folder"))
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// Writes a file so that a crash leaves the old one or the new one, whole.
pub fn write_whole(file: &Path, bytes: &[u8]) -> R<()> {
    let beside = with(file, ".new");
    let mut new = File::create(&beside).map_err(fault)?;
    new.write_all(bytes).and_then(|()| new.sync_all()).map_err(fault)?;
    std::fs::rename(&beside, file).map_err(fault)?;
    sync_folder(file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

fn sync_folder(dir: &Path) -> R<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(fault)
}

/// The entries of an open registry, in order.
struct Kept<'a> {
    registry: &'a Registry,
    at: u64,
    page: Vec<ExportedEntry>,
}

impl Iterator for Kept<'_> {
    type Item = R<ExportedEntry>;

    fn next(&mut self) -> Option<R<ExportedEntry>> {
        if self.page.is_empty() {
            match self.registry.entries(self.at, registry::MAX_EXPORT) {
                Ok(page) => self.page = page.into_iter().rev().collect(),
                Err(refusal) => return Some(Err(refusal)),
            }
        }
        self.at += 1;
        self.page.pop().map(Ok)
    }
}
