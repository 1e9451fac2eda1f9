//! Participants: applied, then verified or rejected by two SRO people; verified and suspended alternate; withdrawn by
//! themselves or by the SRO, for good.

use std::ops::Bound;

use schemas::envelope::Envelope;
use schemas::id::Did;
use schemas::party::{Decision, KeyEvent, Kind, Participant, ParticipantDecision, ParticipantWithdrawal, Resolution};
use schemas::{Code, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use super::signers::sole_signer;
use super::{KeyRow, KeyState, Latest, State, read, transition};
use crate::registration::names::look;

/// Where a participant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParticipantState {
    /// Applied; may not act yet.
    Applied,
    /// May act.
    Verified,
    /// May not act; may apply again.
    Rejected,
    /// May not act for now.
    Suspended,
    /// Gone for good.
    Withdrawn,
}

/// A participant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParticipantRow {
    /// The application as signed.
    pub application: Envelope<Participant>,
    /// The same, read.
    pub participant: Participant,
    /// How its did:web was resolved.
    pub resolution: Option<Resolution>,
    /// Index of the application's entry.
    pub applied: u64,
    /// The last decision, with the index of its entry.
    pub decision: Option<(u64, Envelope<ParticipantDecision>)>,
    /// The last decisions by the time written in them; they outlive a new application.
    pub(super) decided: Latest,
    /// The state.
    pub state: ParticipantState,
    /// Its keys in the order of their entries, ended ones too.
    pub keys: Vec<KeyRow>,
    /// What happened to its keys, with the indices of the entries.
    pub key_events: Vec<(u64, Envelope<KeyEvent>)>,
    /// How it left by itself, with the index of the entry.
    pub withdrawal: Option<(u64, Envelope<ParticipantWithdrawal>)>,
    /// Whether it was ever verified: others may have built on it.
    pub was_verified: bool,
    /// Indices of its entries.
    pub entries: Vec<u64>,
}

impl State {
    /// The participant with this DID.
    pub fn participant(&self, did: &Did) -> Option<&ParticipantRow> {
        self.participants.get(did)
    }

    /// All participants by DID.
    pub fn participants(&self) -> impl DoubleEndedIterator<Item = (&Did, &ParticipantRow)> {
        self.participants.iter()
    }

    /// Participants by DID, from the one after this.
    pub fn participants_after(&self, did: Option<&Did>) -> impl Iterator<Item = &ParticipantRow> {
        let from = did.map_or(Bound::Unbounded, |did| Bound::Excluded(did.clone()));
        self.participants.range((from, Bound::Unbounded)).map(|(_, row)| row)
    }

    /// Requires that a party is verified now, as this kind.
    pub fn require_verified(&self, did: &Did, kind: Kind) -> R<()> {
        let ok = self
            .participants
            .get(did)
            .is_some_and(|r| r.state == ParticipantState::Verified && r.participant.kind == kind);
        if !ok {
            return Err(Refusal::new(Code::ParticipantNotVerified, format!("{did} is not verified in this role")));
        }
        Ok(())
    }

    pub(super) fn check_application(
        &self,
        envelope: &Envelope<Participant>,
        resolution: &Option<Resolution>,
        now: Timestamp,
    ) -> R<()> {
        let application = read(envelope)?;
        let did = application.did.as_str();
        if sole_signer(envelope)? != did {
            return Err(Refusal::new(Code::SignerNotParty, "an application is signed by the applicant alone"));
        }
        let taken = self.is_sro(did) || self.genesis().is_some_and(|g| g.registry.as_str() == did);
        let standing = self.participants.get(&application.did).is_some_and(|r| r.state != ParticipantState::Rejected);
        if taken || standing {
            return Err(Refusal::new(Code::ParticipantExists, format!("{did} has applied already")));
        }
        crate::registration::participant(&application, self.registry()?, now)?;
        crate::registration::resolution(resolution, &application.did, now)?;
        self.key_is_free(&application.jwk, &application.did, "jwk")?;
        let before = self.participants.get(&application.did).and_then(|row| row.key(&application.jwk.thumbprint()));
        if before.is_some_and(|key| key.state != KeyState::Active) {
            return Err(Refusal::new(Code::KeyExists, "a key that was ended does not come back").at("jwk"));
        }
        self.looks_like_nobody(&application)
    }

    /// Nobody who stands in the register, or works for it, has a name or DID that looks the same.
    fn looks_like_nobody(&self, application: &Participant) -> R<()> {
        let alike = |field| {
            Err(Refusal::new(Code::LookAlike, "this looks like another one's in the register; choose a distinct one")
                .at(field))
        };
        let other = |sign: &String| self.looks.get(sign).is_some_and(|did| *did != application.did);
        let person = |name: &str| look(name) == look(&application.legal_name);
        if other(&look_of_name(application)) || self.genesis().is_some_and(|g| g.sro.iter().any(|p| person(&p.name))) {
            return alike("legal_name");
        }
        if other(&look_of_did(&application.did)) {
            return alike("did");
        }
        Ok(())
    }

