//! Payments.

use schemas::desk::{PaymentAnswer, PaymentList, Receipted};
use schemas::event::PaymentCallback;
use schemas::id::ContractId;
use schemas::term::RevenueStatement;
use schemas::{Envelope, R};

use crate::http::Client;

impl Client {
    /// Payments of one contract, or of all of the caller's.
    pub fn payments(&self, contract: Option<&ContractId>) -> R<PaymentList> {
        match contract {
            Some(id) => self.get_as(&format!("/v1/payments?contract={id}")),
            None => self.get_as("/v1/payments"),
        }
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
