//! What time brings to payments: failed instructions are given again, periods fall due, deposits that no run used go back.
//! The entries say only that the clock did; what follows is the fold's.

use schemas::contract::{ContractRef, PaymentTerm, TermKind};
use schemas::event::{Body, Obligation};
use schemas::money::Minor;
use schemas::{Code, Digest, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use super::owing::{TallyRow, due_at, period_key};
use super::payment::MOST_ATTEMPTS;
use super::{ContractRow, PaymentState, State};
use crate::forms::ensure;
use crate::payment::{Occasion, Tally, amount, term_owes};

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

    /// The periods of a contract's terms that the clock brings next: of each term the first that is not in the log.
    pub(super) fn awaited_periods(&self, sha256: &Digest) -> Vec<(Timestamp, Moment)> {
        let Some(row) = self.contracts.get(sha256).filter(|row| row.executed.is_some()) else { return Vec::new() };
        let next = |term: &PaymentTerm| {
            let mut period = self.first_period(row, term)?;
            while self.tallies.contains(&period_key(row, term, period)) {
                period = period.checked_add(1)?;
            }
            let at = self.falls_due(row, term, period)?;
            Some((at, Moment::Period(*sha256, term.term_id.clone(), period)))
        };
        row.contract.payment.iter().filter_map(next).collect()
    }

    /// Waits for the periods that come next, after something changed which those awaited `before` depend on.
    pub(super) fn await_periods(&mut self, sha256: &Digest, before: Vec<(Timestamp, Moment)>) {
        before.iter().for_each(|moment| self.pay_agenda.remove(moment));
        self.awaited_periods(sha256).into_iter().for_each(|moment| self.pay_agenda.put(moment, ()));
    }

    /// What a period owes, if the clock has brought it, and when it fell due. An end of the contract ends what begins after it;
    /// what had begun is owed, a minimum for as long as the version counted.
    fn check_period(
        &self,
        contract: &ContractRef,
        term_id: &str,
        period: u32,
        now: Timestamp,
    ) -> R<(Timestamp, Vec<Obligation>)> {
        let (row, (_, term)) = (self.contract_of(contract)?, self.term_of(contract, term_id)?);
        let refuse = |why: &str| Refusal::new(Code::PaymentState, why.to_owned()).at("period");
        let none = || refuse("the contract, as far as it stood, has no such period of this term");
        let at = self.falls_due(row, term, period).ok_or_else(none)?;
        if now < at {
            return Err(refuse("the period has not fallen due"));
        }
        if self.tallies.contains(&period_key(row, term, period)) {
            return Err(refuse("the period stands in the log already"));
        }
        Ok((at, self.clock_owes(row, term, period)?))
    }

    /// What the clock makes due for a period.
    pub(super) fn clock_owes(&self, row: &ContractRow, term: &PaymentTerm, period: u32) -> R<Vec<Obligation>> {
        let before = self.periods_before(row, term, period);
        let owed = match term.kind {
            TermKind::RevenueShare => self.period_owes(row, term, period, Minor::new(0)?)?,
            _ => amount(term, Tally { units: u64::from(before), times: before }, 1)?,
        };
        term_owes(term, &row.reference(), Occasion::Period(State::nth(row, period)), owed)
    }

    fn fold_period(&mut self, index: u64, at: Timestamp, contract: &ContractRef, term_id: &str, period: u32) -> R<()> {
        // To be paid from when it fell due, not from when the service came to enter it.
        let (fell, obligations) = self.check_period(contract, term_id, period, at)?;
        let due_at = due_at(self.term_of(contract, term_id)?.1, fell);
        self.owe_period(index, contract, (term_id, period), TallyRow::default(), &obligations, due_at)
    }
}
