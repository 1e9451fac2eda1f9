//! What an operator does with a stopped service: back up, restore, check the store, succeed a log that lost entries.
//! Restoring from a mirror takes the entries that are missing; only where no mirror has them a log is succeeded.

use std::path::{Path, PathBuf};

use registry::{Options, Registry};
use schemas::event::SroPerson;
use schemas::log::{Checkpoint, CheckpointRef, ExportedEntry};
use schemas::rules::LogSucceeded;
use schemas::{Code, Envelope, R, Refusal, Timestamp};

use crate::config::Config;
use crate::error::fault;
use crate::log_keys::LogKeys;
use crate::mirror::{Mirror, PER_FILE, Place};

/// What the registry of a configuration is opened with.
pub fn options(config: &Config) -> R<Options> {
    let (signer, next) = LogKeys::load(&config.key_file)?.for_registry();
    Ok(Options {
        url: database(config),
        origin: config.origin()?,
        registry: config.did()?,
        sro: config.sro.clone(),
        signer,
        next,
        readers: 2,
    })
}

fn database(config: &Config) -> String {
    config.database_url()
}

fn refused(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::ConfigInvalid, why.to_string())
}

/// Writes a consistent, checked copy of the database into a new file; the service may run on.
pub fn backup(config: &Config, to: &Path) -> R<CheckpointRef> {
    registry::backup(&database(config), to)
}

/// Puts a backup in the place of a database that is not there, and checks it.
pub fn restore(config: &Config, from: &Path) -> R<CheckpointRef> {
    std::fs::create_dir_all(&config.data_dir).map_err(fault)?;
    registry::restore(from, &database(config))
}

/// Takes what the database has lost from a mirror of `depa audit monitor`, up to the mirror's checkpoint: a folder, or an
/// address at which a web server gives that folder out. `tell` hears how many entries were read, and of how many.
pub fn restore_from_mirror(config: &Config, mirror: &str, tell: &mut dyn FnMut(u64, u64)) -> R<CheckpointRef> {
    std::fs::create_dir_all(&config.data_dir).map_err(fault)?;
    let place = Place::parse(mirror)?;
    let note = place.checkpoint()?;
    let options = options(config)?;
    let checkpoint = options.own_note(&note)?;
    let own = Checkpoint { signatures: own_lines(&checkpoint), ..checkpoint };
    let seen = std::fs::read_to_string(config.data_dir.join("cosigned.note")).ok();
    if seen.and_then(|text| options.own_note(&text).ok()).is_some_and(|seen| seen.head.size > own.head.size) {
        let sentence = "the mirror ends before a checkpoint that a witness cosigned; take a newer mirror";
        return Err(Refusal::new(Code::ConsistencyInvalid, sentence));
    }
    let of = own.head.size;
    let told = Mirror::new(place).inspect(|entry| match entry {
        Ok(entry) if entry.index.is_multiple_of(PER_FILE) => tell(entry.index, of),
        _ => {}
    });
    Registry::restore_from(&options, told, &own)
}

fn own_lines(note: &Checkpoint) -> Vec<schemas::log::NoteSignature> {
    note.signatures.iter().filter(|line| line.name == note.origin).cloned().collect()
}

/// Opens the store, which checks its end, and scrubs all the rest of it. The service must be stopped.
pub fn verify_store(config: &Config, now: Timestamp) -> R<CheckpointRef> {
    if config.database.is_none() && !config.database().exists() {
        return Err(refused(format!("{} is not there", config.database().display())));
    }
    let registry = Registry::open(options(config)?, now)?;
    registry.scrub()?;
    registry.read_only().map_or(Ok(()), Err)?;
    registry.head()
}

/// Drafts the succession of a log that lost entries, for two SRO people to sign: it names the last checkpoint that a
/// witness cosigned, and what is left.
pub fn draft_succession(config: &Config, new_origin: &str, reason: &str, now: Timestamp) -> R<Envelope<LogSucceeded>> {
    let file = config.data_dir.join("cosigned.note");
    let old_checkpoint = std::fs::read_to_string(&file).map_err(|e| refused(format!("{}: {e}", file.display())))?;
    let options = options(config)?;
    options.own_note(&old_checkpoint)?;
    let kept = Registry::inspect(&options)?.size;
    Envelope::draft(&LogSucceeded {
        schema: "log-succeeded.v1".into(),
        registry: options.registry,
        old_origin: options.origin,
        old_checkpoint,
        kept,
        new_origin: new_origin.to_owned(),
        reason: reason.to_owned(),
        at: now,
    })
}

