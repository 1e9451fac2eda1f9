//! People at the front desk: real HTTP, a software authenticator, an identity provider of the test's own, one clock.

// Helpers of tests are tests to us, but not to clippy's `allow-unwrap-in-tests`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod authenticator;
mod browser;
#[allow(dead_code)]
#[path = "../desk/catcher.rs"]
mod catcher;
#[path = "../desk/database.rs"]
mod database;
mod enrolment;
#[allow(dead_code)]
#[path = "../desk/house.rs"]
mod house;
#[allow(dead_code)]
#[path = "../desk/http.rs"]
mod http;
mod logs;
mod oidc;
#[allow(dead_code)]
#[path = "../desk/papers.rs"]
mod papers;
mod passkeys;
#[allow(dead_code)]
#[path = "../desk/process.rs"]
mod process;
mod provider;
mod recovery;
mod rights;
mod sessions;
