//! A contract as the log leaves it, and its state at a time: one version per row, one file per contract id.

use std::sync::Arc;

use schemas::contract::{Cause, CompletedReason, Contract, ContractRef, ContractState};
use schemas::envelope::{Envelope, Form, PartySignature, Proposed};
use schemas::id::{ContractId, Did, RunId};
use schemas::release::ContractStatus;
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use super::State;

/// How a contract ended by an entry; what ends by the clock has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// `declined`, `withdrawn`, `revoked`, `completed` or `superseded`.
    pub state: ContractState,
    /// Index of the entry.
    pub index: u64,
    /// When it was made.
    pub at: Timestamp,
    /// Why, of a completed one.
    pub completed: Option<CompletedReason>,
    /// Whether all parties ended it.
    pub terminated: bool,
}

impl Ending {
    /// An end in this state by this entry.
    pub(super) fn by_entry(state: ContractState, index: u64, at: Timestamp) -> Ending {
        Ending { state, index, at, completed: None, terminated: false }
    }
}

/// Who stopped a contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Suspender {
    /// Two SRO people.
    Sro,
    /// A TDP of the contract.
    Party(Did),
    /// The rules: a key was compromised, a party left, no image set is left.
    Service,
}

/// A suspension that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// Index of the entry that brought it.
    pub index: u64,
    /// Why.
    pub cause: Cause,
    /// Who.
    pub by: Suspender,
    /// When: what lifts it is written later.
    pub at: Timestamp,
}

/// A version of a contract.
#[derive(Clone, Debug, PartialEq)]
pub struct ContractRow {
    /// The contract, read.
    pub contract: Arc<Contract>,
    /// SHA-256 of the signed bytes.
    pub sha256: Digest,
    /// The signed bytes.
    pub payload: Arc<Bytes>,
    /// Signatures that count, in the order of their entries, the proposer's first.
    pub signatures: Vec<PartySignature>,
    /// Index of the entry of each of them.
    pub(super) signed: Vec<u64>,
    /// Who proposed it.
    pub proposer: Did,
    /// Index of the proposal.
    pub proposed: u64,
    /// When an open proposal lapses.
    pub lapses_at: Timestamp,
    /// Whether two SRO people must countersign.
    pub countersigns: bool,
    /// Index of the entry that holds all signatures.
    pub executed: Option<u64>,
    /// How it ended by an entry.
    pub ended: Option<Ending>,
    /// The suspension that stands.
    pub suspended: Option<Suspension>,
    /// The last suspensions and resumptions by the time written in them.
    pub(super) stops: super::Latest,
    /// When a noticed revocation takes effect.
    pub revokes_at: Option<Timestamp>,
    /// Index of the entry that gave that notice.
    pub(super) noticed: Option<u64>,
    /// The version in force that this one would replace.
    pub amends: Option<Digest>,
    /// The newest version that was proposed to replace this one while it is in force.
    pub amendment: Option<Digest>,
    /// Runs that checked in under it.
    pub runs: Vec<RunId>,
    /// Jobs ordered under it of which no run has checked in.
    pub(super) waiting: Vec<Digest>,
    /// The last state by the clock that an entry tells.
    pub(super) told: Option<ContractState>,
}

/// All versions of a contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ContractFile {
    /// The version in force, else the newest.
    pub current: Digest,
    /// Every version in the order of proposal.
    pub versions: Vec<Digest>,
    /// Indices of the contract's entries.
    pub entries: Vec<u64>,
    /// Grows with everything that changes the contract.
    pub rev: u64,
}

impl ContractRow {
    /// The state at `now`: scheduled, active, expired, lapsed and the end of a notice follow from the time alone
    /// (`contract-service.md` 5.4). `proposed` means that nobody but the proposer has signed.
    pub fn state(&self, now: Timestamp) -> ContractState {
        if let Some(ending) = &self.ended {
            return ending.state;
        }
        if self.executed.is_none() {
            return self.open_state(now);
        }
        let noticed = self.revokes_at.filter(|at| *at < self.contract.expires_at);
        if noticed.is_some_and(|at| at <= now) {
            ContractState::Revoked
        } else if self.contract.expires_at <= now {
            ContractState::Expired
        } else if self.suspended.is_some() {
            ContractState::Suspended
        } else if now < self.contract.effective_from {
            ContractState::Scheduled
        } else {
            ContractState::Active
        }
    }

