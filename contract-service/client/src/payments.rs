//! Payments.

use schemas::desk::{PaymentAnswer, PaymentList, Receipted};
use schemas::event::PaymentCallback;
use schemas::id::ContractId;
use schemas::term::RevenueStatement;
use schemas::{Envelope, R};

use crate::http::Client;
use crate::query::query;

/// The path of a page of a list, of one contract where it is asked for.
pub(crate) fn page(path: &str, contract: Option<&ContractId>, limit: Option<usize>, cursor: Option<&str>) -> String {
    let (contract, limit) = (contract.map(ToString::to_string), limit.map(|limit| limit.to_string()));
    let parameters = [("contract", contract), ("limit", limit), ("cursor", cursor.map(str::to_owned))];
    format!("{path}{}", query(&parameters))
}

impl Client {
    /// Payments of one contract, or of all of the caller's: every page of them.
    pub fn payments(&self, contract: Option<&ContractId>) -> R<PaymentList> {
        let mut all = self.payments_page(contract, None, None)?;
        while let Some(next) = all.next.take() {
            let page = self.payments_page(contract, None, Some(&next))?;
            all.payments.extend(page.payments);
            all.next = page.next;
        }
        Ok(all)
    }

    /// A page of payments, after the one that `cursor` ended.
    pub fn payments_page(
        &self,
        contract: Option<&ContractId>,
        limit: Option<usize>,
        cursor: Option<&str>,
    ) -> R<PaymentList> {
        self.get_as(&page("/v1/payments", contract, limit, cursor))
    }

    /// Enters what a consumer earned in a period.
    pub fn revenue_statement(&self, statement: &Envelope<RevenueStatement>) -> R<Receipted> {
        self.post("/v1/revenue-statements", statement)
    }

    /// Answers an instruction, as the payment system.
    pub fn payment_callback(&self, callback: &Envelope<PaymentCallback>) -> R<PaymentAnswer> {
        self.post("/payment-callbacks", callback)
    }
}
