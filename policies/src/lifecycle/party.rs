//! Participants: applied, then verified or rejected by two SRO people; verified and suspended alternate.

use schemas::envelope::Envelope;
use schemas::id::Did;
use schemas::party::{Decision, Kind, Participant, ParticipantDecision, Resolution};
use schemas::{Code, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use super::signers::sole_signer;
use super::{State, read, transition};

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
    /// Time written in the last decision.
    pub decided_at: Option<Timestamp>,
    /// The state.
    pub state: ParticipantState,
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

    pub(super) fn check_application(&self, envelope: &Envelope<Participant>, now: Timestamp) -> R<()> {
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
        crate::registration::participant(&application, self.registry()?, now)
    }

    pub(super) fn fold_application(
        &mut self,
        index: u64,
        envelope: &Envelope<Participant>,
        resolution: &Option<Resolution>,
    ) -> R<()> {
        let participant = read(envelope)?;
        let decided_at = self.participants.get(&participant.did).and_then(|r| r.decided_at);
        let row = ParticipantRow {
            application: envelope.clone(),
            resolution: resolution.clone(),
            applied: index,
            decision: None,
            decided_at,
            state: ParticipantState::Applied,
            participant,
        };
        self.participants.put(row.participant.did.clone(), row);
        Ok(())
    }

    /// An old decision never comes back: each must be later than the one before, and not of the future.
    pub(super) fn check_decision(&self, envelope: &Envelope<ParticipantDecision>, now: Timestamp) -> R<()> {
        self.signed_by_two_people(envelope)?;
        let decision = read(envelope)?;
        let unknown = || Refusal::new(Code::NotFound, format!("{} has not applied", decision.participant));
        let row = self.participants.get(&decision.participant).ok_or_else(unknown)?;
        if decision.participant_sha256 != row.application.digest() {
            return Err(transition("the decision is about another application").at("participant_sha256"));
        }
        if row.decided_at.is_some_and(|last| decision.decided_at <= last) {
            return Err(transition("a later decision stands already").at("decided_at"));
        }
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

    pub(super) fn fold_decision(&mut self, index: u64, envelope: &Envelope<ParticipantDecision>) -> R<()> {
        let decision = read(envelope)?;
        if let Some(row) = self.participants.get_mut(&decision.participant) {
            row.decision = Some((index, envelope.clone()));
            row.decided_at = Some(decision.decided_at);
            row.state = match decision.decision {
                Decision::Verified => ParticipantState::Verified,
                Decision::Rejected => ParticipantState::Rejected,
                Decision::Suspended => ParticipantState::Suspended,
                Decision::Withdrawn => ParticipantState::Withdrawn,
            };
        }
        Ok(())
    }
}
