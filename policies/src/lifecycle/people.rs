//! Keys of the SRO's people: the genesis names the first ones; two people add and end others by logged events, as
//! participants do theirs. A signature counts if its key was active at the index of its entry.

use schemas::envelope::{Envelope, PartySignature};
use schemas::event::{Body, SroPerson};
use schemas::id::{Did, KeyId};
use schemas::jwk::Jwk;
use schemas::party::{KeyAct, KeyEvent, KeyUse, Resolution};
use schemas::{Code, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use super::keys::{MAX_KEYS, may_contest, require_key};
use super::{KeyRow, KeyState, State, read, transition};

/// A person of the SRO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PersonRow {
    /// Its keys in the order of their entries, ended ones too.
    pub keys: Vec<KeyRow>,
    /// What happened to them, with the indices of the entries.
    pub key_events: Vec<(u64, Envelope<KeyEvent>)>,
}

impl PersonRow {
    fn first(person: &SroPerson) -> PersonRow {
        PersonRow { keys: vec![KeyRow::genesis(person.jwk.clone())], key_events: Vec::new() }
    }
}

impl State {
    /// The keys of a person of the SRO; none for anybody else.
    pub fn person(&self, did: &Did) -> Option<PersonRow> {
        let person = self.genesis()?.person(did.as_str())?;
        Some(self.people.get(did).cloned().unwrap_or_else(|| PersonRow::first(person)))
    }

    /// Every change of people's keys, in the order of the log, each with the resolution that it was entered with.
    pub fn people_events(&self) -> Vec<(u64, Envelope<KeyEvent>, Option<Resolution>)> {
        let rows = self.people.iter().flat_map(|(_, row)| {
            row.key_events.iter().map(|(index, event)| {
                let added = row.keys.iter().find(|key| key.active_from == *index);
                (*index, event.clone(), added.and_then(|key| key.resolution.clone()))
            })
        });
        let mut all: Vec<_> = rows.collect();
        all.sort_by_key(|(index, ..)| *index);
        all
    }

    /// How many changes of people's keys the log holds.
    pub fn people_changes(&self) -> usize {
        self.people.iter().map(|(_, row)| row.key_events.len()).sum()
    }

