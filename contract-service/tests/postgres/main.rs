//! The front desk once more, on a throw-away PostgreSQL cluster; and two services on one database.

// Helpers of tests are tests to us, but not to clippy's `allow-unwrap-in-tests`. Some helpers serve modules that are about
// SQLite's files or not about the database at all, and run on SQLite alone.
#![allow(clippy::unwrap_used, clippy::panic, dead_code)]

#[path = "../desk/access.rs"]
mod access;
#[path = "../desk/bound.rs"]
mod bound;
#[path = "../desk/catcher.rs"]
mod catcher;
#[path = "../desk/contract_life.rs"]
mod contract_life;
#[path = "../desk/contracts.rs"]
mod contracts;
#[path = "../desk/conventions.rs"]
mod conventions;
mod database;
#[path = "../desk/did_web.rs"]
mod did_web;
#[path = "../desk/events.rs"]
mod events;
#[path = "../desk/form.rs"]
mod form;
#[path = "../desk/house.rs"]
mod house;
#[path = "../desk/http.rs"]
mod http;
#[path = "../desk/injection.rs"]
mod injection;
mod killed;
#[path = "../desk/log.rs"]
mod log;
#[path = "../desk/log_key.rs"]
mod log_key;
#[path = "../desk/matrix.rs"]
mod matrix;
#[path = "../desk/operation.rs"]
mod operation;
#[path = "../desk/papers.rs"]
mod papers;
#[path = "../desk/platform.rs"]
mod platform;
#[path = "../../../registry/tests/memory/postgres.rs"]
mod postgres;
#[path = "../desk/readings.rs"]
mod readings;
#[path = "../desk/register.rs"]
mod register;
#[path = "../desk/restore.rs"]
mod restore;
#[path = "../desk/room.rs"]
mod room;
#[path = "../desk/runs.rs"]
mod runs;
#[path = "../desk/scitt.rs"]
mod scitt;
mod several;
#[path = "../desk/transport.rs"]
mod transport;
#[path = "../desk/walk.rs"]
mod walk;
#[path = "../desk/webhook_crash.rs"]
mod webhook_crash;
#[path = "../desk/webhook_endpoints.rs"]
mod webhook_endpoints;
#[path = "../desk/webhooks.rs"]
mod webhooks;
#[path = "../desk/wire.rs"]
mod wire;
#[path = "../desk/witness.rs"]
mod witness;