    fn open_state(&self, now: Timestamp) -> ContractState {
        if self.lapses_at <= now {
            ContractState::Lapsed
        } else if self.countersigns && self.parties_complete(None) {
            ContractState::AwaitingSro
        } else if self.signatures.iter().all(|s| s.kid.holder == self.proposer.as_str()) {
            ContractState::Proposed
        } else {
            ContractState::PartiallySigned
        }
    }

    /// The contract with the signatures so far.
    pub fn envelope(&self) -> Envelope<Contract> {
        Envelope::new(self.payload.0.clone(), self.signatures.clone())
    }

    /// Id and digest.
    pub fn reference(&self) -> ContractRef {
        ContractRef { id: self.contract.contract_id.clone(), sha256: self.sha256 }
    }

    /// The state for runs under way: a contract that was suspended when it ended stops them still, since an end lifts no
    /// suspension.
    pub fn state_for_runs(&self, now: Timestamp) -> ContractState {
        let state = self.state(now);
        let stopped = self.suspended.is_some() && crate::gate::lets_finish(&self.contract, state);
        if stopped { ContractState::Suspended } else { state }
    }

    pub(super) fn has_signed(&self, holder: &str) -> bool {
        self.signatures.iter().any(|s| s.kid.holder == holder)
    }

    /// Whether every party has signed, counting one more signature by `extra`.
    pub(super) fn parties_complete(&self, extra: Option<&str>) -> bool {
        self.contract.parties.iter().all(|p| self.has_signed(p.did.as_str()) || extra == Some(p.did.as_str()))
    }

    /// Whether everyone has signed who must, counting one more signature by `extra`.
    pub(super) fn complete_with(&self, extra: Option<&str>) -> bool {
        let stranger = |holder: &str| self.contract.parties.iter().all(|p| p.did.as_str() != holder);
        let kept = self.signatures.iter().filter(|s| stranger(&s.kid.holder)).count();
        let more = extra.is_some_and(|holder| stranger(holder) && !self.has_signed(holder));
        self.parties_complete(extra) && (!self.countersigns || kept + usize::from(more) >= 2)
    }

    /// Moments at which the clock may change the state.
    pub(super) fn moments(&self) -> impl Iterator<Item = Timestamp> {
        let period = self.executed.map(|_| [self.contract.effective_from, self.contract.expires_at]);
        let open = self.executed.is_none().then_some(self.lapses_at);
        period.into_iter().flatten().chain(open).chain(self.revokes_at)
    }
}

impl State {
    /// The contract version with this digest.
    pub fn contract(&self, sha256: &Digest) -> Option<&ContractRow> {
        self.contracts.get(sha256)
    }

    /// The contract with this id: the version in force, else the newest.
    pub fn contract_by_id(&self, id: &ContractId) -> Option<&ContractRow> {
        self.contracts.get(&self.contract_ids.get(id)?.current)
    }

    /// Every version of a contract in the order of proposal.
    pub fn contract_versions(&self, id: &ContractId) -> impl Iterator<Item = &ContractRow> {
        let versions = self.contract_ids.get(id).map(|file| file.versions.as_slice()).unwrap_or_default();
        versions.iter().filter_map(|sha256| self.contracts.get(sha256))
    }

    /// Indices of a contract's entries.
    pub fn contract_entries(&self, id: &ContractId) -> &[u64] {
        self.contract_ids.get(id).map(|file| file.entries.as_slice()).unwrap_or_default()
    }

    /// A number that grows with everything that changes a contract.
    pub fn contract_rev(&self, id: &ContractId) -> u64 {
        self.contract_ids.get(id).map_or(0, |file| file.rev)
    }

    /// The contract that a reference means, id and digest.
    pub fn contract_of(&self, reference: &ContractRef) -> R<&ContractRow> {
        let unknown = || Refusal::new(Code::ContractUnknown, format!("{} with this digest is not known", reference.id));
        self.contracts.get(&reference.sha256).filter(|row| row.contract.contract_id == reference.id).ok_or_else(unknown)
    }

    /// All contracts by id, each in its version in force, else the newest.
    pub fn contracts(&self) -> impl DoubleEndedIterator<Item = &ContractRow> {
        self.contract_ids.iter().filter_map(|(_, file)| self.contracts.get(&file.current))
    }

