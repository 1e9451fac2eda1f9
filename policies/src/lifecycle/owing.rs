//! What makes obligations arise: a run that gets its keys, a run that completes, a statement of revenue.

use schemas::contract::{Contract, ContractRef, PaymentTerm, TermKind, Trigger};
use schemas::envelope::Envelope;
use schemas::event::{Completion, Obligation};
use schemas::id::{ContractId, RunId};
use schemas::money::Minor;
use schemas::party::Kind;
use schemas::term::RevenueStatement;
use schemas::{Code, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use super::{ContractRow, RunRow, State, read};
use crate::forms::{ensure, unique};
use crate::payment::{Occasion, Owed, RunFacts, Tally, counts_on, due, revenue, term_owes};

/// What a term was owed for under a contract: its kind, since units of one kind are none of another; the version with a
/// period; both 0 of what is counted by run, over all versions.
pub(super) type TallyKey = (ContractId, String, TermKind, u32, u32);

/// A tally with what it led to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TallyRow {
    /// Units and times.
    pub(super) tally: Tally,
    /// Minor units owed for a period so far.
    pub(super) minor: i64,
    /// Obligations of a period.
    pub(super) owed: Vec<String>,
    /// The revenue that was stated for it.
    pub(super) stated: Option<Minor>,
}

/// One term's part of what a run owes.
struct Falls {
    contract: ContractRef,
    owed: Owed,
}

impl State {
    /// What a completion owes under the contracts of its job, but for terms that count the log's time: those follow from
    /// the entry.
    pub fn complete_obligations(&self, completion: &Completion) -> R<Vec<Obligation>> {
        let run = self.require_run(&completion.run_id)?;
        let falls = self.falls(Trigger::Completed, run, Some(completion), None)?;
        let all: Vec<Obligation> = falls.into_iter().flat_map(|falls| falls.owed.obligations).collect();
        if !unique(all.iter().map(|obligation| &obligation.instruction_id)) {
            return Err(Refusal::new(Code::Internal, "A payment would be instructed twice.").at("payment"));
        }
        Ok(all)
    }

    /// The obligations that the entry of a run's completion lists.
    pub fn listed_obligations(&self, run: &RunRow) -> Vec<Obligation> {
        run.listed.iter().filter_map(|id| Some(self.payments.get(id)?.obligation.clone())).collect()
    }

    /// Refuses what could not be folded: an amount that no document holds.
    pub(super) fn check_owing(&self, completion: &Completion, now: Timestamp) -> R<()> {
        let run = self.require_run(&completion.run_id)?;
        self.falls(Trigger::KeysReleased, run, Some(completion), Some(now))?;
        self.falls(Trigger::Completed, run, Some(completion), Some(now)).map(drop)
    }

    fn falls(
        &self,
        trigger: Trigger,
        run: &RunRow,
        completion: Option<&Completion>,
        ended: Option<Timestamp>,
    ) -> R<Vec<Falls>> {
        let job = self.job_of(run)?;
        let facts = RunFacts {
            run: &run.run_id,
            job,
            steps: completion.map(|completion| completion.steps),
            charges: &run.planned,
            time: ended.map(|ended| (run.checked_in_at, ended)),
        };
        let mut all = Vec::new();
        for (reference, contract) in self.contracts_of(job)? {
            let before = |term: &PaymentTerm| self.tally(&run_key(&reference.id, term)).tally;
            for owed in due(trigger, (&reference, contract), &facts, before)? {
                let done =
                    run.charged.iter().any(|(sha256, term, _)| *sha256 == reference.sha256 && *term == owed.term_id);
                if !done {
                    all.push(Falls { contract: reference.clone(), owed });
                }
            }
        }
        Ok(all)
    }

    /// A run has its keys: what that triggers falls due, each term once. Asked at every entry that may say so.
    pub(super) fn owe_released(&mut self, index: u64, at: Timestamp, id: &RunId) -> R<()> {
        let Some(run) = self.runs.get(id) else { return Ok(()) };
        let falls = self.falls(Trigger::KeysReleased, run, None, None)?;
        self.charge(index, at, id, falls)?;
        self.release_deposits(index, id, Trigger::KeysReleased)
    }

