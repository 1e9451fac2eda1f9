//! A party's keys over the course of the log: which of them count at which entry.

use schemas::jwk::Jwk;
use schemas::party::{KeyAct, KeyUse, Kind};
use schemas::{Code, R, Refusal};

/// The most keys that one party ever had.
const MAX_KEYS: usize = 64;

/// One key with the entries between which it counts.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Held {
    jwk: Jwk,
    uses: Vec<KeyUse>,
    from: u64,
    /// The first entry at which it does not count any more.
    until: Option<u64>,
    /// Thumbprint of the key that signed its coming.
    by: Option<String>,
}

/// The keys of one party.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartyKeys {
    pub(super) kind: Kind,
    keys: Vec<Held>,
}

impl PartyKeys {
    /// A party with the key of its application, which counts from the start and for every use.
    pub(super) fn new(kind: Kind, jwk: Jwk) -> PartyKeys {
        PartyKeys {
            kind,
            keys: vec![Held { jwk, uses: vec![KeyUse::Document, KeyUse::Api], from: 0, until: None, by: None }],
        }
    }

    /// The document key with this thumbprint, if it counts at an entry of this index; without an index: now.
    pub(super) fn document_key(&self, thumbprint: &str, index: Option<u64>) -> Option<&Jwk> {
        let counts = |k: &&Held| match index {
            Some(index) => k.from <= index && k.until.is_none_or(|until| index < until),
            None => k.until.is_none(),
        };
        let named = |k: &&Held| k.uses.contains(&KeyUse::Document) && k.jwk.thumbprint() == thumbprint;
        self.keys.iter().filter(counts).find(named).map(|k| &k.jwk)
    }

    /// Whether the party ever had this key.
    pub(super) fn had(&self, thumbprint: &str) -> bool {
        self.keys.iter().any(|k| k.jwk.thumbprint() == thumbprint)
    }

    /// Applies a verified event that was entered at `index`. A retired or revoked key counts for entries before it; a
    /// compromised one for entries before `since_index`, which may lie further back, and the keys that it brought since
    /// for none. `by` is the thumbprint of the first key that signed the event.
    pub(super) fn apply(&mut self, index: u64, act: &KeyAct, by: Option<String>) -> R<()> {
        match act {
            KeyAct::Add { proof, uses } => self.add(index, proof.read_unverified()?.jwk, uses.clone(), by),
            KeyAct::Retire { thumbprint } | KeyAct::Revoke { thumbprint } => self.end(thumbprint, index),
            KeyAct::Compromise { thumbprint, since_index } => self.contest(thumbprint.clone(), *since_index),
        }
    }

    fn contest(&mut self, thumbprint: String, since: u64) -> R<()> {
        let mut open = vec![(thumbprint, since)];
        while let Some((thumbprint, since)) = open.pop() {
            self.end(&thumbprint, since)?;
            let brought = |k: &&Held| k.by.as_ref() == Some(&thumbprint) && k.from >= since;
            let sound = |k: &&Held| k.until.is_none_or(|until| until > k.from);
            let fall = self.keys.iter().filter(brought).filter(sound);
            open.extend(fall.map(|k| (k.jwk.thumbprint(), k.from)));
        }
        Ok(())
    }

    fn add(&mut self, from: u64, jwk: Jwk, uses: Vec<KeyUse>, by: Option<String>) -> R<()> {
        if self.keys.iter().any(|k| k.jwk == jwk) {
            return Err(Refusal::new(Code::KeyExists, "the party has had this key before"));
        }
        if self.keys.len() >= MAX_KEYS {
            return Err(Refusal::new(Code::LimitExceeded, "a party has at most 64 keys"));
        }
        self.keys.push(Held { jwk, uses, from, until: None, by });
        Ok(())
    }

    fn end(&mut self, thumbprint: &str, index: u64) -> R<()> {
        let key = self.keys.iter_mut().find(|k| k.jwk.thumbprint() == thumbprint);
        let key = key.ok_or_else(|| Refusal::new(Code::KeyUnknown, "the party has no key with this thumbprint"))?;
        key.until = Some(key.until.map_or(index, |until| until.min(index)));
        Ok(())
    }
}
