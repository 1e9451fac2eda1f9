//! What an operator does with a stopped service: back up, restore, check the store, succeed a log that lost entries.
//! Restoring from a mirror takes the entries that are missing; only where no mirror has them a log is succeeded.

use std::path::Path;

use registry::{Options, Registry};
use schemas::event::SroPerson;
use schemas::log::{Checkpoint, CheckpointRef};
use schemas::rules::LogSucceeded;
use schemas::{Code, Envelope, R, Refusal, Timestamp};

use crate::config::Config;
use crate::error::fault;
use crate::log_keys::LogKeys;
use crate::mirror::{Mirror, PER_FILE, Place};
use crate::succession;
pub use crate::succession::{Told, succeed};

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

pub(crate) fn refused(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::ConfigInvalid, why.to_string())
}

/// Writes a consistent, checked copy of the database into a new file; the service may run on.
pub fn backup(config: &Config, to: &Path) -> R<CheckpointRef> {
    succession::unfinished(config)?;
    registry::backup(&database(config), to)
}

/// Puts a backup in the place of a database that is not there, and checks it.
pub fn restore(config: &Config, from: &Path) -> R<CheckpointRef> {
    succession::unfinished(config)?;
    std::fs::create_dir_all(&config.data_dir).map_err(fault)?;
    registry::restore(from, &database(config))
}

/// Takes what the database has lost from a mirror of `depa audit monitor`, up to the mirror's checkpoint: a folder, or an
/// address at which a web server gives that folder out. `tell` hears how many entries were read, and of how many.
pub fn restore_from_mirror(config: &Config, mirror: &str, tell: &mut dyn FnMut(u64, u64)) -> R<CheckpointRef> {
    succession::unfinished(config)?;
    std::fs::create_dir_all(&config.data_dir).map_err(fault)?;
    let place = Place::parse(mirror)?;
    let note = place.checkpoint()?;
    let options = options(config)?;
    let checkpoint = options.own_note(&note)?;
    let own = Checkpoint { signatures: own_lines(&checkpoint), ..checkpoint };
    let seen = std::fs::read_to_string(config.data_dir.join("cosigned.note")).ok();
    // The service kept it after it had verified it; a key that was replaced since takes nothing away from it.
    let seen = seen.and_then(|text| Checkpoint::parse(&text).ok()).filter(|seen| seen.origin == options.origin);
    let seen = seen.map(|seen| seen.head);
    if seen.as_ref().is_some_and(|seen| seen.size > own.head.size) {
        let sentence = "the mirror ends before a checkpoint that a witness cosigned; take a newer mirror";
        return Err(Refusal::new(Code::ConsistencyInvalid, sentence));
    }
    let of = own.head.size;
    let told = Mirror::new(place).inspect(|entry| match entry {
        Ok(entry) if entry.index.is_multiple_of(PER_FILE) => tell(entry.index, of),
        _ => {}
    });
    Registry::restore_from(&options, told, &own, seen.as_ref())
}

fn own_lines(note: &Checkpoint) -> Vec<schemas::log::NoteSignature> {
    note.signatures.iter().filter(|line| line.name == note.origin).cloned().collect()
}

/// Opens the store, which checks its end, and scrubs all the rest of it. The service must be stopped.
pub fn verify_store(config: &Config, now: Timestamp) -> R<CheckpointRef> {
    succession::unfinished(config)?;
    if config.database.is_none() && !config.database().exists() {
        return Err(refused(format!("{} is not there", config.database().display())));
    }
    let options = options(config)?;
    // Opening an empty database would begin a log there, and then find nothing wrong with it.
    if config.database.is_some() && Registry::is_empty(&options)? {
        return Err(refused("the database holds no log; restore a backup or name another in the configuration"));
    }
    let registry = Registry::open(options, now)?;
    registry.scrub()?;
    registry.read_only().map_or(Ok(()), Err)?;
    registry.head()
}

/// Drafts the succession of a log that lost entries, for two SRO people to sign: it names the last checkpoint that a
/// witness cosigned, and what is left.
pub fn draft_succession(config: &Config, new_origin: &str, reason: &str, now: Timestamp) -> R<Envelope<LogSucceeded>> {
    succession::unfinished(config)?;
    let file = config.data_dir.join("cosigned.note");
    let old_checkpoint = std::fs::read_to_string(&file).map_err(|e| refused(format!("{}: {e}", file.display())))?;
    let options = options(config)?;
    options.own_note(&old_checkpoint)?;
    let kept = Registry::inspect(&options)?.size;
    let new_key = Some(Registry::key_in_use(&options)?.thumbprint());
    Envelope::draft(&LogSucceeded {
        schema: "log-succeeded.v1".into(),
        registry: options.registry,
        old_origin: options.origin,
        old_checkpoint,
        kept,
        new_origin: new_origin.to_owned(),
        new_key,
        reason: reason.to_owned(),
        at: now,
    })
}

/// The options of a configuration, with the key in use by this log as the first one: a log that goes on begins with it.
pub(crate) fn in_use(config: &Config, log: &Registry) -> R<Options> {
    let signer = LogKeys::load(&config.key_file)?.in_use(&log.state())?.clone();
    Ok(Options { signer, next: Default::default(), ..options(config)? })
}

/// One envelope of what several people signed separately.
pub(crate) fn joined(signed: &[Envelope<LogSucceeded>]) -> R<Envelope<LogSucceeded>> {
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

pub(crate) fn two_people(succession: &Envelope<LogSucceeded>, config: &Config) -> R<()> {
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