    /// A run completed: what that triggers falls due, and what its keys trigger where no entry said before that it has them.
    pub(super) fn owe_completed(&mut self, index: u64, at: Timestamp, completion: &Completion) -> R<()> {
        let id = &completion.run_id;
        let Some(run) = self.runs.get(id) else { return Ok(()) };
        let released = self.falls(Trigger::KeysReleased, run, Some(completion), None)?;
        self.charge(index, at, id, released)?;
        let Some(run) = self.runs.get(id) else { return Ok(()) };
        let completed = self.falls(Trigger::Completed, run, Some(completion), Some(at))?;
        self.charge(index, at, id, completed)?;
        self.release_deposits(index, id, Trigger::KeysReleased)?;
        self.release_deposits(index, id, Trigger::Completed)
    }

    fn charge(&mut self, index: u64, at: Timestamp, id: &RunId, falls: Vec<Falls>) -> R<()> {
        for Falls { contract, owed } in falls {
            let row = self.contract_of(&contract)?;
            let term = row.contract.payment.iter().find(|term| term.term_id == owed.term_id).cloned();
            let Some(term) = term else { continue };
            self.owe(index, &owed.obligations, due_at(&term, at))?;
            if counts_on(&term) {
                let key = run_key(&contract.id, &term);
                let mut row = self.tally(&key);
                row.tally = row.tally.and(owed.units);
                self.tallies.put(key, row);
            }
            if let Some(run) = self.runs.get_mut(id) {
                run.charged.push((contract.sha256, owed.term_id, index));
                run.owed.extend(owed.obligations.into_iter().map(|o| o.instruction_id));
            }
        }
        Ok(())
    }

    pub(super) fn tally(&self, key: &TallyKey) -> TallyRow {
        self.tallies.get(key).cloned().unwrap_or_default()
    }

    /// The obligations of a contract's periods, in any of its versions.
    pub(super) fn owed_by_period<'a>(&'a self, contract: &'a ContractId) -> impl Iterator<Item = &'a String> {
        let from = (contract.clone(), String::new(), TermKind::Free, 0, 0);
        let own = self.tallies.range(from..).take_while(move |((id, ..), _)| id == contract);
        own.flat_map(|(_, row)| &row.owed)
    }

    /// A term of an executed contract.
    pub(super) fn term_of(&self, contract: &ContractRef, term_id: &str) -> R<(&Contract, &PaymentTerm)> {
        let row = self.contract_of(contract)?;
        let term = row.contract.payment.iter().find(|term| term.term_id == term_id && row.executed.is_some());
        let none = || Refusal::new(Code::PaymentUnknown, "no executed contract has this term").at("term_id");
        Ok((&row.contract, term.ok_or_else(none)?))
    }

    /// The TDC states the revenue of a period that is over, once.
    pub(super) fn check_statement_of_revenue(&self, envelope: &Envelope<RevenueStatement>, now: Timestamp) -> R<()> {
        let statement = read(envelope)?;
        let (contract, term) = self.term_of(&statement.contract, &statement.term_id)?;
        self.signed_only_by(envelope, term.payer.as_str())?;
        let sentence = "Revenue is stated for a term that shares it, by the contract's tdc.";
        let shared = term.kind == TermKind::RevenueShare && contract.role_of(&term.payer) == Some(Kind::Tdc);
        ensure(shared, Code::PaymentState, "term_id", sentence)?;
        crate::forms::written(statement.at, now, "at")?;
        let sentence = "The currency is not the term's.";
        ensure(statement.currency == term.currency, Code::PaymentState, "currency", sentence)?;
        let row = self.contract_of(&statement.contract)?;
        let over = self.stated_from(row, term, statement.period);
        ensure(over.is_some(), Code::PaymentState, "period", "This version of the contract has no such period.")?;
        let over = over.is_some_and(|over| over <= now);
        ensure(over, Code::PaymentState, "period", "Revenue is stated once its period is over.")?;
        let stated = self.tally(&period_key(row, term, statement.period)).stated.is_some();
        ensure(!stated, Code::PaymentState, "period", "The revenue of this period stands in the log already.")?;
        self.stated_owes(&statement).map(drop)
    }