/// Opens the log that goes on. On SQLite in a new file in the place of the old one, which is kept beside it; on PostgreSQL
/// in the empty database `into`, while the old one stays as it is. Returns its head and the configuration with the new
/// origin and database. `tell` hears how many of the old entries were taken.
pub fn succeed(
    config: &Config,
    signed: &[Envelope<LogSucceeded>],
    into: Option<&str>,
    now: Timestamp,
    tell: &mut dyn FnMut(u64),
) -> R<(CheckpointRef, Config)> {
    let succession = joined(signed)?;
    two_people(&succession, config)?;
    let said = succession.read_unverified()?;
    let mut take = |url: &str| -> R<CheckpointRef> {
        let old = Registry::open(options(config)?, now)?;
        let new = Options { url: url.to_owned(), origin: said.new_origin.clone(), ..in_use(config, &old)? };
        let kept = Kept { registry: &old, at: 0, page: Vec::new() };
        registry::succeed(new, kept, succession.clone(), now, tell)?.head()
    };
    let next = Config { log_origin: Some(said.new_origin.clone()), ..config.clone() };
    if config.database.is_some() {
        let missing = || refused("on PostgreSQL the log goes on in an empty database: --database postgres://…");
        let into = into.ok_or_else(missing)?;
        let next = Config { database: Some(into.to_owned()), ..next };
        next.check()?;
        return Ok((take(into)?, next));
    }
    if into.is_some() {
        return Err(refused("a log on SQLite goes on in a file in the place of the old one; leave --database out"));
    }
    let old = config.database();
    let fresh = config.data_dir.join("registry.succeeding.sqlite");
    drop(std::fs::remove_file(&fresh));
    let head = take(&fresh.to_string_lossy())?;
    for suffix in ["", "-wal", "-shm"] {
        let with = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        move_if_there(&with(&old), &with(&old.with_extension("closed.sqlite")))?;
        move_if_there(&with(&fresh), &with(&old))?;
    }
    Ok((head, next))
}

/// The options of a configuration, with the key in use by this log as the first one: a log that goes on begins with it.
fn in_use(config: &Config, log: &Registry) -> R<Options> {
    let signer = LogKeys::load(&config.key_file)?.in_use(&log.state())?.clone();
    Ok(Options { signer, next: Default::default(), ..options(config)? })
}

fn move_if_there(from: &Path, to: &Path) -> R<()> {
    if from.exists() { std::fs::rename(from, to).map_err(fault) } else { Ok(()) }
}

/// One envelope of what several people signed separately.
fn joined(signed: &[Envelope<LogSucceeded>]) -> R<Envelope<LogSucceeded>> {
    let mut all = signed.iter();
    let mut first = all.next().cloned().ok_or_else(|| refused("no signed succession is given"))?;
    for other in all {
        if other.payload != first.payload {
            return Err(refused("the signed successions are not the same document"));
        }
        let fresh = other.signatures.iter().filter(|s| !first.signatures.iter().any(|f| f.kid == s.kid));
        first.signatures.extend(fresh.cloned().collect::<Vec<_>>());
    }
    Ok(first)
}

fn two_people(succession: &Envelope<LogSucceeded>, config: &Config) -> R<()> {
    let people = People(&config.sro);
    let signed = signing::verify(succession.clone(), &config.did()?, &people)?;
    if signed.signers().len() < 2 {
        return Err(Refusal::new(Code::TwoPeopleNeeded, "two different SRO people must have signed"));
    }
    Ok(())
}

/// The SRO people of the configuration, and nobody else.
struct People<'a>(&'a [SroPerson]);

impl schemas::KeyBook for People<'_> {
    fn key(&self, kid: &schemas::id::KeyId, usage: schemas::envelope::Usage) -> Option<schemas::jwk::Jwk> {
        let person = self.0.iter().find(|person| person.did.as_str() == kid.holder)?;
        (usage == schemas::envelope::Usage::Party).then(|| person.jwk.clone())
    }
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
