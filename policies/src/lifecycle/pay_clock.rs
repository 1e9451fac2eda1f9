//! What time brings to payments: failed instructions are given again, periods fall due, deposits that no run used go back.
//! The entries say only that the clock did; what follows is the fold's.

use schemas::contract::{Contract, ContractRef, ContractState, PaymentTerm, TermKind};
use schemas::event::{Body, Obligation};
use schemas::money::Minor;
use schemas::{Code, Digest, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use super::owing::due_at;
use super::payment::MOST_ATTEMPTS;
use super::{PaymentState, State};
use crate::forms::ensure;
use crate::payment::{Occasion, Tally, amount, period_begins, revenue, term_owes};

/// What may be due at a moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Moment {
    /// An instruction is given again.
    Retry(String),
    /// A job's deposits go back.
    Deposits(Digest),
    /// A period of a contract's term.
    Period(Digest, String, u32),
}

/// Seconds between a failure and the next attempt; the last goes on.
const PAUSES: [i64; 4] = [3600, 6 * 3600, 24 * 3600, 72 * 3600];
/// Days after the end of a period in which its revenue is to be stated before the minimum falls due.
const STATEMENT_DAYS: i64 = 30;

impl State {
    /// What the clock brought to payments since it was told last, oldest first: bodies to enter now, at most `most`.
    pub fn payments_due(&self, now: Timestamp, most: usize) -> Vec<Body> {
        let passed = self.pay_agenda.iter().take_while(|((at, _), _)| *at <= now);
        let bodies = passed.filter_map(|((_, moment), _)| {
            let body = match moment {
                Moment::Retry(id) => Body::PaymentRetried { obligation_id: id.clone() },
                Moment::Deposits(job) => Body::EscrowTimedOut { job_sha256: *job },
                Moment::Period(sha256, term_id, period) => {
                    let contract = self.contract(sha256)?.reference();
                    Body::PaymentsTimed { contract, term_id: term_id.clone(), period: *period }
                }
            };
            self.check_payment_time(&body, now).is_ok().then_some(body)
        });
        bodies.take(most).collect()
    }

