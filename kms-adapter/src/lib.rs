//! One TDP's key cupboard: it keeps the data keys of its owner and opens them for nobody but a genuine clean room, under
//! a contract in force, within the privacy budget that its owner granted.
//!
//! Read in this order: [`kms`] (the service), [`challenge`], [`judge`] (what reserve and release both ask), [`rules`]
//! (documents in Rego), [`reserve`], [`release`], [`lease`] (renew and commit), [`refund`]; [`kbs`] (the face for stock
//! guests); then [`budget`], [`own_release`] (what is let out outside runs), [`journal`], [`cupboard`] (keys at rest) and [`store`]. [`routes`] only reads bodies and
//! writes answers.
//!
//! Invariants of this room: no outbound call, but to a key backend and a collector of spans that the configuration
//! names; a key is wrapped in
//! [`release`] and, for stock guests, in [`kbs`] alone, in the same transaction that makes its charge final and signs the
//! receipt; a challenge is used up before anything that came with it is verified.

mod audit;
pub mod backend;
mod backup;
mod budget;
mod bundles;
mod catch_up;
mod challenge;
pub mod cli;
pub mod config;
mod cupboard;
mod error;
mod explain;
mod fixed;
mod gap;
mod generation;
mod health;
mod history;
pub mod init;
mod journal;
mod judge;
pub mod kbs;
mod kek;
mod keys;
pub mod kms;
mod lease;
mod ledger;
mod limits;
mod lineage;
mod metrics;
pub mod openapi;
mod own_release;
mod plans;
mod platform;
pub mod recovery;
mod refund;
mod rehearse;
mod release;
mod reserve;
mod restore;
mod root;
mod rotate;
mod routes;
mod rows;
mod rules;
mod run;
mod secret;
mod service;
mod shown;
mod store;
mod tables;
mod verify_log;
mod watch;
mod weights;
mod withdrawn;

pub use audit::JournalHead;
pub use budget::{BudgetView, EventView, LedgerView, ReleaseView};
pub use catch_up::CaughtUp;
pub use config::{Config, Profile};
pub use explain::Explained;
pub use init::{Initialised, init};
pub use keys::Imported;
pub use kms::Kms;
pub use restore::restore;
pub use rotate::{Rotated, rotate_root};
pub use routes::configure;
pub use secret::Secret;
pub use service::{Running, Service};
#[cfg(feature = "software-attester")]
pub use store::Fall;
pub use verify_log::{LogReport, verify_log};

/// Where the time comes from.
pub type Clock = std::sync::Arc<dyn Fn() -> schemas::Timestamp + Send + Sync>;

/// The clock of the machine.
pub fn system_clock() -> Clock {
    std::sync::Arc::new(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        schemas::Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    })
}
