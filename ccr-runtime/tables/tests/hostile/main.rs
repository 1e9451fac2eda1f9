//! Hostile files: each is read in a process of its own that may use five seconds of processor time, and ends in its code
//! with at most 512 MiB of memory.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod files;
mod limits;
mod mutations;
