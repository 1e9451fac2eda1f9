//! Webhook endpoints and deliveries.

use schemas::desk::{
    DeliveryList, DeliveryView, EndpointCreated, EndpointList, EndpointRequest, EndpointRotated, EndpointView,
    RecoverRequest, ReplayRequest, Replayed, RotateRequest,
};
use schemas::id::EndpointId;
use schemas::{R, Timestamp};
use serde::Serialize;
use serde_json::json;

use crate::http::{Answer, Call, Client, Method, read};
use crate::parties::segment;
use crate::query::query;

/// What becomes of an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndpointAct {
    /// Messages wait.
    Pause,
    /// Switched on again, paused or disabled.
    Resume,
    /// Switched off.
    Disable,
}

impl Client {
    /// Makes a webhook endpoint. The secret is shown this once.
    pub fn create_endpoint(&self, url: &str, events: &[&str]) -> R<EndpointCreated> {
        self.create_endpoint_of(&wish(url, events, false))
    }

    /// [`Client::create_endpoint`] with all its options.
    pub fn create_endpoint_of(&self, wish: &EndpointRequest) -> R<EndpointCreated> {
        self.post_as("/v1/webhooks/endpoints", wish)
    }

    /// The caller's endpoints.
    pub fn endpoints(&self) -> R<EndpointList> {
        self.get_as("/v1/webhooks/endpoints")
    }

    /// One of the caller's endpoints.
    pub fn endpoint(&self, id: &EndpointId) -> R<EndpointView> {
        self.get_as(&path(id, ""))
    }

    /// Gives an endpoint another address, other events, another order.
    pub fn change_endpoint(&self, id: &EndpointId, wish: &EndpointRequest) -> R<EndpointView> {
        read(self.changed(Method::Put, id, "", wish)?)
    }

    /// Pauses an endpoint, switches it on or off.
    pub fn switch_endpoint(&self, id: &EndpointId, act: EndpointAct) -> R<EndpointView> {
        let act = match act {
            EndpointAct::Pause => "/pause",
            EndpointAct::Resume => "/resume",
            EndpointAct::Disable => "/disable",
        };
        read(self.changed(Method::Post, id, act, &json!({}))?)
    }

    /// Forgets an endpoint with its deliveries.
    pub fn delete_endpoint(&self, id: &EndpointId) -> R<()> {
        self.changed(Method::Delete, id, "", &json!({})).map(drop)
    }

    /// A new secret and key for an endpoint; the former ones sign beside them for so many seconds. Shown this once.
    pub fn rotate_endpoint(&self, id: &EndpointId, overlap_seconds: u32) -> R<EndpointRotated> {
        read(self.changed(Method::Post, id, "/rotate", &RotateRequest { overlap_seconds })?)
    }

    /// Sends an endpoint a test.
    pub fn ping_endpoint(&self, id: &EndpointId) -> R<DeliveryView> {
        self.post_as(&path(id, "/ping"), &json!({}))
    }

    /// Sends an endpoint everything since a time once more.
    pub fn replay_endpoint(&self, id: &EndpointId, since: Timestamp) -> R<Replayed> {
        self.post_as(&path(id, "/replay"), &ReplayRequest { since })
    }

    /// Sends an endpoint what was given up once more.
    pub fn recover_endpoint(&self, id: &EndpointId, since: Option<Timestamp>) -> R<Replayed> {
        self.post_as(&path(id, "/recover"), &RecoverRequest { since })
    }

    /// The caller's newest deliveries.
    pub fn deliveries(&self) -> R<DeliveryList> {
        self.get_as("/v1/webhooks/deliveries")
    }

    /// A page of the caller's deliveries: of one endpoint, in one state, at most so many, from a cursor on.
    pub fn deliveries_of(
        &self,
        endpoint: Option<&EndpointId>,
        state: Option<&str>,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> R<DeliveryList> {
        let parameters = [
            ("endpoint", endpoint.map(EndpointId::to_string)),
            ("state", state.map(str::to_owned)),
            ("limit", limit.map(|limit| limit.to_string())),
            ("cursor", cursor.map(str::to_owned)),
        ];
        self.get_as(&format!("/v1/webhooks/deliveries{}", query(&parameters)))
    }

    /// One of the caller's deliveries, with its attempts.
    pub fn delivery(&self, id: &str) -> R<DeliveryView> {
        self.get_as(&format!("/v1/webhooks/deliveries/{}", segment(id)))
    }

    /// Sends a delivery once more.
    pub fn replay_delivery(&self, id: &str) -> R<DeliveryView> {
        self.post_as(&format!("/v1/webhooks/deliveries/{}/replay", segment(id)), &json!({}))
    }

    /// A change of an endpoint as it stands now: read, then changed under its tag.
    fn changed<B: Serialize>(&self, method: Method, id: &EndpointId, act: &str, body: &B) -> R<Answer> {
        let seen = self.call(&Call::get(&path(id, "")).with_token())?;
        let to = path(id, act);
        let call = match method {
            Method::Delete => Call { method, ..Call::get(&to).with_token() },
            _ => Call { method, ..self.posted(&to, body, true)? },
        };
        self.call(&Call { if_match: seen.etag.as_deref(), ..call })
    }
}

/// A wish for an endpoint.
pub fn wish(url: &str, events: &[&str], ordered: bool) -> EndpointRequest {
    let events = events.iter().map(|event| (*event).to_owned()).collect();
    EndpointRequest { url: url.to_owned(), events, ordered }
}

fn path(id: &EndpointId, act: &str) -> String {
    format!("/v1/webhooks/endpoints/{id}{act}")
}
