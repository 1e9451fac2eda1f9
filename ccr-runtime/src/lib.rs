//! The sealed room's warden: it judges a job, proves itself, gets keys, opens data, has the worker train, and lets
//! nothing out but the sealed model and the completion.
//!
//! [`run`](run::run) is the walk, top to bottom. No tensor here: `ccr-trainer` has libtorch but no key and no network;
//! this process has keys and network but no libtorch.

pub mod admit;
pub mod attester;
pub mod checkpoint;
pub mod config;
pub mod fetch;
pub mod group;
pub mod keys;
pub mod kms;
pub mod lease;
#[cfg(feature = "software-attester")]
pub mod measure;
pub mod open;
pub mod output;
mod registry_word;
pub mod report;
pub mod room;
pub mod run;
pub mod second_gate;
pub mod secret;
pub mod session;
pub mod steps;
pub mod trace;
pub mod upload;
pub mod weights;
pub mod worker;

pub use config::Config;
pub use room::{Clock, Progress, Room};
pub use run::{Completed, run};