    /// Entries that a key of an SRO person signed at or after this one: what a report of it puts in doubt.
    pub fn acts_of_person_key(&self, thumbprint: &str, since: u64) -> impl Iterator<Item = u64> + '_ {
        let of = |index| (thumbprint.to_owned(), index);
        self.person_acts.range(of(since)..=of(u64::MAX)).map(|((_, index), ())| *index)
    }

    pub(super) fn person_key(&self, kid: &KeyId, wanted: KeyUse) -> Option<Jwk> {
        let person = self.genesis()?.person(&kid.holder)?;
        let key = match self.people.get(&person.did) {
            Some(row) => row.keys.iter().find(|k| k.thumbprint == kid.thumbprint && k.serves(wanted)).map(|k| &k.jwk),
            None => Some(&person.jwk),
        };
        key.filter(|jwk| jwk.thumbprint() == kid.thumbprint).cloned()
    }

    /// The key with which a person signs documents now, the newest one; none where all have ended.
    pub(super) fn person_signs_with(&self, person: &SroPerson) -> Option<KeyId> {
        let thumbprint = match self.people.get(&person.did) {
            Some(row) => row.keys.iter().rev().find(|key| key.serves(KeyUse::Document))?.thumbprint.clone(),
            None => person.jwk.thumbprint(),
        };
        Some(KeyId::new(&person.did, thumbprint))
    }

    /// Signed by two people, of whom none signs by the key that ends; and two people who can sign are left.
    pub(super) fn check_person_key_event(
        &self,
        envelope: &Envelope<KeyEvent>,
        resolution: &Option<Resolution>,
        now: Timestamp,
    ) -> R<()> {
        self.signed_by_two_people(envelope)?;
        let event = read(envelope)?;
        let did = &event.participant;
        let row = self.person(did).ok_or_else(|| Refusal::new(Code::NotFound, format!("{did} is not of the SRO")))?;
        crate::registration::key_event(&event, self.registry()?, now)?;
        let thumbprint = match &event.event {
            KeyAct::Add { proof, .. } => {
                let jwk = read(proof)?.jwk;
                crate::registration::resolution(resolution, did, now)?;
                self.key_is_free(&jwk, did, "event.proof")?;
                if row.keys.iter().any(|key| key.jwk == jwk) {
                    let sentence = "this key was added before; one that was retired does not come back";
                    return Err(Refusal::new(Code::KeyExists, sentence).at("event.proof"));
                }
                if row.keys.len() >= MAX_KEYS {
                    return Err(Refusal::new(Code::LimitExceeded, format!("a person has at most {MAX_KEYS} keys")));
                }
                return Ok(());
            }
            KeyAct::Retire { thumbprint } => may_end(&row, thumbprint, &[KeyState::Active])?,
            KeyAct::Revoke { thumbprint } => may_end(&row, thumbprint, &[KeyState::Active, KeyState::Retired])?,
            KeyAct::Compromise { thumbprint, since_index } => {
                may_contest(self.size(), &row.keys, thumbprint, *since_index)?;
                thumbprint
            }
        };
        if envelope.signatures.iter().any(|s| s.kid.thumbprint == *thumbprint) {
            let sentence = "a key does not sign its own end: two people sign it with other keys";
            return Err(Refusal::new(Code::TwoPeopleNeeded, sentence));
        }
        self.two_people_stay(did, thumbprint)
    }

    /// Nobody locks the SRO out: without this key two people can still sign.
    fn two_people_stay(&self, did: &Did, ending: &str) -> R<()> {
        let people = self.genesis().map(|genesis| genesis.sro.as_slice()).unwrap_or_default();
        let able = people.iter().filter(|person| {
            let keys = self.person(&person.did).map(|row| row.keys).unwrap_or_default();
            keys.iter().any(|key| key.serves(KeyUse::Document) && !(person.did == *did && key.thumbprint == ending))
        });
        if able.count() < 2 {
            let sentence = "fewer than two people of the SRO could sign then: add a further key first";
            return Err(Refusal::new(Code::TwoPeopleNeeded, sentence));
        }
        Ok(())
    }

    pub(super) fn fold_person_key_event(
        &mut self,
        index: u64,
        at: Timestamp,
        envelope: &Envelope<KeyEvent>,
        resolution: &Option<Resolution>,
    ) -> R<()> {
        let event = read(envelope)?;
        let did = event.participant;
        let Some(mut row) = self.person(&did) else { return Ok(()) };
        row.key_events.push((index, envelope.clone()));
        let end = |row: &mut PersonRow, thumbprint: &str, state| {
            row.keys.iter_mut().filter(|key| key.thumbprint == thumbprint).for_each(|key| key.end(state, index));
        };
        match event.event {
            KeyAct::Add { proof, uses } => {
                let key = self.key_added(&did, read(&proof)?.jwk, uses, (index, resolution));
                row.keys.push(key);
            }
            KeyAct::Retire { thumbprint } => end(&mut row, &thumbprint, KeyState::Retired),
            KeyAct::Revoke { thumbprint } => end(&mut row, &thumbprint, KeyState::Revoked),
            KeyAct::Compromise { thumbprint, since_index } => {
                end(&mut row, &thumbprint, KeyState::Compromised);
                let reported = row.keys.iter_mut().filter(|key| key.thumbprint == thumbprint);
                reported.for_each(|key| key.compromised_since = Some(since_index));
                // Countersignatures of contracts; whatever else it signed is named, not undone: a second person signed too.
                self.key_compromised(index, at, did.as_str(), &thumbprint, since_index);
            }
        }
        self.people.put(did, row);
        Ok(())
    }

    /// Notes which keys of people signed an entry.
    pub(super) fn note_person_acts(&mut self, index: u64, body: &Body) {
        for signature in signatures_of_people(body) {
            if self.is_sro(&signature.kid.holder) {
                self.person_acts.put((signature.kid.thumbprint.clone(), index), ());
            }
        }
    }

    /// Entries whose bodies were erased are nobody's acts any more.
    pub(super) fn forget_person_acts(&mut self, entries: &[u64]) {
        let people = self.genesis().map(|genesis| genesis.sro.clone()).unwrap_or_default();
        let keys: Vec<String> = people
            .iter()
            .filter_map(|person| self.person(&person.did))
            .flat_map(|row| row.keys.into_iter().map(|key| key.thumbprint))
            .collect();
        for (index, key) in entries.iter().flat_map(|index| keys.iter().map(move |key| (index, key))) {
            self.person_acts.remove(&(key.clone(), *index));
        }
    }
}

fn may_end<'t>(row: &PersonRow, thumbprint: &'t String, from: &[KeyState]) -> R<&'t String> {
    if !from.contains(&require_key(&row.keys, thumbprint)?.state) {
        return Err(transition("the key has ended already"));
    }
    Ok(thumbprint)
}

/// The signatures of a body that people of the SRO may have made.
fn signatures_of_people(body: &Body) -> &[PartySignature] {
    match body {
        Body::ParticipantDecided { decision } => &decision.signatures,
        Body::KeyChanged { event, .. } => &event.signatures,
        Body::ImageSetApproved { image_set } => &image_set.signatures,
        Body::ImageSetRevoked { revocation } => &revocation.signatures,
        Body::TemplateApproved { template } => &template.signatures,
        Body::DataSchemaApproved { data_schema } => &data_schema.signatures,
        Body::DatasetChanged { act } => &act.signatures,
        Body::ContractSigned { signature, .. } => std::slice::from_ref(signature),
        Body::ContractDeclined { decline } => &decline.signatures,
        Body::ContractRevoked { revoke } => &revoke.signatures,
        Body::ContractSuspended { suspend } => &suspend.signatures,
        Body::ContractResumed { resume } => &resume.signatures,
        Body::RunAborted { abort } => &abort.signatures,
        Body::DisputeRuled { ruling } => &ruling.signatures,
        Body::DisputeClosed { close } => &close.signatures,
        Body::SubjectErased { erasure } => &erasure.signatures,
        Body::LogKeyRotated { rotation } => &rotation.signatures,
        _ => &[],
    }
}
