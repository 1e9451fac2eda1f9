//! The registry as its users see it: one test binary, one house of actors.

// Helpers of tests are tests to us, but not to clippy's `allow-unwrap-in-tests`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod books;
mod crash;
mod database;
mod forged;
mod house;
mod locked;
mod log;
mod log_key;
mod lost;
mod papers;
mod people;
mod queues;
mod racing;
mod refusals;
mod refused_runs;
mod runs;
mod synced;
mod tamper;
mod walks;
mod ways_back;
mod webhooks;
