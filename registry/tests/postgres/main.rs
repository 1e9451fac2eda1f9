//! The registry's tests once more, on a throw-away PostgreSQL cluster; and what several processes on one log do.

// Helpers of tests are tests to us, but not to clippy's `allow-unwrap-in-tests`.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../memory/books.rs"]
mod books;
#[path = "../memory/crash.rs"]
mod crash;
mod database;
#[path = "../memory/forged.rs"]
mod forged;
#[path = "../memory/house.rs"]
mod house;
#[path = "../memory/log.rs"]
mod log;
#[path = "../memory/papers.rs"]
mod papers;
#[path = "../memory/people.rs"]
mod people;
#[path = "../memory/postgres.rs"]
mod postgres;
#[path = "../memory/queues.rs"]
mod queues;
#[path = "../memory/racing.rs"]
mod racing;
#[path = "../memory/refusals.rs"]
mod refusals;
#[path = "../memory/refused_runs.rs"]
mod refused_runs;
#[path = "../memory/runs.rs"]
mod runs;
mod several;
#[path = "../memory/ways_back.rs"]
mod ways_back;
#[path = "../memory/webhooks.rs"]
mod webhooks;
