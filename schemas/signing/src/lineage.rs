//! From one pinned key to the others of a log: the only place where a relying party comes to believe another log key than
//! the one that it pins, or another origin.

use schemas::bundle::Logged;
use schemas::event::Body;
use schemas::jwk::Jwk;
use schemas::lineage::LogLineage;
use schemas::rules::LogKey;
use schemas::{Code, R, Refusal, Signed};

use crate::book::Trust;
use crate::{check, document, note};

/// The most changes of key in a lineage.
pub const MAX_LINKS: usize = 64;

/// What signs a checkpoint of a log, by its size: one key, or the keys of a verified lineage.
pub trait CheckpointKeys {
    /// The key that must have signed a checkpoint of this size.
    fn key_at(&self, size: u64) -> &Jwk;
}

impl CheckpointKeys for Jwk {
    fn key_at(&self, _: u64) -> &Jwk {
        self
    }
}

impl CheckpointKeys for Trust {
    fn key_at(&self, size: u64) -> &Jwk {
        let key = self.lineage.keys.iter().rev().find(|key| key.from < size).or_else(|| self.lineage.keys.first());
        key.map_or(&self.registry_jwk, |key| &key.jwk)
    }
}

/// A key of the log and the index of the entry that brought it; 0 for the oldest one known.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Key {
    from: u64,
    jwk: Jwk,
}

/// A verified lineage; empty where nothing but the pinned key is known. Made by [`Trust::following`] alone.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Lineage {
    keys: Vec<Key>,
    shown: Option<LogLineage>,
}

impl Lineage {
    /// The document that showed it; none where nothing but the pinned key is known.
    pub fn shown(&self) -> Option<&LogLineage> {
        self.shown.as_ref()
    }

    /// The origin of the log that this one succeeds, if one was shown.
    pub fn succeeds(&self) -> Option<String> {
        let succession = self.shown.as_ref()?.succeeds.as_ref()?;
        Some(succession.read_unverified().ok()?.old_origin)
    }

    /// The key in use; none where nothing but the pinned key is known.
    pub(crate) fn last(&self) -> Option<&Jwk> {
        self.keys.last().map(|key| &key.jwk)
    }
}

impl Trust {
    /// The trust that follows from the pinned one and a lineage, in this order:
    ///
    /// 1. its log is the pinned one, or two SRO people signed that it stands in the pinned one's place;
    /// 2. each link is signed by two SRO people, replaces the key before it, and stands in the log under a checkpoint that
    ///    this key and the new one signed;
    /// 3. the pinned key is one of the keys.
    ///
    /// Checkpoints then count by the key that was in use at their size, the registry's documents by the key in use alone.
    /// A shorter lineage than the one known changes nothing; one that departs from it is refused. Pure.
    ///
    /// # Errors
    /// `TWO_PEOPLE_NEEDED`, and the refusals of an unknown signer, where fewer signed; `CHECKPOINT_INVALID` where the old
    /// or the new key did not; `INCLUSION_INVALID` or `RECEIPT_MISMATCH` where a link does not stand in the log;
    /// `LOG_LINEAGE_INVALID` where links do not follow on one another or on what is pinned; `CONSISTENCY_INVALID` where
    /// another lineage was shown before.
    pub fn following(&self, lineage: &LogLineage) -> R<Trust> {
        let known = &self.lineage;
        if known.shown.as_ref() == Some(lineage) {
            return Ok(self.clone());
        }
        if lineage.links.len() > MAX_LINKS {
            return Err(Refusal::new(Code::LimitExceeded, "a lineage has at most 64 links"));
        }
        self.succession(lineage)?;
        let keys = self.keys_of(lineage)?;
        let told = |jwk: &Jwk| keys.iter().any(|key| key.jwk == *jwk);
        if !told(&self.registry_jwk) {
            return Err(invalid(
                "the pinned key is none of its keys; pin the log's key again, as the SRO publishes it",
            ));
        }
        // Another log goes on with the key in use here: an older one was replaced, perhaps because it was stolen.
        if self.origin != lineage.origin && !told(self.key_in_use()) {
            return Err(invalid("the log that goes on lacks the key that was in use; pin its key again"));
        }
        if self.origin != lineage.origin || known.keys.iter().all(|key| told(&key.jwk)) {
            return Ok(self.with(lineage, keys));
        }
        // What is known already goes further, or elsewhere.
        if keys.iter().all(|key| known.keys.iter().any(|k| k.jwk == key.jwk)) {
            return Ok(self.clone());
        }
        let sentence = "the log showed two lineages of its keys; ask its SRO and a witness which holds";
        Err(Refusal::new(Code::ConsistencyInvalid, sentence))
    }

    /// [`Trust::following`] where a lineage came along.
    pub fn following_if(&self, lineage: Option<&LogLineage>) -> R<Trust> {
        lineage.map_or_else(|| Ok(self.clone()), |lineage| self.following(lineage))
    }

    fn with(&self, lineage: &LogLineage, keys: Vec<Key>) -> Trust {
        let lineage_of = Lineage { keys, shown: Some(lineage.clone()) };
        Trust { origin: lineage.origin.clone(), lineage: lineage_of, ..self.clone() }
    }

    /// The log is the pinned one, or stands in its place by the word of two SRO people.
    fn succession(&self, lineage: &LogLineage) -> R<()> {
        let Some(succession) = &lineage.succeeds else {
            let same = lineage.origin == self.origin;
            if same && self.lineage.succeeds().is_some() {
                return Err(invalid("the succession that was shown before is left out"));
            }
            return if same { Ok(()) } else { Err(invalid("it is of another log, and nothing signed says why")) };
        };
        let signed = document::verify(succession.clone(), &self.registry, self)?;
        self.two_people(&signed)?;
        let from_here = lineage.origin == self.origin || signed.old_origin == self.origin;
        if signed.new_origin == lineage.origin && signed.old_origin != signed.new_origin && from_here {
            return Ok(());
        }
        Err(invalid("its succession is of other logs"))
    }

    fn keys_of(&self, lineage: &LogLineage) -> R<Vec<Key>> {
        check::public_key(&lineage.first)?;
        let mut keys = vec![Key { from: 0, jwk: lineage.first.clone() }];
        for link in &lineage.links {
            let (before, last) = keys.last().map_or((0, &lineage.first), |key| (key.from, &key.jwk));
            let key = self.link(link, before, last, &lineage.origin)?;
            if keys.iter().any(|k| k.jwk == key.jwk) {
                return Err(invalid("a key comes back"));
            }
            keys.push(key);
        }
        Ok(keys)
    }

    /// One change of key, after the key that was in use from the entry `before` on.
    fn link(&self, link: &Logged<LogKey>, before: u64, old: &Jwk, origin: &str) -> R<Key> {
        let rotation: Signed<LogKey> = document::verify(link.envelope.clone(), &self.registry, self)?;
        self.two_people(&rotation)?;
        check::public_key(&rotation.jwk)?;
        if rotation.replaces != old.thumbprint() || link.receipt.index <= before {
            return Err(invalid("a link does not follow on the key before it"));
        }
        let body = Body::LogKeyRotated { rotation: link.envelope.clone() };
        note::verify_receipt(&link.receipt, &body, origin, old)?;
        note::verify_checkpoint(&link.receipt.checkpoint, origin, &rotation.jwk)?;
        Ok(Key { from: link.receipt.index, jwk: rotation.jwk.clone() })
    }
}

fn invalid(why: &str) -> Refusal {
    Refusal::new(Code::LogLineageInvalid, format!("lineage of the log: {why}"))
}
