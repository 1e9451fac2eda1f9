//! Webhooks: endpoints at the contract service, and a receiver that stands for the payment system.

pub mod receiver;

use std::path::Path;

use contract_client::Client;
use schemas::desk::{DeliveryList, EndpointCreated, EndpointList};
use schemas::{Code, R, Refusal};

use crate::edge;

pub use receiver::{Payer, Receiver, Running};

/// Makes an endpoint and keeps its secret in a new file that its owner alone may read. The secret is shown nowhere else.
pub fn add_endpoint(client: &Client, url: &str, events: &[&str], out: &Path) -> R<EndpointCreated> {
    if out.exists() {
        return Err(edge::file_fault(out, "exists already"));
    }
    let created = client.create_endpoint(url, events)?;
    let text = serde_json::to_vec(&created).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?;
    edge::write_private(out, &text)?;
    Ok(created)
}

/// The caller's endpoints.
pub fn endpoints(client: &Client) -> R<EndpointList> {
    client.endpoints()
}

/// The caller's deliveries.
pub fn deliveries(client: &Client) -> R<DeliveryList> {
    client.deliveries()
}

/// Reads an endpoint file that `add_endpoint` wrote.
pub fn read_endpoint(path: &Path) -> R<EndpointCreated> {
    edge::read_json(path)
}
