//! What time and finished work bring to contracts: the entries that the service makes by itself.

use std::collections::BTreeSet;

use schemas::contract::{CompletedReason, ContractRef, ContractState};
use schemas::event::Body;
use schemas::id::DatasetId;
use schemas::privacy::{Clause, DatasetCharge};
use schemas::release::KmsStatement;
use schemas::{Code, Digest, R, Refusal, Timestamp};

use super::{ContractRow, Ending, RunRow, RunState, State, transition};

/// States that follow from the clock alone and are told by an entry.
const TOLD: [ContractState; 4] =
    [ContractState::Lapsed, ContractState::Active, ContractState::Revoked, ContractState::Expired];

/// A clause counts as spent when less than one part in this many of its ε is left: no run that trains anything fits.
const SPENT_PARTS: u64 = 100;

impl State {
    /// What the clock brought since it was told last, oldest first: bodies to enter now, at most `most`.
    pub fn due(&self, now: Timestamp, most: usize) -> Vec<Body> {
        let passed = self.agenda.range(..=(now, Digest([0xff; 32])));
        let rows = passed.filter_map(|((_, sha256), _)| self.contracts.get(sha256));
        let untold = rows.filter_map(|row| {
            let state = row.state(now);
            let news = row.ended.is_none() && TOLD.contains(&state) && row.told != Some(state);
            news.then(|| (row.sha256, Body::ContractTimed { contract: row.reference(), state }))
        });
        let mut seen = BTreeSet::new();
        untold.filter(|(sha256, _)| seen.insert(*sha256)).map(|(_, body)| body).take(most).collect()
    }

    pub(super) fn check_timed(&self, contract: &ContractRef, state: ContractState, now: Timestamp) -> R<()> {
        let row = self.contract_of(contract)?;
        if !TOLD.contains(&state) || row.ended.is_some() || row.state(now) != state {
            return Err(transition("the clock has not brought this state"));
        }
        if row.told == Some(state) {
            return Err(transition("this state stands in the log already"));
        }
        Ok(())
    }

    pub(super) fn fold_timed(
        &mut self,
        index: u64,
        at: Timestamp,
        contract: &ContractRef,
        state: ContractState,
    ) -> R<()> {
        if let Some(row) = self.contracts.get_mut(&contract.sha256) {
            row.told = Some(state);
            let passed: Vec<Timestamp> =
                row.moments().filter(|moment| *moment <= at || state != ContractState::Active).collect();
            passed.into_iter().for_each(|moment| self.agenda.remove(&(moment, contract.sha256)));
        }
        if state != ContractState::Active {
            self.at_work.remove(&contract.sha256);
            self.index_contract(&contract.sha256);
        }
        self.note_contract(&contract.id, index);
        Ok(())
    }

    /// Contracts in force under which runs have come to an end and none is in flight, with the numbers that their
    /// completion depends on (runs, settled obligations, orders that wait): who asked before about the same numbers need
    /// not ask again.
    pub fn resting(&self, now: Timestamp) -> impl Iterator<Item = (ContractRef, [usize; 3])> {
        let rows = self.at_work.iter().filter_map(|(sha256, _)| self.contracts.get(sha256));
        let resting = rows.filter(move |row| row.state(now) == ContractState::Active && !self.in_flight(row));
        resting.map(move |row| {
            let numbers = [row.runs.len(), self.settled(row).0, self.waiting(row, now).count()];
            (row.reference(), numbers)
        })
    }

