//! Where sealed objects lie: `file:`, `https:`, `s3:`, `az:` or `abfss:`, `gs:`. Read and written under limits of size
//! and time; storage is trusted with nothing.
//!
//! A document names the object, and never more: which buckets there are, at which endpoint and with which credentials,
//! stands in the configuration of who reads ([`Store`]). No address, proxy or secret is taken from the environment, and the machine's own
//! credentials (instance metadata) are asked for only where a store says `instance = true`. Each bucket's client calls
//! the one host of its store and follows no redirect ([`door`]).
//!
//! What comes back is ciphertext; callers check it against the manifest root that the contract names.

pub mod bucket;
mod crypto;
pub mod door;
mod file;
pub mod location;
pub mod secrets;
pub mod store;
mod told;
mod web;

use std::future::Future;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use schemas::{Code, R, Refusal};

pub use location::Location;
pub use store::{Direction, Store, Stores};

/// One part of an object: what is asked for, sent and held at once, in bytes.
pub const PART: u64 = 8 << 20;

/// How long storage may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// For one object, from the first call to the last byte.
    pub whole: Duration,
    /// Without a byte.
    pub idle: Duration,
    /// Before a repeated call: the first pause, which doubles. At most three repetitions of a call.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { whole: Duration::from_secs(600), idle: Duration::from_secs(60), pause: Duration::from_millis(200) }
    }
}

/// Which files may be read and written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Files {
    /// Below these folders, by no link that leads out of them.
    Below(Vec<PathBuf>),
    /// Anywhere: a person's own command line.
    Anywhere,
}

/// Everything that somebody may reach.
#[derive(Clone, Debug)]
pub struct Objects {
    /// Files.
    pub files: Files,
    /// Whether `http:` on loopback, and names that lead there, are allowed: in demos and tests.
    pub loopback: bool,
    /// Buckets.
    pub stores: Vec<Store>,
    /// Times.
    pub patience: Patience,
}

impl Objects {
    /// Reads an object of at most `most` bytes. No more than [`PART`] bytes are held beside it.
    ///
    /// Refuses with `ADDRESS_REFUSED` what the configuration does not allow, `LIMIT_EXCEEDED` before the first byte
    /// where the object says its size, `OBJECT_MISSING`, `BUCKET_MISSING`, `STORAGE_DENIED`, `STORAGE_REGION`,
    /// `STORAGE_REDIRECT`, `STORAGE_CREDENTIAL`, `OBJECT_CHANGED`, `OBJECT_TRUNCATED`, `TIMEOUT`, `PEER_UNREACHABLE`
    /// and `PEER_FAULT`.
    pub fn read(&self, text: &str, most: u64) -> R<Vec<u8>> {
        let mut object = Vec::new();
        self.read_to(text, most, &mut |part, size| {
            if object.is_empty() {
                let size = size.unwrap_or(0).min(most);
                object.reserve_exact(usize::try_from(size).unwrap_or(0));
            }
            object.extend_from_slice(part);
            Ok(())
        })?;
        Ok(object)
    }

    /// The same, part by part: `take` gets the bytes in order, with the object's size where it is known. Returns the
    /// number of bytes.
    pub fn read_to(&self, text: &str, most: u64, take: &mut Take<'_>) -> R<u64> {
        self.read_for(Direction::Read, text, most, take)
    }

    fn read_for(&self, direction: Direction, text: &str, most: u64, take: &mut Take<'_>) -> R<u64> {
        let place = place(text);
        let mut count = Counted { place: &place, most, done: 0, take };
        match Location::parse(text, self, direction)? {
            Location::File(path) => file::read(&path, &self.files, &mut count)?,
            Location::Web(url) => self.timely(&place, web::read(&url, self, &mut count))?,
            Location::Bucket(address, store) => {
                let bucket = bucket::Bucket::open(&address, store, self)?;
                self.timely(&place, bucket.read(&mut count))?;
            }
        }
        Ok(count.done)
    }

