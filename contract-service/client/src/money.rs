//! The books, disputes and payouts.

use schemas::desk::{DisputeList, DisputeReceipt, DisputeView, JournalLine, JournalPage, PayoutView, Receipted};
use schemas::dispute::{Dispute, DisputeAnswer, DisputeClose, DisputeRuling, PaymentUnmatched};
use schemas::id::{ContractId, DatasetId, DisputeId};
use schemas::log::Receipt;
use schemas::payout::PayoutBatch;
use schemas::{Envelope, R};

use crate::http::Client;
use crate::payments::page;

impl Client {
    /// Every transfer that the caller may read, of one contract if asked, in the order of the log.
    pub fn journal(&self, contract: Option<&ContractId>) -> R<Vec<JournalLine>> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut path = "/v1/payments/journal?limit=200".to_owned();
            contract.iter().for_each(|id| path.push_str(&format!("&contract={id}")));
            cursor.iter().for_each(|at| path.push_str(&format!("&cursor={at}")));
            let page: JournalPage = self.get_as(&path)?;
            all.extend(page.transfers);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(all);
            }
        }
    }

    /// Disputes of one contract, or all that the caller may read about: every page of them.
    pub fn disputes(&self, contract: Option<&ContractId>) -> R<DisputeList> {
        let mut all = self.disputes_page(contract, None, None)?;
        while let Some(next) = all.next.take() {
            let page = self.disputes_page(contract, None, Some(&next))?;
            all.disputes.extend(page.disputes);
            all.next = page.next;
        }
        Ok(all)
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
