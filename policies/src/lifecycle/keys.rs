//! Keys of participants: active from the entry that added them, until one that retires, revokes or reports them.
//!
//! A signature counts if its key is active where it enters. What a key signed before it was retired or revoked stays;
//! what it signed from `since_index` on, once it is reported compromised, is contested.

use schemas::envelope::{Envelope, Usage};
use schemas::id::{Did, KeyId};
use schemas::jwk::Jwk;
use schemas::party::{KeyAct, KeyEvent, KeyUse, Participant, Resolution};
use schemas::{Code, KeyBook, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use super::{ParticipantRow, ParticipantState, State, read, transition};

/// Where a key stands (`contract-service.md` 5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Signs.
    Active,
    /// Signs nothing new; what it signed stays.
    Retired,
    /// As retired, for a cause.
    Revoked,
    /// Somebody else may have signed with it.
    Compromised,
}

/// A key of a participant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyRow {
    /// The key.
    pub jwk: Jwk,
    /// Its RFC 7638 thumbprint.
    pub thumbprint: String,
    /// What it may be used for.
    pub uses: Vec<KeyUse>,
    /// Index of the entry that brought it.
    pub active_from: u64,
    /// Index of the entry that ended it.
    pub ended: Option<u64>,
    /// The state.
    pub state: KeyState,
    /// The first entry whose signature is in doubt, of a compromised key.
    pub compromised_since: Option<u64>,
    /// How the did:web was resolved when it was added.
    pub resolution: Option<Resolution>,
}

impl KeyRow {
    /// The first key of an applicant, for every use.
    pub(super) fn first(participant: &Participant, index: u64, resolution: &Option<Resolution>) -> KeyRow {
        let uses = vec![KeyUse::Document, KeyUse::Api];
        KeyRow::new(participant.jwk.clone(), uses, index, resolution)
    }

    /// The key of a person in the genesis, for every use.
    pub(super) fn genesis(jwk: Jwk) -> KeyRow {
        KeyRow::new(jwk, vec![KeyUse::Document, KeyUse::Api], 0, &None)
    }

    pub(super) fn new(jwk: Jwk, uses: Vec<KeyUse>, index: u64, resolution: &Option<Resolution>) -> KeyRow {
        KeyRow {
            thumbprint: jwk.thumbprint(),
            jwk,
            uses,
            active_from: index,
            ended: None,
            state: KeyState::Active,
            compromised_since: None,
            resolution: resolution.clone(),
        }
    }

    /// Ends the key; the first entry that did so counts.
    pub(super) fn end(&mut self, state: KeyState, index: u64) {
        self.state = state;
        self.ended = self.ended.or(Some(index));
    }

    pub(super) fn serves(&self, wanted: KeyUse) -> bool {
        self.state == KeyState::Active && self.uses.contains(&wanted)
    }
}

/// The most keys that a participant or a person may ever have.
pub(super) const MAX_KEYS: usize = 64;

/// The keys that sign client assertions: a book for `signing::token`, see [`State::api_keys`].
#[derive(Debug)]
pub struct ApiKeys<'s>(&'s State);

impl KeyBook for ApiKeys<'_> {
    fn key(&self, kid: &KeyId, usage: Usage) -> Option<Jwk> {
        if usage == Usage::Party { self.0.api_key(kid) } else { None }
    }
}

