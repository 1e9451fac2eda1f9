//! The books, disputes and payouts.

use schemas::desk::{DisputeList, DisputeReceipt, DisputeView, JournalLine, JournalPage, PayoutView, Receipted};
use schemas::dispute::{Dispute, DisputeAnswer, DisputeClose, DisputeRuling, PaymentUnmatched};
use schemas::id::{ContractId, DatasetId, DisputeId};
use schemas::log::Receipt;
use schemas::payout::PayoutBatch;
use schemas::{Envelope, R};

use crate::http::Client;
use crate::payments::{every, page};

/// Lines of the longest page that the service gives.
const LONGEST: usize = 200;

impl Client {
    /// Every transfer that the caller may read, of one contract if asked, in the order of the log.
    pub fn journal(&self, contract: Option<&ContractId>) -> R<Vec<JournalLine>> {
        every(|cursor| {
            let lines: JournalPage = self.get_as(&page("/v1/payments/journal", contract, Some(LONGEST), cursor))?;
            Ok((lines.transfers, lines.next))
        })
    }

    /// Disputes of one contract, or all that the caller may read about: every page of them.
    pub fn disputes(&self, contract: Option<&ContractId>) -> R<DisputeList> {
        let read =
            |cursor: Option<&str>| self.disputes_page(contract, None, cursor).map(|page| (page.disputes, page.next));
        Ok(DisputeList { disputes: every(read)?, next: None })
    }

    /// A page of disputes, after the one that `cursor` ended.
    pub fn disputes_page(
        &self,
        contract: Option<&ContractId>,
        limit: Option<usize>,
        cursor: Option<&str>,
    ) -> R<DisputeList> {
        self.get_as(&page("/v1/disputes", contract, limit, cursor))
    }

    /// One dispute.
    pub fn dispute(&self, id: &DisputeId) -> R<DisputeView> {
        self.get_as(&format!("/v1/disputes/{id}"))
    }

    /// Opens a dispute.
    pub fn open_dispute(&self, dispute: &Envelope<Dispute>) -> R<DisputeReceipt> {
        self.post("/v1/disputes", dispute)
    }

    /// Answers a dispute.
    pub fn answer_dispute(&self, id: &DisputeId, answer: &Envelope<DisputeAnswer>) -> R<DisputeReceipt> {
        self.post(&format!("/v1/disputes/{id}/answer"), answer)
    }

    /// Rules, as one or two people of the SRO.
    pub fn rule_dispute(&self, id: &DisputeId, ruling: &Envelope<DisputeRuling>) -> R<DisputeReceipt> {
        self.post(&format!("/v1/disputes/{id}/ruling"), ruling)
    }

    /// Closes a ruled dispute.
    pub fn close_dispute(&self, id: &DisputeId, close: &Envelope<DisputeClose>) -> R<DisputeReceipt> {
        self.post(&format!("/v1/disputes/{id}/close"), close)
    }

    /// States money that no instruction explains, as its holder.
    pub fn payment_unmatched(&self, unmatched: &Envelope<PaymentUnmatched>) -> R<DisputeReceipt> {
        self.post("/payment-callbacks/unmatched", unmatched)
    }

    /// How the payouts of a dataset version stand.
    pub fn payouts(&self, dataset: &DatasetId, version: u32) -> R<PayoutView> {
        self.get_as(&format!("/v1/datasets/{dataset}/payouts?version={version}"))
    }

    /// Enters a batch of payouts.
    pub fn enter_payout(&self, dataset: &DatasetId, batch: &Envelope<PayoutBatch>) -> R<Receipt> {
        Ok(self.post::<_, Receipted>(&format!("/v1/datasets/{dataset}/payouts"), batch)?.receipt)
    }
}
