//! The adapter between a contract service and payment systems that the tests play.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod contract;
mod desk;
#[path = "../../../contract-service/tests/desk/drain.rs"]
mod drain;
mod files;
mod found;
mod initiation;
mod keeping;
mod messages;
mod oracle;
mod process;
mod sample;
mod scene;
mod server;
mod slow;
mod systems;
mod told;
