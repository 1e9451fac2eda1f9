//! One key service over HTTP, in a world of its own per test; one thing is spoilt at a time.
#![cfg(feature = "software-attester")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod budget;
mod collector;
mod credential;
mod database;
#[path = "../../../contract-service/tests/desk/drain.rs"]
mod drain;
mod evidence;
mod falls;
mod forged;
mod form;
mod interface;
mod keeping;
mod log_key;
mod own_releases;
mod papers;
mod platform;
mod process;
mod put_back;
mod quorum;
mod race;
mod release;
mod renewal;
mod repeat;
mod rotation;
mod rows;
mod rules;
mod started;
mod store;
mod support;
mod told;
mod walk;
mod weights;
