//! Webhooks: endpoints at the contract service, and a receiver that stands for the payment system.

pub mod receiver;

use std::path::Path;

use contract_client::Client;
use schemas::desk::{DeliveryView, EndpointCreated, EndpointRequest, EndpointRotated, EndpointView};
use schemas::id::EndpointId;
use schemas::{Code, R, Refusal};
use serde::Serialize;

use crate::edge;
use crate::table::Table;

pub use receiver::{Payer, Receiver, Running};

/// Makes an endpoint and keeps its secret in a new file that its owner alone may read. The secret is shown nowhere else.
pub fn add_endpoint(client: &Client, url: &str, events: &[&str], out: &Path) -> R<EndpointCreated> {
    add(client, &contract_client::wish(url, events, false), out)
}

/// [`add_endpoint`] with all its options.
pub fn add(client: &Client, wish: &EndpointRequest, out: &Path) -> R<EndpointCreated> {
    unused(out)?;
    let created = client.create_endpoint_of(wish)?;
    keep(out, &created)?;
    Ok(created)
}

/// Gives an endpoint a new secret and key, and keeps them in a new file like that of [`add_endpoint`].
pub fn rotate(client: &Client, id: &EndpointId, overlap_seconds: u32, out: &Path) -> R<EndpointRotated> {
    unused(out)?;
    let rotated = client.rotate_endpoint(id, overlap_seconds)?;
    let kept = EndpointCreated {
        endpoint_id: rotated.endpoint_id.clone(),
        secret: rotated.secret.clone(),
        public_key: rotated.public_key.clone(),
    };
    keep(out, &kept)?;
    Ok(rotated)
}

/// Asked before the service: a secret that could not be kept would be lost.
fn unused(out: &Path) -> R<()> {
    if out.exists() { Err(edge::file_fault(out, "exists already")) } else { Ok(()) }
}

fn keep(out: &Path, value: &impl Serialize) -> R<()> {
    let text = serde_json::to_vec(value).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?;
    edge::write_private(out, &text)
}

/// The wish that changes an endpoint in what is given and leaves the rest as it is.
pub fn changed(now: EndpointView, url: Option<String>, events: Vec<String>, ordered: Option<bool>) -> EndpointRequest {
    EndpointRequest {
        url: url.unwrap_or(now.url),
        events: if events.is_empty() { now.events } else { events },
        ordered: ordered.unwrap_or(now.ordered),
    }
}

/// Reads an endpoint file that `add_endpoint` wrote.
pub fn read_endpoint(path: &Path) -> R<EndpointCreated> {
    edge::read_json(path)
}

/// Deliveries as a table.
pub fn table(deliveries: &[DeliveryView]) -> Table<7> {
    let number = |n: Option<u32>| n.map_or_else(|| "–".to_owned(), |n| n.to_string());
    let rows = deliveries.iter().map(|one| {
        let (status, millis) = (number(one.status.map(u32::from)), number(one.millis));
        let (id, event, state) = (one.delivery_id.clone(), one.event.clone(), one.state.clone());
        [id, event, state, one.attempts.to_string(), status, millis, one.at.to_string()]
    });
    Table::new(["delivery", "event", "state", "attempts", "status", "ms", "at"], rows)
        .numbers(&["attempts", "status", "ms"])
}

/// Endpoints as a table.
pub fn endpoint_table(endpoints: &[EndpointView]) -> Table<6> {
    let rows = endpoints.iter().map(|one| {
        let note = match (&one.disabled_why, one.failing_since) {
            (Some(why), _) => format!("disabled: {why}"),
            (None, Some(since)) => format!("nothing was taken since {since}"),
            (None, None) => String::new(),
        };
        let ordered = if one.ordered { "yes" } else { "no" };
        let (id, state) = (one.endpoint_id.to_string(), one.state.clone());
        [id, state, ordered.to_owned(), one.url.clone(), one.events.join(", "), note]
    });
    Table::new(["endpoint", "state", "ordered", "address", "events", "note"], rows)
}
