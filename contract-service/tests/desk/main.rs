//! The front desk as its clients see it: real HTTP, one house of actors, one test clock.

// Helpers of tests are tests to us, but not to clippy's `allow-unwrap-in-tests`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod access;
mod catcher;
mod contracts;
mod did_web;
mod form;
mod house;
mod interface;
mod papers;
mod room;
mod runs;
mod transport;
mod walk;
mod webhooks;
mod witness;
