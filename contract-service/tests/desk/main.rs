//! The front desk as its clients see it: real HTTP, one house of actors, one test clock.

// Helpers of tests are tests to us, but not to clippy's `allow-unwrap-in-tests`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod access;
mod bound;
mod catcher;
mod contract_life;
mod contracts;
mod conventions;
mod database;
mod did_web;
mod events;
mod form;
mod golden;
mod house;
mod http;
mod injection;
mod interface;
mod interop;
mod log;
mod log_key;
mod matrix;
mod operation;
mod papers;
mod platform;
mod processes;
mod readings;
mod register;
mod renewals;
mod restore;
mod room;
mod runs;
mod schemathesis;
mod scitt;
mod strangers;
mod tls;
mod transport;
mod walk;
mod webhooks;
mod wire;
mod witness;
