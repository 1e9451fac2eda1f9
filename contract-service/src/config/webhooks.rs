//! Delivery of webhooks.

use serde::{Deserialize, Serialize};

/// Delivery of webhooks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhooks {
    /// Seconds before each attempt; after the last one the delivery is dead.
    pub retry_seconds: Vec<u32>,
    /// Seconds that a receiver has for its answer.
    pub timeout_seconds: u64,
    /// Milliseconds between two looks into the outbox.
    pub poll_millis: u64,
}

impl Default for Webhooks {
    fn default() -> Webhooks {
        let retry_seconds = vec![0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400];
        Webhooks { retry_seconds, timeout_seconds: 15, poll_millis: 200 }
    }
}
