//! The front desk of the self-regulatory organisation: registers participants, datasets and contracts, admits clean
//! rooms, hands models over against payment, and keeps the transparency log.
//!
//! Read in this order: [`routes`] (the list of everything it does), [`app`] (what a handler has at hand), [`route`]
//! (what a route is), [`openapi`], [`serve`] (HTTP, in one file), then the handlers of one noun each. No handler decides: it reads,
//! asks `policies`, tells `registry`, answers.

mod address;
mod admit;
pub mod app;
mod auth;
mod call;
pub mod cli;
mod clock;
pub mod config;
pub mod croissant;
mod deliver;
mod depa;
pub mod dev_ca;
mod did_web;
mod docs;
mod error;
mod events;
mod idempotency;
mod ids;
pub mod keep;
mod limits;
mod log_keys;
mod metrics;
mod mirror;
pub mod openapi;
pub mod people;
pub mod portal;
pub mod route;
pub mod routes;
mod scitt;
mod serve;
mod service;
mod silence;
mod steps;
pub mod succession;
mod tls;
mod upkeep;
pub mod witness;

pub use app::{Clock, system_clock};
pub use config::{Config, Mode, WitnessConfig, WitnessPeer};
pub use serve::Verb;
pub use service::{Running, Service, init, init_witness, trust};
pub use witness::RunningWitness;
