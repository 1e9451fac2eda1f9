//! Obligations: instructed with the completion that owes them, then settled or due again as the payment system says.

use schemas::envelope::Envelope;
use schemas::event::{Obligation, PaymentCallback, PaymentResult};
use schemas::id::{Did, RunId};
use schemas::party::Kind;
use schemas::{Code, Digest, R, Refusal};
use serde::{Deserialize, Serialize};

use super::signers::sole_signer;
use super::{Books, State, Transfer, read};

/// Where an obligation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// Owed; the last attempt to pay failed.
    Due,
    /// The payment system was told, in the same transaction that entered the completion.
    Instructed,
    /// Paid.
    Settled,
}

/// An obligation and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentRow {
    /// What is owed.
    pub obligation: Obligation,
    /// Index of the completion's entry.
    pub index: u64,
    /// The state.
    pub state: PaymentState,
    /// SHA-256 of the last answer's signed bytes, with the index of its entry.
    pub answer: Option<(u64, Digest)>,
    /// The payment system's reference in that answer.
    pub reference: Option<String>,
}

impl PaymentRow {
    /// The book entries that this obligation has led to so far.
    pub fn transfers(&self) -> Vec<Transfer> {
        let mut all = vec![Transfer::owed(&self.obligation)];
        if self.state == PaymentState::Settled {
            all.extend(Transfer::paid(&self.obligation));
        }
        all
    }
}

impl State {
    /// The obligation with this instruction id.
    pub fn payment(&self, instruction_id: &str) -> Option<&PaymentRow> {
        self.payments.get(&instruction_id.to_owned())
    }

    /// All obligations by instruction id.
    pub fn payments(&self) -> impl DoubleEndedIterator<Item = &PaymentRow> {
        self.payments.iter().map(|(_, row)| row)
    }

    /// The obligations of a run.
    pub fn payments_of<'a>(&'a self, run: &'a RunId) -> impl Iterator<Item = &'a PaymentRow> {
        self.payments().filter(move |row| row.obligation.run_id == *run)
    }

    /// The books.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Debits equal credits; every balance equals the transfers that obligations and answers give.
    pub fn check_books(&self) -> R<()> {
        self.books.check(self.payments().flat_map(PaymentRow::transfers))
    }

    pub(super) fn owe(&mut self, index: u64, obligations: &[Obligation]) -> R<()> {
        for obligation in obligations {
            if self.payments.contains(&obligation.instruction_id) {
                return Err(Refusal::new(Code::PaymentState, "an obligation with this instruction id exists"));
            }
            self.books.post(&Transfer::owed(obligation))?;
            let row = PaymentRow {
                obligation: obligation.clone(),
                index,
                state: PaymentState::Instructed,
                answer: None,
                reference: None,
            };
            self.payments.put(obligation.instruction_id.clone(), row);
        }
        Ok(())
    }

    pub(super) fn check_callback(&self, envelope: &Envelope<PaymentCallback>) -> R<()> {
        let callback = read(envelope)?;
        let provider = Did::parse(sole_signer(envelope)?)?;
        self.require_verified(&provider, Kind::Psp)?;
        self.keys_active(envelope)?;
        let unknown = || Refusal::new(Code::PaymentUnknown, "no obligation has this instruction id");
        let row = self.payments.get(&callback.instruction_id).ok_or_else(unknown)?;
        if callback.amount_minor != row.obligation.amount_minor || callback.currency != row.obligation.currency {
            return Err(
                Refusal::new(Code::PaymentState, "amount or currency is not what was instructed").at("amount_minor")
            );
        }
        if row.answer.as_ref().is_some_and(|(_, sha256)| *sha256 == envelope.digest()) {
            return Err(Refusal::new(Code::PaymentState, "this answer stands in the log already"));
        }
        match (row.state, callback.result) {
            (PaymentState::Settled, _) => Err(Refusal::new(Code::PaymentState, "the obligation is settled already")),
            (PaymentState::Due, PaymentResult::Failed) => {
                Err(Refusal::new(Code::PaymentState, "the obligation is due again already"))
            }
            (PaymentState::Instructed, _) | (PaymentState::Due, PaymentResult::Settled) => Ok(()),
        }
    }

    pub(super) fn fold_callback(&mut self, index: u64, envelope: &Envelope<PaymentCallback>) -> R<()> {
        let callback = read(envelope)?;
        let Some(row) = self.payments.get_mut(&callback.instruction_id) else {
            return Ok(());
        };
        row.answer = Some((index, envelope.digest()));
        row.reference = Some(callback.reference);
        row.state = match callback.result {
            PaymentResult::Settled => PaymentState::Settled,
            PaymentResult::Failed => PaymentState::Due,
        };
        if row.state == PaymentState::Settled {
            for transfer in Transfer::paid(&row.obligation) {
                self.books.post(&transfer)?;
            }
        }
        Ok(())
    }
}
