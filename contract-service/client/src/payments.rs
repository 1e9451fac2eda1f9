//! Payments and webhooks.

use schemas::desk::{DeliveryList, EndpointCreated, EndpointList, EndpointRequest, PaymentAnswer, PaymentList};
use schemas::event::PaymentCallback;
use schemas::id::ContractId;
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

    /// Answers an instruction, as the payment system.
    pub fn payment_callback(&self, callback: &Envelope<PaymentCallback>) -> R<PaymentAnswer> {
        self.post("/payment-callbacks", callback)
    }

    /// Makes a webhook endpoint. The secret is shown this once.
    pub fn create_endpoint(&self, url: &str, events: &[&str]) -> R<EndpointCreated> {
        let events = events.iter().map(|e| (*e).to_owned()).collect();
        self.post_as("/v1/webhooks/endpoints", &EndpointRequest { url: url.to_owned(), events })
    }

    /// The caller's endpoints.
    pub fn endpoints(&self) -> R<EndpointList> {
        self.get_as("/v1/webhooks/endpoints")
    }

    /// The caller's deliveries.
    pub fn deliveries(&self) -> R<DeliveryList> {
        self.get_as("/v1/webhooks/deliveries")
    }
}
