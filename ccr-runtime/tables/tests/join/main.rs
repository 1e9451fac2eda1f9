//! Tables to rows: the engine against a plain restatement of its rules, and what hostile cells change.
#![allow(clippy::unwrap_used, reason = "tests")]

mod cells;
mod counts;
mod house;
mod oracle;
mod pictures;
mod united;