    /// [`State::contracts`] after an id.
    pub fn contracts_after(&self, id: Option<&ContractId>) -> impl Iterator<Item = &ContractRow> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = id.map_or(Unbounded, |id| Excluded(id.clone()));
        self.contract_ids.range((from, Unbounded)).filter_map(|(_, file)| self.contracts.get(&file.current))
    }

    /// The state of a contract at `now`.
    pub fn contract_state(&self, sha256: &Digest, now: Timestamp) -> Option<ContractState> {
        self.contracts.get(sha256).map(|row| row.state(now))
    }

    /// State of each referenced contract for runs under it, in the order given.
    pub fn statuses(&self, references: &[ContractRef], now: Timestamp) -> R<Vec<ContractStatus>> {
        references.iter().map(|r| self.contract_of(r).map(|row| status(row, now))).collect()
    }

    /// Fully signed contracts that are not in force, sorted by id and digest: the status list. Proposals do not stand in
    /// it, nor contracts whose period ended more than a day ago: who holds a contract reads its end in it, and a list
    /// that kept all of them would one day be larger than any document may be. That it was stopped cannot be read in it,
    /// so one with a run in flight stays.
    pub fn not_in_force(&self, now: Timestamp) -> Vec<ContractStatus> {
        let told = |row: &&ContractRow| {
            let recent = now < row.contract.expires_at.plus_seconds(LISTED_SECONDS);
            row.executed.is_some() && (recent || row.suspended.is_some() && self.in_flight(row))
        };
        let signed = self.contracts.iter().map(|(_, row)| row).filter(told);
        let mut listed: Vec<_> =
            signed.map(|row| status(row, now)).filter(|s| s.state != ContractState::Active).collect();
        listed.sort_by(|a, b| (&a.id, &a.sha256).cmp(&(&b.id, &b.sha256)));
        listed
    }

    /// The payload of a proposed contract, for verifying a further signature. Under COSE alone it may be in any
    /// spelling, so whoever signs it as JWS has it read again.
    pub fn proposed_payload(&self, sha256: &Digest) -> Option<Proposed> {
        let read = |row: &ContractRow| row.signatures.iter().any(|s| s.form == Form::Jws);
        self.contracts.get(sha256).map(|row| Proposed { payload: Arc::clone(&row.payload), read: read(row) })
    }

    /// Ends a contract; the clock has nothing more to say about it.
    pub(super) fn end_contract(&mut self, sha256: &Digest, ending: Ending) {
        let awaited = self.awaited_periods(sha256);
        let Some(row) = self.contracts.get_mut(sha256) else { return };
        row.ended = Some(ending);
        let moments: Vec<Timestamp> = row.moments().collect();
        moments.into_iter().for_each(|at| self.agenda.remove(&(at, *sha256)));
        self.at_work.remove(sha256);
        self.await_periods(sha256, awaited);
        self.index_contract(sha256);
    }

    /// Notes an entry of a contract.
    pub(super) fn note_contract(&mut self, id: &ContractId, index: u64) {
        if let Some(file) = self.contract_ids.get_mut(id) {
            file.entries.push(index);
            file.rev += 1;
        }
    }

    /// Notes that something beside its own entries changed a contract.
    pub(super) fn touch_contract(&mut self, id: &ContractId) {
        if let Some(file) = self.contract_ids.get_mut(id) {
            file.rev += 1;
        }
    }
}

/// How long a contract whose period is over stands in the status list, for readers whose clocks are behind.
const LISTED_SECONDS: i64 = 24 * 3600;

fn status(row: &ContractRow, now: Timestamp) -> ContractStatus {
    ContractStatus { id: row.contract.contract_id.clone(), sha256: row.sha256, state: row.state_for_runs(now) }
}

impl State {
    /// What the contract's template allows: the built-in one, or one that two SRO people approved.
    pub(super) fn contract_form(&self, contract: &Contract) -> R<crate::registration::ContractForm> {
        use crate::registration::ContractForm;
        if contract.template == schemas::rules::BUILT_IN_TEMPLATE {
            return Ok(ContractForm::built_in());
        }
        let sentence = format!("no template {} is approved", contract.template);
        let unknown = || Refusal::new(Code::TemplateUnknown, sentence).at("template");
        self.template(&contract.template).map(|row| ContractForm::of(&row.template)).ok_or_else(unknown)
    }
}
