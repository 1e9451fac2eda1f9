//! Webhook endpoints and deliveries.

use serde::{Deserialize, Serialize};

use super::messages;
use crate::id::EndpointId;
use crate::time::Timestamp;

messages! {
    /// Wishes webhooks, or other ones than before.
    EndpointRequest {
        /// Where to; `https:`, or `http:` on loopback in the demo profile.
        url: String,
        /// Event types: a name like `payment.instructed`, a family like `contract.*`, or `*` for all.
        events: Vec<String>,
        /// Whether what concerns one contract comes in the order of the log: the next only after the former was taken or
        /// given up.
        #[serde(default)]
        ordered: bool,
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
    /// Wishes a new secret and key for an endpoint.
    RotateRequest {
        /// Seconds in which the former ones still sign beside the new ones; 0 to 604,800.
        overlap_seconds: u32,
    }
    /// An endpoint has a new secret and key. They are shown this once.
    EndpointRotated {
        /// The endpoint.
        endpoint_id: EndpointId,
        /// `whsec_…` of signature version v1.
        secret: String,
        /// `whpk_…` of signature version v1a.
        public_key: String,
        /// Until when the former ones sign too.
        former_until: Timestamp,
    }
    /// A webhook endpoint, without its secret.
    EndpointView {
        /// The endpoint.
        endpoint_id: EndpointId,
        /// Where to.
        url: String,
        /// Event types.
        events: Vec<String>,
        /// `active`, `paused` or `disabled`.
        state: String,
        /// Whether what concerns one contract comes in the order of the log.
        #[serde(default)]
        ordered: bool,
        /// `whpk_…` of signature version v1a.
        #[serde(default)]
        public_key: String,
        /// Until when a former secret and key sign beside the present ones.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        former_until: Option<Timestamp>,
        /// Since when no delivery has been taken; absent while they are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failing_since: Option<Timestamp>,
        /// Why it was disabled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        disabled_why: Option<String>,
    }
    /// The caller's endpoints.
    EndpointList {
        /// The endpoints.
        endpoints: Vec<EndpointView>,
    }
    /// One attempt of a delivery.
    AttemptView {
        /// When it ended.
        at: Timestamp,
        /// HTTP status; absent where there was no answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// Milliseconds until the answer, or until it was given up.
        millis: u32,
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
        /// Attempts so far; a replay begins anew.
        attempts: u32,
        /// When it is tried next, or was done.
        at: Timestamp,
        /// The delivery.
        #[serde(default)]
        delivery_id: String,
        /// What it is about: a contract, a run, an instruction.
        #[serde(default)]
        subject: String,
        /// HTTP status of the last answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// Milliseconds that the last attempt took.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        millis: Option<u32>,
        /// The beginning of the last answer, as text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<String>,
        /// The newest attempts, oldest first.
        #[serde(default)]
        history: Vec<AttemptView>,
    }
    /// A page of the caller's deliveries, newest first.
    DeliveryList {
        /// The deliveries.
        deliveries: Vec<DeliveryView>,
        /// The cursor of the next page; absent on the last.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    }
    /// Wishes everything since a time once more.
    ReplayRequest {
        /// Messages made at or after this time, delivered or not, also those of before the endpoint was made.
        since: Timestamp,
    }
    /// Wishes what was given up once more.
    RecoverRequest {
        /// Messages made at or after this time; absent for all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
    }
    /// What is sent once more.
    Replayed {
        /// Deliveries that wait again.
        deliveries: u64,
        /// Whether there are more: one call takes 1,000. Call again with `since` of the last one.
        more: bool,
        /// When the newest of these messages was made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    }
}
