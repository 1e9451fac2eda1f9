//! Rehearsals of the whole house: the walk, the quality of its result, and who may depend on whom.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod clients;
mod conformance;
mod consent;
mod docs;
mod lab;
mod layering;
mod money;
mod payments;
mod quality;
mod refusals;
mod rooms;
mod scenarios;
mod tuning;
mod typed;
mod upgrade;
mod walk;

use std::path::{Path, PathBuf};

/// The worker without libtorch: it speaks the protocol and learns nothing. Everything around the training is real.
pub fn echo_worker() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_echo-worker"))
}

/// The real worker, where it is built.
pub fn real_worker() -> Option<PathBuf> {
    demo::house::process::sibling("ccr-trainer").ok()
}

/// Says that a test could not run on this machine; `infra/test.sh` lists these at the end.
pub fn not_run(test: &str, why: &str) {
    println!("NOT RUN {test}: {why}");
}