    pub(super) fn fold_application(
        &mut self,
        index: u64,
        envelope: &Envelope<Participant>,
        resolution: &Option<Resolution>,
    ) -> R<()> {
        let participant = read(envelope)?;
        let before = self.participants.get(&participant.did);
        let decided = before.map(|r| r.decided.clone()).unwrap_or_default();
        let was_verified = before.is_some_and(|r| r.was_verified);
        let mut entries = before.map(|r| r.entries.clone()).unwrap_or_default();
        let mut keys = vec![KeyRow::first(&participant, index, resolution)];
        let earlier = before.iter().flat_map(|r| &r.keys).filter(|key| key.jwk != participant.jwk);
        keys.extend(earlier.cloned().map(|mut key| {
            if key.state == KeyState::Active {
                key.end(KeyState::Retired, index);
            }
            key
        }));
        entries.push(index);
        self.key_holders.put(participant.jwk.thumbprint(), participant.did.clone());
        self.looks.put(look_of_name(&participant), participant.did.clone());
        self.looks.put(look_of_did(&participant.did), participant.did.clone());
        let row = ParticipantRow {
            application: envelope.clone(),
            resolution: resolution.clone(),
            applied: index,
            decision: None,
            decided,
            state: ParticipantState::Applied,
            keys,
            key_events: Vec::new(),
            withdrawal: None,
            was_verified,
            entries,
            participant,
        };
        self.participants.put(row.participant.did.clone(), row);
        Ok(())
    }

    /// An old decision never comes back: none is older than the one before, each counts once, none is of the future.
    pub(super) fn check_decision(&self, envelope: &Envelope<ParticipantDecision>, now: Timestamp) -> R<()> {
        self.signed_by_two_people(envelope)?;
        let decision = read(envelope)?;
        let unknown = || Refusal::new(Code::NotFound, format!("{} has not applied", decision.participant));
        let row = self.participants.get(&decision.participant).ok_or_else(unknown)?;
        if decision.participant_sha256 != row.application.digest() {
            return Err(transition("the decision is about another application").at("participant_sha256"));
        }
        row.decided.admits(&envelope.digest(), decision.decided_at, "decided_at")?;
        crate::registration::decision(&decision, self.registry()?, now)?;
        self.only_payment_provider(&decision, row)?;
        use ParticipantState::{Applied, Rejected, Suspended, Verified, Withdrawn};
        match (row.state, decision.decision) {
            (Applied, Decision::Verified | Decision::Rejected)
            | (Verified, Decision::Suspended)
            | (Suspended, Decision::Verified | Decision::Rejected)
            | (Verified | Suspended, Decision::Withdrawn) => Ok(()),
            (Applied | Verified | Suspended | Rejected | Withdrawn, _) => {
                Err(transition("this decision does not fit the participant's state"))
            }
        }
    }

    /// At most one payment provider is verified at a time: an instruction goes to all that are, and each would pay it.
    fn only_payment_provider(&self, decision: &ParticipantDecision, row: &ParticipantRow) -> R<()> {
        if decision.decision != Decision::Verified || row.participant.kind != Kind::Psp {
            return Ok(());
        }
        let standing = self.participants().find(|(did, other)| {
            let verified = other.state == ParticipantState::Verified && other.participant.kind == Kind::Psp;
            verified && **did != decision.participant
        });
        match standing {
            Some((did, _)) => Err(transition(format!("{did} is the payment provider; suspend it first"))),
            None => Ok(()),
        }
    }

    pub(super) fn fold_decision(
        &mut self,
        index: u64,
        at: Timestamp,
        envelope: &Envelope<ParticipantDecision>,
    ) -> R<()> {
        let decision = read(envelope)?;
        let did = &decision.participant;
        let Some(row) = self.participants.get_mut(did) else { return Ok(()) };
        row.decision = Some((index, envelope.clone()));
        row.decided.note(envelope.digest(), decision.decided_at);
        row.entries.push(index);
        row.state = match decision.decision {
            Decision::Verified => ParticipantState::Verified,
            Decision::Rejected => ParticipantState::Rejected,
            Decision::Suspended => ParticipantState::Suspended,
            Decision::Withdrawn => ParticipantState::Withdrawn,
        };
        row.was_verified |= row.state == ParticipantState::Verified;
        match decision.decision {
            Decision::Verified => {}
            Decision::Suspended => self.party_gone(index, at, did),
            Decision::Rejected | Decision::Withdrawn => {
                self.forget_looks(did);
                self.party_gone(index, at, did);
            }
        }
        Ok(())
    }

    /// A participant leaves by itself, with an active key.
    pub(super) fn check_withdrawal(&self, envelope: &Envelope<ParticipantWithdrawal>, now: Timestamp) -> R<()> {
        let withdrawal = read(envelope)?;
        let did = &withdrawal.participant;
        let unknown = || Refusal::new(Code::NotFound, format!("{did} is not registered"));
        let row = self.participants.get(did).ok_or_else(unknown)?;
        if row.state != ParticipantState::Verified {
            return Err(transition("only a verified participant leaves by itself; a suspended one asks the SRO"));
        }
        self.signed_only_by(envelope, did.as_str())?;
        crate::registration::withdrawal(&withdrawal, self.registry()?, now)
    }

    pub(super) fn fold_withdrawal(
        &mut self,
        index: u64,
        at: Timestamp,
        envelope: &Envelope<ParticipantWithdrawal>,
    ) -> R<()> {
        let did = read(envelope)?.participant;
        if let Some(row) = self.participants.get_mut(&did) {
            row.withdrawal = Some((index, envelope.clone()));
            row.state = ParticipantState::Withdrawn;
            row.entries.push(index);
        }
        self.forget_looks(&did);
        self.party_gone(index, at, &did);
        Ok(())
    }

    /// A name is free again once its bearer is rejected or gone. The DID stays taken by its own row.
    fn forget_looks(&mut self, did: &Did) {
        let Some(row) = self.participants.get(did) else { return };
        let signs = [look_of_name(&row.participant), look_of_did(did)];
        signs.iter().for_each(|sign| self.looks.remove(sign));
    }
}

fn look_of_name(participant: &Participant) -> String {
    format!("name {}", look(&participant.legal_name))
}

fn look_of_did(did: &Did) -> String {
    did.as_str().to_ascii_lowercase()
}
