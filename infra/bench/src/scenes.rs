//! The figures, one scene each.

mod append;
mod audit;
mod bundle;
mod connections;
mod reads;
mod restart;
pub mod signature;
mod single;

use std::time::Duration;

use schemas::R;

use crate::peers::Peers;
use crate::rows::Row;

/// How much is measured.
pub struct Plan {
    /// Seconds of load for each figure.
    pub seconds: u64,
    /// Entries of the audited log.
    pub entries: u64,
    /// Connections held open.
    pub connections: usize,
}

impl Plan {
    /// The load's duration.
    pub fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

type Scene = fn(&Plan, &Peers) -> R<Vec<Row>>;

/// Every scene by its name.
pub const ALL: &[(&str, Scene)] = &[
    ("append", append::measure),
    ("signature", signature::measure),
    ("single", single::measure),
    ("reads", reads::measure),
    ("bundle", bundle::measure),
    ("audit", audit::measure),
    ("restart", restart::measure),
    ("connections", connections::measure),
];