impl State {
    /// The keys that may sign client assertions now.
    pub fn api_keys(&self) -> ApiKeys<'_> {
        ApiKeys(self)
    }

    /// The key that signs client assertions under this id: an active key of an SRO person, or an active key for [`KeyUse::Api`] of a
    /// verified participant.
    pub fn api_key(&self, kid: &KeyId) -> Option<Jwk> {
        self.person_key(kid, KeyUse::Api).or_else(|| self.participant_key(kid, KeyUse::Api))
    }

    /// The key that signs documents under this id now.
    pub(super) fn document_key(&self, kid: &KeyId) -> Option<Jwk> {
        self.person_key(kid, KeyUse::Document).or_else(|| self.participant_key(kid, KeyUse::Document))
    }

    fn participant_key(&self, kid: &KeyId, wanted: KeyUse) -> Option<Jwk> {
        let row = self.participants.get(&Did::parse(&kid.holder).ok()?)?;
        let key = row.key(&kid.thumbprint).filter(|key| key.serves(wanted))?;
        (row.state == ParticipantState::Verified).then(|| key.jwk.clone())
    }

    /// Whether a signature by this key that entered at `index` is in doubt.
    pub fn contested(&self, kid: &KeyId, index: u64) -> bool {
        let Ok(did) = Did::parse(&kid.holder) else { return false };
        let keys = match self.participants.get(&did) {
            Some(row) => row.keys.as_slice(),
            None => self.people.get(&did).map(|row| row.keys.as_slice()).unwrap_or_default(),
        };
        let since = require_key(keys, &kid.thumbprint).ok().and_then(|key| key.compromised_since);
        since.is_some_and(|since| since <= index)
    }

    /// A key stands under one holder only, now and later.
    pub(super) fn key_is_free(&self, jwk: &Jwk, holder: &Did, field: &str) -> R<()> {
        let thumbprint = jwk.thumbprint();
        let sro = self.genesis().is_some_and(|g| {
            g.registry_keys.iter().any(|key| key.thumbprint() == thumbprint)
                || g.sro.iter().any(|p| p.jwk.thumbprint() == thumbprint)
        });
        if sro || self.key_holders.get(&thumbprint).is_some_and(|other| other != holder) {
            return Err(Refusal::new(Code::KeyExists, "this key stands under another name already").at(field));
        }
        Ok(())
    }

    /// Signed by the participant with an active key, or by two SRO people.
    pub(super) fn check_key_event(
        &self,
        envelope: &Envelope<KeyEvent>,
        resolution: &Option<Resolution>,
        now: Timestamp,
    ) -> R<()> {
        let event = read(envelope)?;
        if self.is_sro(event.participant.as_str()) {
            return self.check_person_key_event(envelope, resolution, now);
        }
        let unknown = || Refusal::new(Code::NotFound, format!("{} is not registered", event.participant));
        let row = self.participants.get(&event.participant).ok_or_else(unknown)?;
        self.signed_by_party_or_two_people(envelope, |holder| holder == event.participant.as_str())?;
        if !matches!(row.state, ParticipantState::Verified | ParticipantState::Suspended) {
            return Err(transition("keys change while a participant is verified or suspended"));
        }
        crate::registration::key_event(&event, self.registry()?, now)?;
        let own = !envelope.signatures.iter().any(|s| self.is_sro(&s.kid.holder));
        match &event.event {
            KeyAct::Add { proof, .. } => {
                let jwk = read(proof)?.jwk;
                crate::registration::resolution(resolution, &event.participant, now)?;
                self.key_is_free(&jwk, &event.participant, "event.proof")?;
                if row.key(&jwk.thumbprint()).is_some() {
                    let sentence = "this key was added before; one that was retired does not come back";
                    return Err(Refusal::new(Code::KeyExists, sentence).at("event.proof"));
                }
                if row.keys.len() >= MAX_KEYS {
                    return Err(Refusal::new(
                        Code::LimitExceeded,
                        format!("a participant has at most {MAX_KEYS} keys"),
                    ));
                }
                Ok(())
            }
            KeyAct::Retire { thumbprint } => may_end(row, thumbprint, own, &[KeyState::Active]),
            KeyAct::Revoke { thumbprint } => may_end(row, thumbprint, own, &[KeyState::Active, KeyState::Retired]),
            KeyAct::Compromise { thumbprint, since_index } => {
                may_contest(self.size, &row.keys, thumbprint, *since_index)
            }
        }
    }

    pub(super) fn fold_key_event(
        &mut self,
        index: u64,
        at: Timestamp,
        envelope: &Envelope<KeyEvent>,
        resolution: &Option<Resolution>,
    ) -> R<()> {
        let event = read(envelope)?;
        if self.is_sro(event.participant.as_str()) {
            return self.fold_person_key_event(index, at, envelope, resolution);
        }
        if !self.participants.contains(&event.participant) {
            return Ok(());
        }
        let added = match &event.event {
            KeyAct::Add { proof, uses } => {
                Some(self.key_added(&event.participant, read(proof)?.jwk, uses.clone(), (index, resolution)))
            }
            _ => None,
        };
        let Some(row) = self.participants.get_mut(&event.participant) else { return Ok(()) };
        row.entries.push(index);
        row.key_events.push((index, envelope.clone()));
        row.keys.extend(added);
        let (thumbprint, state) = match event.event {
            KeyAct::Add { .. } => return Ok(()),
            KeyAct::Compromise { thumbprint, since_index } => {
                self.contest(index, at, &event.participant, (thumbprint, since_index));
                return Ok(());
            }
            KeyAct::Retire { thumbprint } => (thumbprint, KeyState::Retired),
            KeyAct::Revoke { thumbprint } => (thumbprint, KeyState::Revoked),
        };
        if let Some(key) = row.keys.iter_mut().find(|key| key.thumbprint == thumbprint) {
            key.end(state, index);
        }
        Ok(())
    }

    /// The row of a key that an entry adds; from now on its holder is known by it.
    pub(super) fn key_added(
        &mut self,
        holder: &Did,
        jwk: Jwk,
        uses: Vec<KeyUse>,
        (index, resolution): (u64, &Option<Resolution>),
    ) -> KeyRow {
        let key = KeyRow::new(jwk, uses, index, resolution);
        self.key_holders.put(key.thumbprint.clone(), holder.clone());
        key
    }

    /// A key is reported from an entry on. What it signed since is in doubt; so are the keys that it brought since, from
    /// their beginning: a thief's next key does not outlive the stolen one.
    fn contest(&mut self, index: u64, at: Timestamp, holder: &Did, reported: (String, u64)) {
        let mut open = vec![reported];
        while let Some((thumbprint, since)) = open.pop() {
            let Some(row) = self.participants.get_mut(holder) else { return };
            if let Some(key) = row.keys.iter_mut().find(|key| key.thumbprint == thumbprint) {
                key.end(KeyState::Compromised, index);
                key.compromised_since = Some(since);
            }
            open.extend(row.brought_by(&thumbprint, since));
            self.key_compromised(index, at, holder.as_str(), &thumbprint, since);
            self.offers_contested(index, holder.as_str(), &thumbprint, since);
        }
    }
}