    /// Writes a new object of exactly `bytes` bytes from `source`; what stands there already is not replaced
    /// (`OBJECT_EXISTS`). In buckets an object above [`bucket::SINGLE`] goes up in parts.
    pub fn write_new(&self, text: &str, source: &mut dyn Read, bytes: u64) -> R<()> {
        let place = place(text);
        match Location::parse(text, self, Direction::Write)? {
            Location::File(path) => file::write_new(&path, &self.files, source, bytes),
            Location::Web(url) => self.timely(&place, web::write_new(&url, self, source, bytes)),
            Location::Bucket(address, store) => {
                let bucket = bucket::Bucket::open(&address, store, self)?;
                self.timely(&place, bucket.write_new(source, bytes))
            }
        }
    }

    /// The same for an object in memory. Where storage says that one stands there already, or says nothing of
    /// how it went, it is looked at: if it is this very object, it was written and the answer lost, and all is well.
    pub fn write_once(&self, text: &str, object: &[u8]) -> R<()> {
        let bytes = object.len() as u64;
        let stands = || {
            let (mut at, mut same) = (0, true);
            let read = self.read_for(Direction::Write, text, bytes, &mut |part, _| {
                same &= object.get(at..at + part.len()) == Some(part);
                at += part.len();
                Ok(())
            });
            same && read == Ok(bytes)
        };
        match self.write_new(text, &mut &*object, bytes) {
            Err(refusal)
                if matches!(refusal.code, Code::ObjectExists | Code::UploadFailed | Code::Timeout) && stands() =>
            {
                Ok(())
            }
            done => done,
        }
    }

    fn timely<T>(&self, place: &str, work: impl Future<Output = R<T>>) -> R<T> {
        let fault = |e: std::io::Error| Refusal::new(Code::Internal, format!("no runtime for {place}: {e}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fault)?;
        let late = || Refusal::new(Code::Timeout, format!("{place} took longer than {:?}", self.patience.whole));
        let done = runtime.block_on(async { tokio::time::timeout(self.patience.whole, work).await });
        // A name that is still being looked up is not waited for.
        runtime.shutdown_background();
        done.unwrap_or_else(|_| Err(late()))
    }
}

/// Takes the parts of an object, with its size where it is known.
pub type Take<'a> = dyn FnMut(&[u8], Option<u64>) -> R<()> + 'a;

/// Counts what comes against the limit.
pub(crate) struct Counted<'a, 'b> {
    place: &'a str,
    most: u64,
    done: u64,
    take: &'a mut Take<'b>,
}

impl Counted<'_, '_> {
    /// Refuses an object that says it is too large.
    pub(crate) fn announced(&self, size: u64) -> R<()> {
        if size > self.most {
            let sentence = format!("{} has {size} bytes; at most {} are read", self.place, self.most);
            return Err(Refusal::new(Code::LimitExceeded, sentence));
        }
        Ok(())
    }

    /// Hands a part on.
    pub(crate) fn part(&mut self, part: &[u8], size: Option<u64>) -> R<()> {
        self.announced(self.done.saturating_add(part.len() as u64))?;
        self.done += part.len() as u64;
        (self.take)(part, size)
    }
}

/// A location as it is shown to people: without a user or password, and without the query, which may be a signature that
/// opens the object.
pub fn place(text: &str) -> String {
    let (plain, query) = text.split_once('?').unwrap_or((text, ""));
    let query = if query.is_empty() { "" } else { "?…" };
    let (scheme, rest) = plain.split_once("://").unwrap_or(("", plain));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        // A container of Azure's, which is no secret.
        Some((user, _)) if scheme == "abfss" && !user.contains(':') => format!("{plain}{query}"),
        Some((_, host)) => format!("{scheme}://…@{host}{path}{query}"),
        None => format!("{plain}{query}"),
    }
}

/// Reads up to `most` bytes from a source.
pub(crate) fn next_part(source: &mut dyn Read, most: u64) -> R<Vec<u8>> {
    let mut part = Vec::with_capacity(usize::try_from(most).unwrap_or(0));
    let fault = |e: std::io::Error| Refusal::new(Code::Internal, format!("what is to be written cannot be read: {e}"));
    source.take(most).read_to_end(&mut part).map_err(fault)?;
    Ok(part)
}

/// The refusal where a source ends before the size that was said.
pub(crate) fn source_short() -> Refusal {
    Refusal::new(Code::ObjectTruncated, "what is to be written ends before its size")
}
