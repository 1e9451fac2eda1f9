//! The payment service provider: is told by webhook what to pay, pays nothing real, and answers as if it had.

use std::path::PathBuf;

use schemas::R;
use schemas::desk::EndpointCreated;

use super::Person;

/// The demo's payment system.
#[derive(Debug)]
pub struct Psp {
    /// Who it is.
    pub person: Person,
}

impl Psp {
    /// Makes its webhook endpoint; the secret stays in its own folder.
    pub fn subscribe(&self, url: &str) -> R<EndpointCreated> {
        depa::webhook::add_endpoint(self.person.desk()?, url, &["payment.instructed"], &self.endpoint_file())
    }

    /// Where the endpoint with its secret is kept.
    pub fn endpoint_file(&self) -> PathBuf {
        self.person.dir.join("endpoint.json")
    }

    /// Where every delivery is kept before it is acknowledged.
    pub fn journal(&self) -> PathBuf {
        self.person.dir.join("webhooks.jsonl")
    }

    /// How many deliveries were received, each id once.
    pub fn received(&self) -> usize {
        let text = std::fs::read_to_string(self.journal()).unwrap_or_default();
        let id = |line: &str| {
            let value: serde_json::Value = serde_json::from_str(line).ok()?;
            value.get("id")?.as_str().map(str::to_owned)
        };
        text.lines().filter_map(id).collect::<std::collections::BTreeSet<_>>().len()
    }
}
