//! The edge: clock, random ids, files. Everything else in this crate takes what these return.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use schemas::{Code, R, Refusal, Timestamp, canonical};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// The time of this machine, in whole seconds: what documents hold.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_seconds(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// A fresh UUID of version 7.
pub fn fresh() -> Uuid {
    Uuid::now_v7()
}

/// Uniform random 64-bit numbers of the operating system, drawn in bulk.
pub fn words() -> impl FnMut() -> R<u64> {
    let mut bulk = [0u8; 4096];
    let mut used = bulk.len();
    move || {
        if used == bulk.len() {
            (bulk, used) = (signing::signer::random()?, 0);
        }
        let word = bulk.get(used..).and_then(|rest| rest.first_chunk::<8>()).copied();
        used += 8;
        word.map(u64::from_be_bytes).ok_or_else(|| Refusal::new(Code::Internal, "random numbers ran out"))
    }
}

/// A refusal about a file.
pub fn file_fault(path: &Path, why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::ConfigInvalid, format!("{}: {why}", path.display()))
}

/// The bytes of a file.
pub fn read(path: &Path) -> R<Vec<u8>> {
    fs::read(path).map_err(|e| file_fault(path, e))
}

/// The same refusal, naming the file that it is about.
pub fn about(path: &Path, mut refusal: Refusal) -> Refusal {
    refusal.sentence = format!("{}: {}", path.display(), refusal.sentence);
    refusal
}

/// A JSON document, read strictly: duplicate and unknown members are refused.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> R<T> {
    canonical::parse(&read(path)?).map_err(|e| about(path, e))
}

/// What a file must be that holds a signed offer.
pub const OFFER: &str = "an offer (what `depa dataset offer` writes)";
/// What a file must be that holds the record of a sealing.
pub const RECORD: &str = "a record (what `depa dataset seal` writes with --record)";
/// What a file must be that holds statistics.
pub const STATISTICS: &str = "statistics (what `depa dataset profile` writes)";
/// What a file must be that holds a sketch.
pub const SKETCH: &str = "a sketch (what `depa dataset sketch` writes)";
/// What a file must be that holds the bundle of a job.
pub const BUNDLE: &str = "a bundle (what `depa job bundle` writes)";

/// A JSON document as [`read_json`] reads it; the refusal of another one says what is expected, like [`OFFER`].
pub fn read_json_of<T: DeserializeOwned>(path: &Path, what: &str) -> R<T> {
    canonical::parse(&read(path)?).map_err(|mut e: Refusal| {
        e.sentence = format!("{}; expected is {what}", e.sentence);
        about(path, e)
    })
}

/// A form that a person wrote: TOML, or JSON where the name ends in `.json`.
pub fn read_form<T: DeserializeOwned>(path: &Path) -> R<T> {
    if path.extension().is_some_and(|e| e == "json") {
        return read_json(path).map_err(|e| Refusal::new(Code::ConfigInvalid, e.sentence));
    }
    let bytes = read(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| file_fault(path, "not UTF-8"))?;
    toml::from_str(text).map_err(|e| file_fault(path, e.to_string().trim_end()))
}

/// A JSON document as it is written to a file.
pub fn json<T: Serialize>(value: &T) -> R<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?;
    text.push(b'\n');
    Ok(text)
}

/// Writes a JSON document to a file that must not exist yet.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> R<()> {
    write_new(path, &json(value)?)
}

/// Refuses a path at which no new file can be made: something is there already, or its folder is not.
pub fn vacant(path: &Path) -> R<()> {
    if path.exists() {
        return Err(file_fault(path, "exists already and is not overwritten; choose another name"));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if folder.is_dir() { Ok(()) } else { Err(file_fault(folder, "is no folder")) }
}

/// Writes bytes to a file that must not exist yet: nothing of a user's is ever overwritten.
pub fn write_new(path: &Path, bytes: &[u8]) -> R<()> {
    create(path, 0o644, bytes)
}

/// The same, readable by its owner alone.
pub fn write_private(path: &Path, bytes: &[u8]) -> R<()> {
    create(path, 0o600, bytes)
}

/// A new file, readable by its owner alone.
pub fn create_private(path: &Path) -> R<fs::File> {
    new_file(path, 0o600)
}

fn new_file(path: &Path, mode: u32) -> R<fs::File> {
    fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(|e| match e.kind() {
        ErrorKind::AlreadyExists => file_fault(path, "exists already and is not overwritten; choose another name"),
        _ => file_fault(path, format!("cannot be made: {e}")),
    })
}

fn create(path: &Path, mode: u32, bytes: &[u8]) -> R<()> {
    let mut file = new_file(path, mode)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|e| file_fault(path, e))
}
