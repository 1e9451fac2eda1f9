//! The key service once more, on a throw-away PostgreSQL cluster.
#![cfg(feature = "software-attester")]
// Some helpers serve modules that are about SQLite's file.
#![allow(missing_docs, dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../kms/budget.rs"]
mod budget;
mod database;
mod failover;
#[path = "../kms/own_releases.rs"]
mod own_releases;
#[path = "../../../registry/tests/memory/postgres.rs"]
mod postgres;
#[path = "../kms/race.rs"]
mod race;
#[path = "../kms/release.rs"]
mod release;
#[path = "../kms/repeat.rs"]
mod repeat;
mod shared;
#[path = "../kms/support/mod.rs"]
mod support;
#[path = "../kms/walk.rs"]
mod walk;
