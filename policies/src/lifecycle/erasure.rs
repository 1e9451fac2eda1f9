//! Erasure (DPDP section 12): bodies of one subject are destroyed, its leaves stay, and the state forgets the subject.
//!
//! Only what nothing builds on: a proposal that ended before it came into force, an applicant who was never verified.
//! A reader of a log with erased bodies skips them and demands, before the end, the erasure that names them.

use schemas::contract::ContractState;
use schemas::envelope::Envelope;
use schemas::id::{ContractId, Did};
use schemas::rules::Erasure;
use schemas::{Code, Digest, R, Refusal, Timestamp};

use super::{ParticipantState, State, read, transition};

/// Whom or what an erasure is about.
enum Subject {
    Participant(Did),
    Contract(ContractId),
    /// Bodies that were erased before this reader came.
    Gone,
}

impl State {
    /// The subject whose entries these are, to the last one, if it may be erased now. None when the bodies are gone
    /// already.
    pub fn erasable(&self, entries: &[u64], now: Timestamp) -> R<Option<String>> {
        Ok(match self.subject_of(entries, now)? {
            Subject::Participant(did) => Some(did.to_string()),
            Subject::Contract(id) => Some(id.to_string()),
            Subject::Gone => None,
        })
    }

    /// Indices of entries whose bodies were missing and whose erasure has not been read yet: none at the end of a log.
    pub fn unexplained(&self) -> impl Iterator<Item = u64> + '_ {
        self.erased.iter().map(|(index, _)| *index)
    }

    fn subject_of(&self, entries: &[u64], now: Timestamp) -> R<Subject> {
        if !entries.is_empty() && entries.iter().all(|index| self.erased.contains(index)) {
            return Ok(Subject::Gone);
        }
        if let Some((did, row)) = self.participants().find(|(_, row)| row.entries == entries) {
            if row.state != ParticipantState::Rejected || row.was_verified {
                return Err(transition("only an applicant who was rejected and never verified is erased"));
            }
            return Ok(Subject::Participant(did.clone()));
        }
        let found = self.contract_ids.iter().find(|(_, file)| file.entries == entries);
        let Some((id, _)) = found else {
            let sentence = "these are not all the entries of one applicant or contract, and nothing else";
            return Err(Refusal::new(Code::SchemaMismatch, sentence).at("entries"));
        };
        let over = |state| {
            use ContractState::{Declined, Lapsed, Superseded, Withdrawn};
            matches!(state, Declined | Lapsed | Superseded | Withdrawn)
        };
        if !self.contract_versions(id).all(|row| row.executed.is_none() && over(row.state(now))) {
            return Err(transition("only a proposal that ended before it came into force is erased"));
        }
        Ok(Subject::Contract(id.clone()))
    }

    pub(super) fn check_erasure(&self, envelope: &Envelope<Erasure>, now: Timestamp) -> R<()> {
        self.signed_by_two_people(envelope)?;
        let erasure = read(envelope)?;
        crate::registration::erasure(&erasure, self.registry()?, now)?;
        self.subject_of(&erasure.entries, now).map(drop)
    }

    pub(super) fn fold_erasure(&mut self, at: Timestamp, envelope: &Envelope<Erasure>) -> R<()> {
        let entries = read(envelope)?.entries;
        match self.subject_of(&entries, at)? {
            Subject::Gone => entries.iter().for_each(|index| self.erased.remove(index)),
            Subject::Participant(did) => {
                let keys = self.participants.get(&did).map(|row| row.keys.clone()).unwrap_or_default();
                keys.iter().for_each(|key| self.key_holders.remove(&key.thumbprint));
                self.participants.remove(&did);
                self.forget_person_acts(&entries);
            }
            Subject::Contract(id) => {
                self.forget_contract(&id);
                self.forget_person_acts(&entries);
            }
        }
        Ok(())
    }

    fn forget_contract(&mut self, id: &ContractId) {
        let versions: Vec<(Digest, Vec<Timestamp>)> =
            self.contract_versions(id).map(|row| (row.sha256, row.moments().collect())).collect();
        for (sha256, moments) in versions {
            moments.into_iter().for_each(|moment| self.agenda.remove(&(moment, sha256)));
            let keys: Vec<String> = self
                .contracts
                .get(&sha256)
                .into_iter()
                .flat_map(|row| &row.signatures)
                .map(|s| s.kid.thumbprint.clone())
                .collect();
            keys.iter().for_each(|key| self.unindex_signature(key, &sha256));
            self.contracts.remove(&sha256);
        }
        self.contract_ids.remove(id);
    }

    /// Steps over an entry whose body was erased; what it was is told by its record.
    pub(super) fn skip(&mut self, index: u64, at: Timestamp, was: &str) -> R<()> {
        self.follows(index, at)?;
        let erasable = matches!(
            was,
            "participant_applied"
                | "participant_decided"
                | "contract_proposed"
                | "contract_signed"
                | "contract_declined"
                | "contract_withdrawn"
                | "contract_timed"
        );
        if !erasable || self.genesis.is_none() {
            return Err(Refusal::new(Code::Erased, format!("a body of the kind {was} is never erased")));
        }
        self.erased.put(index, was.to_owned());
        self.size += 1;
        self.last_at = at;
        Ok(())
    }
}
