//! The main job, from two people with keys to an audited log: in this process, and as the processes of `demo run`.

use std::path::{Path, PathBuf};
use std::process::Command;

use demo::data::{self, Tables};
use demo::house::process::sibling;
use demo::narrate::Narrator;
use demo::outside::{self, Linear};
use demo::{House, TestClock, steps};
use serde_json::Value;

/// The worker without libtorch: everything around the training is as in the demo.
pub fn echo_worker() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_echo-worker"))
}

/// The real worker, where it is built.
pub fn real_worker() -> Option<PathBuf> {
    sibling("ccr-trainer").ok()
}

#[test]
fn the_walk_in_this_process() {
    let tables = data::generate(data::SEED, 300);
    let mut house = House::in_process(TestClock::default().clock(), echo_worker()).unwrap();
    let report = steps::walk(&mut house, &tables, "1.0", &mut Narrator::silent()).unwrap();
    assert_eq!(report.joined_rows, 300);
    assert_eq!(report.payments.len(), 4);
    assert!(report.payments.iter().all(|p| p.state == "settled"));
    assert_eq!(report.webhooks_received, 4);
    assert!(report.audit.verified);
    // Zero weights know nothing: what was measured outside is this model, not the data.
    assert_eq!(report.model.auc, 0.5);
}
