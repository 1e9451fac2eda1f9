//! What falls due, reckoned once more from all that stands in the log: every obligation that is there, and no other.

use std::collections::{BTreeMap, BTreeSet};

use schemas::contract::{PaymentTerm, TermKind, Trigger};
use schemas::event::Obligation;
use schemas::money::Minor;
use schemas::{Code, R, Refusal};

use super::owing::{TallyKey, run_key};
use super::{RunRow, State, read};
use crate::payment::{Occasion, RunFacts, Tally, concerns, counts_on, run_owes, term_owes};

impl State {
    /// Every obligation that follows from orders, runs, periods and statements of the log, by its id. Work is in proportion to
    /// all that there is: for audits and tests.
    pub fn due_again(&self) -> R<BTreeMap<String, Obligation>> {
        let mut all = Vec::new();
        for (sha256, order) in self.orders.iter() {
            all.extend(self.deposits_of(order, sha256)?);
        }
        self.runs_owe(&mut all)?;
        self.periods_owe(&mut all)?;
        let mut due = BTreeMap::new();
        for obligation in all {
            let id = obligation.instruction_id.clone();
            if due.insert(id.clone(), obligation).is_some() {
                return Err(wrong(format!("obligation {id} falls due twice")));
            }
        }
        Ok(due)
    }

    /// The obligations that stand here are those that fall due (`BOOKS_OBLIGATION`); the first that differs is named. Blocks that
    /// only go back are nobody's debt.
    pub(super) fn owes_what_is_due(&self) -> R<()> {
        let due = self.due_again()?;
        let own = self.payments.iter().filter(|(_, row)| row.surplus_of.is_none());
        let own: BTreeMap<&String, &Obligation> = own.map(|(id, row)| (id, &row.obligation)).collect();
        let differs = |(id, obligation): &(&&String, &&Obligation)| due.get(**id) != Some(**obligation);
        if let Some((id, _)) = own.iter().find(differs) {
            return Err(wrong(format!("obligation {id} is not what falls due by the log")));
        }
        match due.keys().find(|id| !own.contains_key(id)) {
            None => Ok(()),
            Some(id) => Err(wrong(format!("obligation {id} is missing"))),
        }
    }

    /// Terms by run, in the order of their entries: what some owe depends on what they were owed for before.
    fn runs_owe(&self, all: &mut Vec<Obligation>) -> R<()> {
        let mut charged = Vec::new();
        for (_, run) in self.runs.iter() {
            self.all_charged(run)?;
            charged.extend(run.charged.iter().map(|(sha256, term_id, index)| (*index, run, sha256, term_id)));
        }
        // Stable: terms of one entry stay in their order.
        charged.sort_by_key(|(index, ..)| *index);
        let mut tallies: BTreeMap<TallyKey, Tally> = BTreeMap::new();
        for (_, run, sha256, term_id) in charged {
            let row = self.contracts.get(sha256).ok_or_else(|| wrong(format!("{} owes by no contract", run.run_id)))?;
            let term = row.contract.payment.iter().find(|term| term.term_id == *term_id);
            let term = term.ok_or_else(|| wrong(format!("{} owes by no term {term_id}", run.run_id)))?;
            let steps = match &run.completion {
                Some((_, _, envelope)) => Some(read(envelope)?.steps),
                None => None,
            };
            let time = run.completion.as_ref().map(|(_, at, _)| (run.checked_in_at, *at));
            let facts = RunFacts { run: &run.run_id, job: self.job_of(run)?, steps, charges: &run.planned, time };
            let key = run_key(&row.contract.contract_id, term);
            let before = tallies.get(&key).copied().unwrap_or_default();
            let owed = run_owes(term, (&row.reference(), &row.contract), &facts, before)?;
            let owed = owed.ok_or_else(|| wrong(format!("{} does not owe by term {term_id}", run.run_id)))?;
            if counts_on(term) {
                tallies.insert(key, before.and(owed.units));
            }
            all.extend(owed.obligations);
        }
        Ok(())
    }

    /// A completed run has been charged by every term that any run owes by.
    fn all_charged(&self, run: &RunRow) -> R<()> {
        if run.completion.is_none() {
            return Ok(());
        }
        let job = self.job_of(run)?;
        let charged: BTreeSet<_> = run.charged.iter().map(|(sha256, term_id, _)| (sha256, term_id)).collect();
        let owes = |term: &&PaymentTerm| match term.kind {
            TermKind::PerRun | TermKind::PerEpoch | TermKind::PerRecord | TermKind::PerComputeHour => {
                concerns(term, job)
            }
            TermKind::PerEpsilon => {
                let charge = |c: &schemas::privacy::DatasetCharge| Some(&c.dataset_id) == term.dataset_id.as_ref();
                concerns(term, job) && run.planned.iter().any(charge)
            }
            _ => false,
        };
        for (reference, contract) in self.contracts_of(job)? {
            let triggered = |term: &&PaymentTerm| matches!(term.trigger, Trigger::Completed | Trigger::KeysReleased);
            let mut owing = contract.payment.iter().filter(triggered).filter(owes);
            let missing = owing.find(|term| !charged.contains(&(&reference.sha256, &term.term_id)));
            if let Some(term) = missing {
                return Err(wrong(format!("{} is not charged by term {}", run.run_id, term.term_id)));
            }
        }
        Ok(())
    }

    fn periods_owe(&self, all: &mut Vec<Obligation>) -> R<()> {
        for ((id, term_id, kind, version, period), tally) in self.tallies.iter().filter(|(key, _)| key.3 > 0) {
            let executed = |row: &&super::ContractRow| row.contract.version == *version && row.executed.is_some();
            let row = self.contract_versions(id).find(executed);
            let row = row.ok_or_else(|| wrong(format!("a period of {id} is of no version of it")))?;
            let same = |term: &&PaymentTerm| term.term_id == *term_id && term.kind == *kind;
            let term = row.contract.payment.iter().find(same);
            let term = term.ok_or_else(|| wrong(format!("a period of {id} is of no term of it")))?;
            // What was stated came in an entry of its own, before or after the clock's, or instead of it.
            let by_clock = tally.tally.times > u32::from(tally.stated.is_some());
            let clock = if by_clock { self.clock_owes(row, term, *period)? } else { Vec::new() };
            if let Some(stated) = tally.stated {
                let lines = clock.iter().filter(|o| o.line != Some(schemas::event::Line::Gst));
                let before: i128 = lines.map(|o| i128::from(o.amount_minor.get())).sum();
                let whole = i128::from(self.period_owes(row, term, *period, stated)?.get());
                let more = i64::try_from((whole - before).max(0)).map_err(|_| wrong(format!("a period of {id}")))?;
                let occasion = Occasion::Stated(State::nth(row, *period));
                all.extend(term_owes(term, &row.reference(), occasion, Minor::new(more)?)?);
            }
            all.extend(clock);
        }
        Ok(())
    }
}

fn wrong(sentence: String) -> Refusal {
    Refusal::new(Code::BooksObligation, sentence)
}
