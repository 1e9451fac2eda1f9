//! The keys of the SRO's people over the course of the log: those that are pinned, and what two people made of them since.

use std::collections::BTreeMap;

use schemas::bundle::LoggedKeyEvent;
use schemas::envelope::Usage;
use schemas::event::Body;
use schemas::id::KeyId;
use schemas::jwk::Jwk;
use schemas::party::Kind;
use schemas::{Code, Digest, KeyBook, R, Refusal};

use super::keys::PartyKeys;
use super::{Trust, verify_added_key};
use crate::document;

/// The most changes of people's keys in a lineage.
pub const MAX_PEOPLE_EVENTS: usize = 256;

/// The people whose keys changed, and by what. Empty where nothing but the pinned keys is known.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct People {
    keys: BTreeMap<String, PartyKeys>,
    /// Index of the entry and digest of the bytes of each event.
    events: Vec<(u64, Digest)>,
}

impl People {
    /// The events that made them, in the order of the log.
    pub(crate) fn events(&self) -> &[(u64, Digest)] {
        &self.events
    }
}

impl Trust {
    /// The document key of a person at an entry of this index; without an index: now. A person whose keys never changed has
    /// the pinned one.
    pub(crate) fn person_key(&self, kid: &KeyId, index: Option<u64>) -> Option<Jwk> {
        self.person_key_by(&self.lineage.people, kid, index)
    }

    fn person_key_by(&self, people: &People, kid: &KeyId, index: Option<u64>) -> Option<Jwk> {
        let person = self.sro.iter().find(|p| p.did.as_str() == kid.holder)?;
        match people.keys.get(&kid.holder) {
            Some(keys) => keys.document_key(&kid.thumbprint, index).cloned(),
            None => Some(person.jwk.clone()),
        }
    }

    /// Takes one event, after those before it: signed by two people with keys that counted there, about one of them.
    /// Whether it stands in the log is checked once the log's keys are known.
    pub(crate) fn person_event(&self, people: &mut People, logged: &LoggedKeyEvent) -> R<()> {
        let index = logged.receipt.index;
        if people.events.last().is_some_and(|(before, _)| index <= *before) {
            return Err(Refusal::new(Code::ReceiptMismatch, "key events stand in the order of the log"));
        }
        let book = PeopleAt { trust: self, people, index };
        let event = document::verify(logged.event.clone(), &self.registry, &book)?;
        self.two_people(&event)?;
        let person = self.sro.iter().find(|p| p.did == event.participant);
        let person = person.ok_or_else(|| Refusal::new(Code::SignerNotParty, "a key event of no person of the SRO"))?;
        verify_added_key(&event, logged.resolution.as_ref(), &self.registry)?;
        let first = || PartyKeys::new(Kind::Sro, person.jwk.clone());
        // No key falls with the one that brought it: a second person vouched for it.
        people.keys.entry(person.did.to_string()).or_insert_with(first).apply(index, &event.event, None)?;
        people.events.push((index, event.digest()));
        Ok(())
    }

    /// A book of the people as these events leave them, at an entry of this index.
    pub(crate) fn people_at<'a>(&'a self, people: &'a People, index: u64) -> PeopleAt<'a> {
        PeopleAt { trust: self, people, index }
    }
}

/// The body that a key event stands in.
pub(crate) fn body(logged: &LoggedKeyEvent) -> Body {
    Body::KeyChanged { event: logged.event.clone(), resolution: logged.resolution.clone() }
}

/// The people as they stood for one entry.
pub(crate) struct PeopleAt<'a> {
    trust: &'a Trust,
    people: &'a People,
    index: u64,
}

impl KeyBook for PeopleAt<'_> {
    fn key(&self, kid: &KeyId, usage: Usage) -> Option<Jwk> {
        match usage {
            Usage::Party => self.trust.person_key_by(self.people, kid, Some(self.index)),
            Usage::Service | Usage::Run => None,
        }
    }
}
