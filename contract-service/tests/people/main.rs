//! People at the front desk: real HTTP, a software authenticator, an identity provider of the test's own, one clock.

// Helpers of tests are tests to us, but not to clippy's `allow-unwrap-in-tests`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod authenticator;
mod browser;
#[path = "../desk/database.rs"]
mod database;
mod enrolment;
#[allow(dead_code)]
#[path = "../desk/house.rs"]
mod house;
mod oidc;
#[allow(dead_code)]
#[path = "../desk/papers.rs"]
mod papers;
mod passkeys;
mod provider;
mod recovery;
mod rights;
mod sessions;
