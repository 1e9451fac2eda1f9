//! A thin typed client of the contract service: one function per route, refusals as the service coded them.
//!
//! Blocking; never called from async code. It signs nothing but token requests and checks no signature: what comes
//! back is an envelope or a receipt, and whoever needs certainty verifies it with `signing`. Every POST carries an
//! `Idempotency-Key`, so a call whose answer was lost is simply made again.

mod acted;
mod contracts;
mod datasets;
mod drafts;
mod follow;
mod hook;
mod http;
mod log;
mod money;
mod parties;
mod payments;
mod query;
mod retry;
mod rules;
mod runs;
mod token;
mod webhooks;

pub use acted::Acted;
pub use hook::{Act, Hook, Outgoing};
pub use http::{Client, Clock, Method, system_clock};
pub use webhooks::{EndpointAct, wish};
