//! The payment adapter of a payment service provider that has no system of its own.
//!
//! The contract service holds no credentials of a bank. It tells what is to be paid by a signed webhook; [`receive`]
//! checks it and keeps the instruction before it answers. [`engine`] hands each instruction to the payment system behind
//! one trait, [`provider::PaymentProvider`], keeps what the payment system tells, and answers the contract service by a
//! signed callback until that is taken. Every step is written before it is made and can be made again: the instruction's
//! id is the payment system's idempotency key, so that a process that is killed anywhere pays nothing twice.

pub mod accounts;
mod answer;
mod backup;
pub mod cli;
pub mod config;
pub mod engine;
mod http;
pub mod import;
pub mod instruction;
pub mod iso;
mod mac;
mod metrics;
pub mod money;
pub mod provider;
mod receive;
mod secret;
mod serve;
mod status;
mod store;
mod tables;

pub use backup::{Checked, backup, check, restore};
pub use config::Config;
pub use engine::Engine;
pub use provider::{Batch, News, PaymentProvider};
pub use serve::{Running, start};
pub use status::{AnswerStatus, InstructionStatus, Status, UnmatchedStatus};