    /// Whether the clock has brought this.
    pub(super) fn check_payment_time(&self, body: &Body, now: Timestamp) -> R<()> {
        match body {
            Body::PaymentRetried { obligation_id } => self.check_retry(obligation_id, now),
            Body::EscrowTimedOut { job_sha256 } => self.check_escrow_time(job_sha256, now),
            Body::PaymentsTimed { contract, term_id, period } => {
                self.check_period(contract, term_id, *period, now).map(drop)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn fold_payment_time(&mut self, index: u64, at: Timestamp, body: &Body) -> R<()> {
        match body {
            Body::PaymentRetried { obligation_id } => self.fold_retry(index, obligation_id),
            Body::EscrowTimedOut { job_sha256 } => self.fold_escrow_time(index, job_sha256),
            Body::PaymentsTimed { contract, term_id, period } => {
                self.fold_period(index, at, contract, term_id, *period)
            }
            _ => Ok(()),
        }
    }

    /// An instruction failed: it is given again after a pause, a number of times.
    pub(super) fn try_again(&mut self, id: &str, at: Timestamp) {
        let Some(row) = self.payments.get_mut(&id.to_owned()) else { return };
        if row.attempt >= MOST_ATTEMPTS {
            return;
        }
        let pause = PAUSES.get(row.attempt as usize).or(PAUSES.last()).copied().unwrap_or(3600);
        let again = at.plus_seconds(pause);
        row.again_at = Some(again);
        self.pay_agenda.put((again, Moment::Retry(id.to_owned())), ());
    }

    /// No further attempt is made.
    pub(super) fn forget_retry(&mut self, id: &str) {
        let again = self.payments.get(&id.to_owned()).and_then(|row| row.again_at);
        if let Some(again) = again {
            self.pay_agenda.remove(&(again, Moment::Retry(id.to_owned())));
        }
    }

    fn check_retry(&self, id: &str, now: Timestamp) -> R<()> {
        let unknown = || Refusal::new(Code::PaymentUnknown, "no obligation has this id");
        let row = self.payments.get(&id.to_owned()).ok_or_else(unknown)?;
        let again = row.again_at.is_some_and(|again| again <= now) && !row.closed();
        let sentence = "The last instruction did not fail, or not long enough ago.";
        ensure(again, Code::PaymentState, "obligation_id", sentence)
    }

    fn fold_retry(&mut self, index: u64, id: &str) -> R<()> {
        self.forget_retry(id);
        let Some(row) = self.payments.get(&id.to_owned()).cloned() else { return Ok(()) };
        let state = match row.state {
            PaymentState::Due => {
                self.book(index, super::bookings::Fact::Instructed, &row.obligation)?;
                PaymentState::Instructed
            }
            other => other,
        };
        // A payment that came back was settled: what is told next is the next attempt all the same.
        self.instruct(index, id, state, row.act, row.attempt.saturating_add(1))
    }

    /// With the execution of a contract: when its periods fall due.
    pub(super) fn expect_periods(&mut self, sha256: &Digest) {
        let Some(row) = self.contracts.get(sha256) else { return };
        let contract = row.contract.clone();
        for term in &contract.payment {
            let next = self.next_period(&contract, term);
            if let Some(at) = falls_due(term, &contract, next) {
                self.pay_agenda.put((at, Moment::Period(*sha256, term.term_id.clone(), next)), ());
            }
        }
    }

    /// The first period of a term that nothing was owed for by the clock, in any version of the contract.
    fn next_period(&self, contract: &Contract, term: &PaymentTerm) -> u32 {
        let key = |n| (contract.contract_id.clone(), term.term_id.clone(), n);
        let last = self.tallies.range(key(0)..=key(u32::MAX)).next_back();
        last.map_or(0, |((_, _, n), _)| n.saturating_add(1))
    }

    /// What a period owes, if the clock has brought it while the contract stood.
    fn check_period(&self, contract: &ContractRef, term_id: &str, period: u32, now: Timestamp) -> R<Vec<Obligation>> {
        let (document, term) = self.term_of(contract, term_id)?;
        let row = self.contract_of(contract)?;
        let refuse = |why: &str| Refusal::new(Code::PaymentState, why.to_owned()).at("period");
        let at = falls_due(term, document, period).ok_or_else(|| refuse("the term has no such period"))?;
        if now < at {
            return Err(refuse("the period has not fallen due"));
        }
        if self.tallies.contains(&(contract.id.clone(), term_id.to_owned(), period)) {
            return Err(refuse("the period stands in the log already"));
        }
        // Who ended a contract ended its subscriptions; revenue of a period that had begun is owed all the same.
        let stands = matches!(row.state(now), ContractState::Active | ContractState::Suspended);
        if !stands && term.kind == TermKind::Subscription {
            return Err(refuse("the contract has ended"));
        }
        let owed = match term.kind {
            TermKind::RevenueShare => revenue(term, Minor::new(0)?)?,
            _ => amount(term, Tally { units: u64::from(period), times: period }, 1)?,
        };
        term_owes(term, contract, Occasion::Period(period), owed)
    }

    fn fold_period(&mut self, index: u64, at: Timestamp, contract: &ContractRef, term_id: &str, period: u32) -> R<()> {
        let obligations = self.check_period(contract, term_id, period, at)?;
        let term = self.term_of(contract, term_id)?.1.clone();
        // What the clock brings is no statement: no unit is counted.
        let units = u64::from(term.kind == TermKind::Subscription);
        self.owe_period(index, contract, (term_id, period), units, &obligations, due_at(&term, at))
    }

    /// A period is in the log: the clock waits for the next one that is not.
    pub(super) fn next_moment(&mut self, contract: &ContractRef, term_id: &str, period: u32) -> R<()> {
        let (document, term) = self.term_of(contract, term_id)?;
        let (document, term) = (document.clone(), term.clone());
        let moment = |n| {
            let at = falls_due(&term, &document, n)?;
            Some((at, Moment::Period(contract.sha256, term_id.to_owned(), n)))
        };
        let Some(now) = moment(period).filter(|moment| self.pay_agenda.contains(moment)) else { return Ok(()) };
        self.pay_agenda.remove(&now);
        let mut next = period.saturating_add(1);
        while self.tallies.contains(&(contract.id.clone(), term_id.to_owned(), next)) {
            next = next.saturating_add(1);
        }
        if let Some(next) = moment(next).filter(|_| self.contract_of(contract).is_ok_and(|row| row.ended.is_none())) {
            self.pay_agenda.put(next, ());
        }
        Ok(())
    }

    /// A contract ended: no subscription of it falls due any more.
    pub(super) fn end_periods(&mut self, sha256: &Digest) {
        let Some(row) = self.contracts.get(sha256) else { return };
        let contract = row.contract.clone();
        for term in contract.payment.iter().filter(|term| term.kind == TermKind::Subscription) {
            let next = self.next_period(&contract, term);
            if let Some(at) = falls_due(term, &contract, next) {
                self.pay_agenda.remove(&(at, Moment::Period(*sha256, term.term_id.clone(), next)));
            }
        }
    }
}

/// When a period falls due by the clock: a subscription's at its beginning, the minimum of a share of revenue some time
/// after its end. None where the contract has no such period, or the term no minimum.
fn falls_due(term: &PaymentTerm, contract: &Contract, period: u32) -> Option<Timestamp> {
    let begins = period_begins(term, contract, period)?;
    if begins >= contract.expires_at {
        return None;
    }
    match term.kind {
        TermKind::Subscription => Some(begins),
        TermKind::RevenueShare => {
            term.pricing.as_ref()?.floor_minor.filter(|least| least.get() > 0)?;
            let ends = period_begins(term, contract, period.checked_add(1)?)?.min(contract.expires_at);
            Some(ends.plus_seconds(STATEMENT_DAYS * 86_400))
        }
        _ => None,
    }
}
