//! From one pinned key to the others of a log: the only place where a relying party comes to believe another log key than
//! the one that it pins, another origin, or other keys of the SRO's people.

use schemas::bundle::Logged;
use schemas::event::Body;
use schemas::jwk::Jwk;
use schemas::lineage::LogLineage;
use schemas::rules::LogKey;
use schemas::{Code, R, Refusal, Signed};

use crate::book::Trust;
use crate::book::people::{self, MAX_PEOPLE_EVENTS, People};
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
    pub(crate) people: People,
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
    /// 3. each change of a person's key is signed by two of the people, with keys that counted there, and stands in the log;
    /// 4. the pinned key is one of the keys.
    ///
    /// Checkpoints then count by the key that was in use at their size, the registry's documents by the key in use alone,
    /// and what people signed by the keys that they had at its entry. A shorter lineage than the one known changes nothing;
    /// one that departs from it, in a key, its order or its entry, is refused. Pure.
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
        if lineage.links.len() > MAX_LINKS || lineage.people.len() > MAX_PEOPLE_EVENTS {
            return Err(Refusal::new(Code::LimitExceeded, "a lineage has at most 64 links and 256 changes of people"));
        }
        self.succession(lineage)?;
        let (keys, people) = self.told_by(lineage)?;
        let told = |jwk: &Jwk| keys.iter().any(|key| key.jwk == *jwk);
        if !told(&self.registry_jwk) {
            return Err(invalid(
                "the pinned key is none of its keys; pin the log's key again, as the SRO publishes it",
            ));
        }
        if self.origin != lineage.origin {
            // Another log goes on with the key in use here: an older one was replaced, perhaps because it was stolen.
            if !told(self.key_in_use()) {
                return Err(invalid("the log that goes on lacks the key that was in use; pin its key again"));
            }
            return Ok(self.with(lineage, keys, people));
        }
        let further = known.keys.is_empty() || goes_on(&known.keys, &keys)?;
        let more = longer(known.people.events(), people.events())?;
        let shorter = !further && !same_end(&known.keys, &keys);
        match more {
            // One part goes on and the other goes back: no log shows that.
            Some(true) if shorter => Err(two_lineages()),
            Some(false) if further && !known.keys.is_empty() => Err(two_lineages()),
            Some(true) => Ok(self.with(lineage, joined(&known.keys, keys), people)),
            None if further => Ok(self.with(lineage, joined(&known.keys, keys), people)),
            // The same keys, and the word by which the log stands in another one's place, which was not shown before.
            None if same_end(&known.keys, &keys) && lineage.succeeds.is_some() && known.succeeds().is_none() => {
                Ok(self.with(lineage, joined(&known.keys, keys), people))
            }
            // What is known already goes as far.
            _ => Ok(self.clone()),
        }
    }

    /// [`Trust::following`] where a lineage came along.
    pub fn following_if(&self, lineage: Option<&LogLineage>) -> R<Trust> {
        lineage.map_or_else(|| Ok(self.clone()), |lineage| self.following(lineage))
    }

    fn with(&self, lineage: &LogLineage, keys: Vec<Key>, people: People) -> Trust {
        let lineage_of = Lineage { keys, people, shown: Some(lineage.clone()) };
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
        if signed.new_key.as_ref().is_some_and(|key| *key != lineage.first.thumbprint()) {
            return Err(invalid("the log that goes on begins with another key than its succession names"));
        }
        let from_here = lineage.origin == self.origin || signed.old_origin == self.origin;
        if signed.new_origin == lineage.origin && signed.old_origin != signed.new_origin && from_here {
            return Ok(());
        }
        Err(invalid("its succession is of other logs"))
    }

    /// The keys of the log and of its people, in the order of its entries.
    fn told_by(&self, lineage: &LogLineage) -> R<(Vec<Key>, People)> {
        check::public_key(&lineage.first)?;
        let mut keys = vec![Key { from: 0, jwk: lineage.first.clone() }];
        let (mut people, mut events) = (People::default(), lineage.people.iter().peekable());
        for link in &lineage.links {
            while let Some(event) = events.next_if(|event| event.receipt.index < link.receipt.index) {
                self.person_event(&mut people, event)?;
            }
            let (before, last) = keys.last().map_or((0, &lineage.first), |key| (key.from, &key.jwk));
            let key = self.link(link, before, last, &lineage.origin, &people)?;
            if keys.iter().any(|k| k.jwk == key.jwk) {
                return Err(invalid("a key comes back"));
            }
            keys.push(key);
        }
        events.try_for_each(|event| self.person_event(&mut people, event))?;
        let judged = self.with(lineage, keys, people);
        for event in &lineage.people {
            note::verify_receipt(&event.receipt, &people::body(event), &lineage.origin, &judged)?;
        }
        Ok((judged.lineage.keys, judged.lineage.people))
    }

    /// One change of key, after the key that was in use from the entry `before` on.
    fn link(&self, link: &Logged<LogKey>, before: u64, old: &Jwk, origin: &str, people: &People) -> R<Key> {
        let book = self.people_at(people, link.receipt.index);
        let rotation: Signed<LogKey> = document::verify(link.envelope.clone(), &self.registry, &book)?;
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

/// Where the first key of one of two lineages stands in the other: the offsets from which both tell the same part.
fn overlap(known: &[Key], shown: &[Key]) -> R<(usize, usize)> {
    let place = |of: &[Key], key: Option<&Key>| of.iter().position(|k| key.is_some_and(|key| key.jwk == k.jwk));
    let (a, b) = match (place(shown, known.first()), place(known, shown.first())) {
        (Some(at), _) => (0, at),
        (None, Some(at)) => (at, 0),
        (None, None) => return Err(two_lineages()),
    };
    // What only one of them tells stands before the other's beginning, and nowhere else.
    let elsewhere = |keys: &[Key], of: &[Key]| keys.iter().any(|key| place(of, Some(key)).is_some());
    if elsewhere(&known[..a], shown) || elsewhere(&shown[..b], known) { Err(two_lineages()) } else { Ok((a, b)) }
}

/// Whether the shown keys go further than the known ones; refused where they are others, in another order or of other
/// entries. Where the first key came is known to longer lineages alone.
fn goes_on(known: &[Key], shown: &[Key]) -> R<bool> {
    let (a, b) = overlap(known, shown)?;
    let same = |(n, (k, s)): (usize, (&Key, &Key))| k.jwk == s.jwk && (n == 0 || k.from == s.from);
    if !known[a..].iter().zip(&shown[b..]).enumerate().all(same) {
        return Err(two_lineages());
    }
    Ok(shown.len() - b > known.len() - a)
}

fn same_end(known: &[Key], shown: &[Key]) -> bool {
    known.last().map(|key| &key.jwk) == shown.last().map(|key| &key.jwk)
}

/// The shown keys, after those before them that a shorter beginning leaves out.
fn joined(known: &[Key], shown: Vec<Key>) -> Vec<Key> {
    let before = known.iter().position(|key| shown.first().is_some_and(|first| first.jwk == key.jwk)).unwrap_or(0);
    let mut all = known[..before].to_vec();
    let from = known.get(before).filter(|_| before > 0).map(|key| key.from);
    all.extend(shown);
    if let (Some(from), Some(first)) = (from, all.get_mut(before)) {
        first.from = from;
    }
    all
}

/// Whether the shown events are more than the known ones; none where they are the same. Refused where one is not the
/// beginning of the other.
fn longer(known: &[(u64, schemas::Digest)], shown: &[(u64, schemas::Digest)]) -> R<Option<bool>> {
    if known.iter().zip(shown).any(|(a, b)| a != b) {
        return Err(two_lineages());
    }
    Ok((known.len() != shown.len()).then_some(shown.len() > known.len()))
}

fn two_lineages() -> Refusal {
    let sentence = "the log showed two lineages of its keys; ask its SRO and a witness which holds";
    Refusal::new(Code::ConsistencyInvalid, sentence)
}

fn invalid(why: &str) -> Refusal {
    Refusal::new(Code::LogLineageInvalid, format!("lineage of the log: {why}"))
}
