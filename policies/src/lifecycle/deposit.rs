//! Deposits: asked with the order of a job, blocked before its room checks in, paid when their trigger comes, returned
//! where it does not. One deposit serves one run; a job whose deposit went back runs no more.

use schemas::contract::{PaymentTerm, TermKind, Trigger};
use schemas::event::Obligation;
use schemas::id::RunId;
use schemas::{Code, Digest, R, Refusal, Timestamp};

use super::bookings::Fact;
use super::pay_clock::Moment;
use super::{OrderRow, PaymentState, State};
use crate::payment::{Act, Occasion, Tally, amount, concerns, term_owes};

impl State {
    /// The deposits that the contracts of a job ask for, before they are in the log.
    pub(super) fn deposits_of(&self, order: &OrderRow, sha256: &Digest) -> R<Vec<Obligation>> {
        let mut all = Vec::new();
        for (reference, contract) in self.contracts_of(&order.job)? {
            let asked = |term: &&PaymentTerm| term.kind == TermKind::Escrow && concerns(term, &order.job);
            for term in contract.payment.iter().filter(asked) {
                let amount = amount(term, Tally::default(), 1)?;
                all.extend(term_owes(term, &reference, Occasion::Job(sha256), amount)?);
            }
        }
        Ok(all)
    }

    /// The obligations that are this job's deposits.
    pub fn deposits<'a>(&'a self, order: &'a OrderRow) -> impl Iterator<Item = &'a super::PaymentRow> {
        order.deposits.iter().filter_map(|id| self.payments.get(id))
    }

    /// Requires that the money of every deposit of a job is blocked: no room is admitted before.
    pub fn require_funded(&self, order: &OrderRow) -> R<()> {
        match self.deposits(order).find(|row| row.state != PaymentState::Blocked) {
            None => Ok(()),
            Some(row) => Err(unfunded(&row.obligation, row.state)),
        }
    }

    /// Requires that the money of a run's deposits is blocked still, or paid: asked whenever a room is to go on, when it
    /// completes, and before the model is handed over. What is owed without a block secures nothing.
    pub fn require_run_funded(&self, run: &super::RunRow) -> R<()> {
        let Some(order) = self.orders.get(&run.job_sha256) else { return Ok(()) };
        let held = |row: &super::PaymentRow| {
            let stands = matches!(
                row.state,
                PaymentState::Blocked | PaymentState::Due | PaymentState::Instructed | PaymentState::Settled
            );
            stands && self.books.is_secured(&row.obligation.instruction_id)
        };
        match self.deposits(order).find(|row| !held(row)) {
            None => Ok(()),
            Some(row) => Err(unfunded(&row.obligation, row.state)),
        }
    }

    /// With the order of a job: the payment provider is told to block what its contracts ask for.
    pub(super) fn ask_deposits(&mut self, index: u64, sha256: &Digest) -> R<()> {
        let Some(order) = self.orders.get(sha256) else { return Ok(()) };
        let (deposits, expires_at) = (self.deposits_of(order, sha256)?, order.job.expires_at);
        for deposit in &deposits {
            self.enter_payment(index, deposit, (PaymentState::Asked, Act::Block), None)?;
        }
        if let Some(order) = self.orders.get_mut(sha256).filter(|_| !deposits.is_empty()) {
            order.deposits = deposits.into_iter().map(|deposit| deposit.instruction_id).collect();
            self.pay_agenda.put((expires_at, Moment::Deposits(*sha256)), ());
        }
        Ok(())
    }

    /// A run took the job: its deposits serve it, and its end settles what becomes of them.
    pub(super) fn use_deposits(&mut self, index: u64, job_sha256: &Digest, run: &RunId) {
        let Some(order) = self.orders.get(job_sha256) else { return };
        let (deposits, expires_at) = (order.deposits.clone(), order.job.expires_at);
        self.pay_agenda.remove(&(expires_at, Moment::Deposits(*job_sha256)));
        for id in deposits {
            if let Some(row) = self.payments.get_mut(&id) {
                (row.run, row.touched) = (Some(run.clone()), index);
            }
            if let Some(run) = self.runs.get_mut(run) {
                run.owed.push(id);
            }
        }
    }

    /// The trigger came: what is blocked is owed, and the payment provider is told to pay it.
    pub(super) fn release_deposits(&mut self, index: u64, run: &RunId, trigger: Trigger) -> R<()> {
        for deposit in self.blocked_for(run) {
            let (_, term) = self.term_of(&deposit.contract, &deposit.term_id)?;
            if term.trigger == trigger {
                self.book(index, Fact::Owed, &deposit)?;
                self.book(index, Fact::Instructed, &deposit)?;
                self.instruct(index, &deposit.instruction_id, PaymentState::Instructed, Act::Pay, 0)?;
            }
        }
        Ok(())
    }

    /// A run ended before the trigger: the payment provider is told to undo the blocks.
    pub(super) fn return_deposits(&mut self, index: u64, run: &RunId) -> R<()> {
        for deposit in self.blocked_for(run) {
            self.instruct(index, &deposit.instruction_id, PaymentState::Refunding, Act::Refund, 0)?;
        }
        Ok(())
    }

    fn blocked_for(&self, run: &RunId) -> Vec<Obligation> {
        let blocked = self.payments_of(run).filter(|row| row.state == PaymentState::Blocked);
        blocked.map(|row| row.obligation.clone()).collect()
    }

    /// A job's time is over, and no run of it goes on that its deposits serve.
    pub(super) fn check_escrow_time(&self, job_sha256: &Digest, now: Timestamp) -> R<()> {
        let refuse = |why: &str| Err(Refusal::new(Code::PaymentState, why.to_owned()));
        let Some(order) = self.orders.get(job_sha256) else { return refuse("no such job is ordered") };
        if now < order.job.expires_at {
            return refuse("the job's time is not over");
        }
        if order.runs.iter().filter_map(|id| self.runs.get(id)).any(super::RunRow::alive) {
            return refuse("a run that the deposits serve goes on");
        }
        let waits = |row: &super::PaymentRow| matches!(row.state, PaymentState::Asked | PaymentState::Blocked);
        if self.deposits(order).any(waits) { Ok(()) } else { refuse("no deposit waits") }
    }

    pub(super) fn fold_escrow_time(&mut self, index: u64, job_sha256: &Digest) -> R<()> {
        let Some(order) = self.orders.get(job_sha256) else { return Ok(()) };
        let (ids, moment) = (order.deposits.clone(), (order.job.expires_at, Moment::Deposits(*job_sha256)));
        self.pay_agenda.remove(&moment);
        for id in ids {
            match self.payments.get(&id).map(|row| row.state) {
                Some(PaymentState::Blocked) => {
                    self.instruct(index, &id, PaymentState::Refunding, Act::Refund, 0)?;
                }
                Some(PaymentState::Asked) => {
                    self.forget_retry(&id);
                    self.set(&id, PaymentState::Void);
                    if let Some(row) = self.payments.get_mut(&id) {
                        row.touched = index;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn unfunded(deposit: &Obligation, state: PaymentState) -> Refusal {
    let why = match state {
        PaymentState::Asked => "is not confirmed by the payment provider yet",
        _ => "is not blocked any more; sign a new job",
    };
    let sentence = format!(
        "The deposit of {} {} for term {} {why}.",
        deposit.currency,
        deposit.amount_minor.get(),
        deposit.term_id
    );
    Refusal::new(Code::EscrowNotFunded, sentence).at("payment")
}
