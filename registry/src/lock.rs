//! One process at a time has a database of SQLite open for writing: a lock on a file beside it, which names who holds it.
//! The system gives the lock back when the process ends, however it ends. PostgreSQL has its own (`conn`).

use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use schemas::{Code, R, Refusal};

use crate::conn::Place;

/// How long a holder may need to let go: one that is closing has threads to end.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(20);
/// The longest name of a holder that is told.
const NAME: u64 = 120;

/// Held until it and all its clones are dropped. The file stays: whoever removed it could let two in.
#[derive(Clone)]
pub struct Lock {
    _file: Option<Arc<File>>,
}

impl Lock {
    /// Holds the place of a database over an act of several steps, in which it may be away or be another one. On PostgreSQL
    /// it holds nothing: there the writer's own lock does. `STORE_IN_USE` names the process that has it.
    pub fn hold(url: &str) -> R<Lock> {
        Lock::take(&Place::parse(url)?)
    }

    /// Takes the lock of a place, or is refused with `STORE_IN_USE` by the name of the process that has it.
    pub(crate) fn take(place: &Place) -> R<Lock> {
        let Place::Sqlite(database) = place else { return Ok(Lock { _file: None }) };
        // One file has one lock, however its path is written.
        let path = beside(&whole(database));
        let fault = |e: std::io::Error| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", path.display()));
        let mut file = open(&path).map_err(fault)?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => std::thread::sleep(LOOK),
                Err(TryLockError::WouldBlock) => return Err(in_use(database, &holder(&mut file))),
                Err(TryLockError::Error(e)) => return Err(fault(e)),
            }
        }
        file.set_len(0).and_then(|()| file.write_all(name().as_bytes())).map_err(fault)?;
        Ok(Lock { _file: Some(Arc::new(file)) })
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path)
}

/// The one path of a database, there or not.
fn whole(database: &Path) -> PathBuf {
    let folder = database.parent().and_then(|folder| folder.canonicalize().ok());
    let placed = || folder.and_then(|folder| Some(folder.join(database.file_name()?)));
    database.canonicalize().ok().or_else(placed).unwrap_or_else(|| database.to_owned())
}

fn beside(database: &Path) -> PathBuf {
    PathBuf::from(format!("{}.lock", database.display()))
}

/// This process as others read it: its number and its command, without the arguments, which may hold secrets.
fn name() -> String {
    let mut words = std::env::args();
    let program = words.next().unwrap_or_default();
    let program = Path::new(&program).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let command = words.next().filter(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
    let command = command.filter(|word| !word.starts_with('-')).map(|word| format!(" {word}")).unwrap_or_default();
    format!("process {} ({program}{command})", std::process::id())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(NAME).read_to_string(&mut text) {
        Ok(_) if !text.is_empty() => text.chars().filter(|c| !c.is_control()).collect(),
        Ok(_) | Err(_) => "another process".into(),
    }
}

fn in_use(database: &Path, holder: &str) -> Refusal {
    let sentence = format!("{holder} has the database {} open; stop it first", database.display());
    Refusal::new(Code::StoreInUse, sentence)
}
