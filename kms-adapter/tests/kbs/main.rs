//! The KBS face over HTTP, as a stock confidential-container guest speaks to it; one thing is spoilt at a time.
#![cfg(feature = "software-attester")]
// Some helpers serve the tests of the run protocol.
#![allow(
    missing_docs,
    dead_code,
    unused_imports,
    clippy::option_env_unwrap,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

#[path = "../kms/database.rs"]
mod database;
mod fetch;
mod form;
mod guest;
mod refusals;
#[path = "../kms/support/mod.rs"]
mod support;