    /// Why no further run will come under a contract, if so.
    pub fn completion_of(&self, contract: &ContractRef, now: Timestamp) -> R<Option<CompletedReason>> {
        for reason in [CompletedReason::Runs, CompletedReason::Budget] {
            match self.check_completed(contract, reason, now) {
                Ok(()) => return Ok(Some(reason)),
                Err(refusal) if refusal.code == Code::StateTransition => {}
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(None)
    }

    pub(super) fn check_completed(&self, contract: &ContractRef, reason: CompletedReason, now: Timestamp) -> R<()> {
        let row = self.contract_of(contract)?;
        if row.state(now) != ContractState::Active {
            return Err(transition("only an active contract is completed"));
        }
        if self.in_flight(row) {
            return Err(transition("a run is in flight"));
        }
        let (settled, owed) = self.settled(row);
        if settled < owed {
            return Err(transition("what runs owe is not settled yet"));
        }
        let done = match reason {
            CompletedReason::Runs => {
                row.contract.max_runs.is_some_and(|most| self.completed_runs(row) >= most as usize)
            }
            CompletedReason::Budget => self.waiting(row, now).next().is_none() && self.budget_spent(row)?,
        };
        if done { Ok(()) } else { Err(transition("further runs may come")) }
    }

    pub(super) fn fold_completed(&mut self, index: u64, contract: &ContractRef, reason: CompletedReason) -> R<()> {
        let ending =
            Ending { completed: Some(reason), ..Ending::by_entry(ContractState::Completed, index, self.last_at) };
        self.end_contract(&contract.sha256, ending);
        self.note_contract(&contract.id, index);
        Ok(())
    }

    /// Refuses one run more than the contract plans: completed ones and those in flight count, also those under the
    /// versions before this one. An amendment that plans as many runs as before brings no further ones.
    pub(super) fn run_planned(&self, row: &ContractRow) -> R<()> {
        let taken = self.runs_of_all_versions(row).filter(|run| run.state != RunState::Aborted).count();
        if row.contract.max_runs.is_some_and(|most| taken >= most as usize) {
            let sentence = format!("All planned runs of contract {} are done or under way.", row.contract.contract_id);
            return Err(Refusal::new(Code::ContractNotActive, sentence).at("max_runs"));
        }
        Ok(())
    }

    pub(super) fn in_flight(&self, row: &ContractRow) -> bool {
        row.runs.iter().filter_map(|id| self.runs.get(id)).any(|run| run.alive())
    }

    fn completed_runs(&self, row: &ContractRow) -> usize {
        self.runs_of_all_versions(row).filter(|run| run.completion.is_some()).count()
    }

    /// Runs under any version of the contract; only one version at a time is in force.
    fn runs_of_all_versions<'a>(&'a self, row: &'a ContractRow) -> impl Iterator<Item = &'a RunRow> {
        self.contract_versions(&row.contract.contract_id).flat_map(|row| &row.runs).filter_map(|id| self.runs.get(id))
    }

    /// Ordered jobs that no room has taken yet and that one may still take.
    fn waiting<'a>(&'a self, row: &'a ContractRow, now: Timestamp) -> impl Iterator<Item = &'a Digest> {
        let open = move |job: &&Digest| self.order(job).is_some_and(|order| order.job.expires_at > now);
        row.waiting.iter().filter(open)
    }

    /// Obligations of the contract that nothing more comes of, and all of them.
    fn settled(&self, row: &ContractRow) -> (usize, usize) {
        let runs = row.runs.iter().filter_map(|id| self.runs.get(id)).flat_map(|run| &run.owed);
        let owed = runs.chain(self.owed_by_period(&row.contract.contract_id));
        let owed = owed.filter_map(|id| self.payments.get(id));
        let own = owed.filter(|payment| payment.obligation.contract.sha256 == row.sha256);
        own.fold((0, 0), |(closed, all), payment| (closed + usize::from(payment.closed()), all + 1))
    }

    /// Whether the clause of every dataset is spent by charges that cannot come back. A job need not use all datasets, so
    /// one that is left can pay for a further run. A contract that has been completed stays so: what a key service might
    /// return later must not be counted now.
    fn budget_spent(&self, row: &ContractRow) -> R<bool> {
        for dataset in &row.contract.datasets {
            // Nothing that a machine counts ends a clause that law alone keeps.
            if dataset.privacy.level == Clause::LEGAL_ONLY {
                return Ok(false);
            }
            let charges = self.final_charges_of(row, &dataset.dataset_id);
            let left = crate::budget::left(&charges, &dataset.privacy)?;
            if charges.is_empty() || left > crate::budget::epsilon_micro(&dataset.privacy.epsilon)? / SPENT_PARTS {
                return Ok(false);
            }
        }
        Ok(!row.contract.datasets.is_empty())
    }

    fn final_charges_of(&self, row: &ContractRow, dataset: &DatasetId) -> Vec<DatasetCharge> {
        let runs = row.runs.iter().filter_map(|id| self.runs.get(id)).filter(|run| run.charge_stands());
        let charged = runs.filter_map(|run| {
            let stated = self.receipts_of(&run.run_id).map(|row| &row.receipt);
            let released = stated.filter(|r| matches!(r.statement, KmsStatement::Released { .. }));
            released.flat_map(|r| &r.charges).find(|charge| charge.dataset_id == *dataset)
        });
        charged.cloned().collect()
    }
}
