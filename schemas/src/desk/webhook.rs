//! Webhook endpoints and deliveries.

use serde::{Deserialize, Serialize};

use super::messages;
use crate::id::EndpointId;
use crate::time::Timestamp;

messages! {
    /// Wishes webhooks.
    EndpointRequest {
        /// Where to; `https:`, or `http:` on loopback in the demo profile.
        url: String,
        /// Event types, like `payment.instructed`.
        events: Vec<String>,
    }
    /// A webhook endpoint was made. The secret is shown this once.
    EndpointCreated {
        /// The endpoint.
        endpoint_id: EndpointId,
        /// `whsec_…` of signature version v1.
        secret: String,
        /// `whpk_…` of signature version v1a.
        public_key: String,
    }
    /// A webhook endpoint, without its secret.
    EndpointView {
        /// The endpoint.
        endpoint_id: EndpointId,
        /// Where to.
        url: String,
        /// Event types.
        events: Vec<String>,
        /// `active` or `disabled`.
        state: String,
    }
    /// The caller's endpoints.
    EndpointList {
        /// The endpoints.
        endpoints: Vec<EndpointView>,
    }
    /// One delivery of a webhook.
    DeliveryView {
        /// The message id; receivers use it as idempotency key.
        message_id: String,
        /// The endpoint.
        endpoint_id: EndpointId,
        /// The event type.
        event: String,
        /// `pending`, `delivered` or `dead`.
        state: String,
        /// Attempts so far.
        attempts: u32,
        /// When it is tried next, or was done.
        at: Timestamp,
    }
    /// The caller's deliveries, newest first.
    DeliveryList {
        /// The deliveries.
        deliveries: Vec<DeliveryView>,
    }
}
