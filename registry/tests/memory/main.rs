//! The registry as its users see it: one test binary, one house of actors.

mod books;
mod crash;
mod house;
mod log;
mod papers;
mod queues;
mod refusals;
mod runs;
mod tamper;