    /// What a statement owes beyond what the clock made due for its period.
    fn stated_owes(&self, statement: &RevenueStatement) -> R<Vec<Obligation>> {
        let (row, (_, term)) =
            (self.contract_of(&statement.contract)?, self.term_of(&statement.contract, &statement.term_id)?);
        let before = self.tally(&period_key(row, term, statement.period)).minor;
        let whole = self.period_owes(row, term, statement.period, statement.revenue_minor)?;
        let more = Minor::new((whole.get() - before).max(0))?;
        term_owes(term, &statement.contract, Occasion::Stated(State::nth(row, statement.period)), more)
    }

    /// What a period of a share of revenue owes in all, the minimum of what the version covers of it at least.
    pub(super) fn period_owes(&self, row: &ContractRow, term: &PaymentTerm, period: u32, stated: Minor) -> R<Minor> {
        let part = self.covered(row, term, period).map_or((0, 1), |covered| covered.part());
        revenue(term, self.periods_before(row, term, period), stated, part)
    }

    pub(super) fn fold_statement_of_revenue(
        &mut self,
        index: u64,
        at: Timestamp,
        envelope: &Envelope<RevenueStatement>,
    ) -> R<()> {
        let statement = read(envelope)?;
        let obligations = self.stated_owes(&statement)?;
        let due_at = due_at(self.term_of(&statement.contract, &statement.term_id)?.1, at);
        let row = TallyRow { stated: Some(statement.revenue_minor), ..TallyRow::default() };
        self.owe_period(index, &statement.contract, (&statement.term_id, statement.period), row, &obligations, due_at)
    }

    /// Obligations of a period; `more` is what its entry adds to the tally.
    pub(super) fn owe_period(
        &mut self,
        index: u64,
        contract: &ContractRef,
        (term_id, period): (&str, u32),
        more: TallyRow,
        obligations: &[Obligation],
        due_at: Option<Timestamp>,
    ) -> R<()> {
        let awaited = self.awaited_periods(&contract.sha256);
        let key = period_key(self.contract_of(contract)?, self.term_of(contract, term_id)?.1, period);
        self.owe(index, obligations, due_at)?;
        let mut row = self.tally(&key);
        row.tally = row.tally.and(more.tally.units);
        row.stated = more.stated.or(row.stated);
        let lines = obligations.iter().filter(|o| o.line != Some(schemas::event::Line::Gst));
        row.minor = lines.fold(row.minor, |sum, o| sum.saturating_add(o.amount_minor.get()));
        row.owed.extend(obligations.iter().map(|o| o.instruction_id.clone()));
        self.tallies.put(key, row);
        self.await_periods(&contract.sha256, awaited);
        self.note_contract(&contract.id, index);
        Ok(())
    }
}

/// Under which key a term is tallied that runs are owed by.
pub(super) fn run_key(contract: &ContractId, term: &PaymentTerm) -> TallyKey {
    (contract.clone(), term.term_id.clone(), term.kind, 0, 0)
}

/// And a period of a version.
pub(super) fn period_key(row: &ContractRow, term: &PaymentTerm, period: u32) -> TallyKey {
    let contract = &row.contract;
    (contract.contract_id.clone(), term.term_id.clone(), term.kind, contract.version, period)
}

/// The day by which what falls due at `at` is to be paid.
pub(super) fn due_at(term: &PaymentTerm, at: Timestamp) -> Option<Timestamp> {
    let days = term.pricing.as_ref()?.due_days?;
    Some(at.plus_seconds(i64::from(days) * 86_400))
}