impl ParticipantRow {
    /// The key with this thumbprint, whatever its state.
    pub fn key(&self, thumbprint: &str) -> Option<&KeyRow> {
        require_key(&self.keys, thumbprint).ok()
    }

    /// Keys that this one brought at or after an entry and that are not in doubt from their beginning yet, each with its
    /// own first entry.
    fn brought_by(&self, thumbprint: &str, since: u64) -> Vec<(String, u64)> {
        let by_it = |event: &Envelope<KeyEvent>| event.signatures.iter().any(|s| s.kid.thumbprint == thumbprint);
        let entries = self.key_events.iter().filter(|(entry, event)| *entry >= since && by_it(event));
        let brought = entries.filter_map(|(entry, _)| self.keys.iter().find(|key| key.active_from == *entry));
        let sound = brought.filter(|key| key.compromised_since.is_none_or(|from| from > key.active_from));
        sound.map(|key| (key.thumbprint.clone(), key.active_from)).collect()
    }
}

/// The key with this thumbprint, whatever its state.
pub(super) fn require_key<'k>(keys: &'k [KeyRow], thumbprint: &str) -> R<&'k KeyRow> {
    let unknown = || Refusal::new(Code::KeyUnknown, "the holder has no key with this thumbprint");
    keys.iter().find(|key| key.thumbprint == thumbprint).ok_or_else(unknown)
}

/// The last key may be reported, but from an entry that stands in a log of this size, and a report only reaches further
/// back.
pub(super) fn may_contest(size: u64, keys: &[KeyRow], thumbprint: &str, since: u64) -> R<()> {
    let key = require_key(keys, thumbprint)?;
    if since > size {
        return Err(Refusal::new(Code::SchemaMismatch, "this entry lies ahead").at("event.since_index"));
    }
    if key.compromised_since.is_some_and(|before| before <= since) {
        return Err(transition("the key is reported from that entry on already"));
    }
    Ok(())
}

/// Nobody locks oneself out: the last key that signs documents goes after another was added, or by two SRO people.
fn may_end(row: &ParticipantRow, thumbprint: &str, own: bool, from: &[KeyState]) -> R<()> {
    let key = require_key(&row.keys, thumbprint)?;
    if !from.contains(&key.state) {
        return Err(transition("the key has ended already"));
    }
    let mut others = row.keys.iter().filter(|other| other.thumbprint != thumbprint && other.serves(KeyUse::Document));
    if own && key.serves(KeyUse::Document) && others.next().is_none() {
        return Err(transition("this is the last key that signs documents: add another one first, or ask the SRO"));
    }
    Ok(())
}
