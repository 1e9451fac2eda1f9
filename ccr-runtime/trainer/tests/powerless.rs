//! What a worker of a group can no longer do once it has its interface. Shown in a user namespace that `unshare(1)` makes
//! around this test's own binary, since one with a second thread makes none. NOT RUN where the machine lends none.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::process::Command;

use ccr_trainer::confine;
use collective::network::Interface;
use schemas::Code;

const INSIDE: &str = "DEPA_TEST_INSIDE";

/// The capability sets of this thread, as proc(5) writes them.
fn sets() -> Vec<String> {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    status.lines().filter_map(|line| line.strip_prefix("Cap")).map(str::to_owned).collect()
}

/// No test of its own: what the process of the next one runs.
#[test]
fn inside() {
    if std::env::var(INSIDE).is_err() {
        return;
    }
    confine::powerless().unwrap();
    Interface::of(0).map(drop).unwrap(); // nothing was shut yet, so nothing was given up
    confine::confine();
    confine::apart().unwrap();
    for rank in [0, 1] {
        // It goes with its value, and can be made again.
        drop(Interface::of(rank).unwrap());
    }
    assert!(sets().iter().any(|set| set.starts_with("Eff:") && !set.ends_with(&"0".repeat(16))), "{:?}", sets());
    confine::powerless().unwrap();
    assert_eq!(Interface::of(0).unwrap_err().code, Code::WorkerFailed);
    let left = std::thread::spawn(sets).join().unwrap();
    assert_eq!(left, sets());
    for set in ["Inh", "Prm", "Eff", "Bnd", "Amb"] {
        assert!(left.contains(&format!("{set}:\t{}", "0".repeat(16))), "{left:?}");
    }
    println!("POWERLESS");
}

#[test]
fn a_worker_that_gave_up_its_capabilities_makes_no_interface() {
    let test = "a_worker_that_gave_up_its_capabilities_makes_no_interface";
    let device = std::fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun");
    let around = ["--user", "--map-root-user", "--net"];
    let may = Command::new("unshare").args(around).arg("true").output();
    if device.is_err() || !may.is_ok_and(|output| output.status.success()) {
        return println!("NOT RUN {test}: this machine lends no network devices or user namespaces");
    }
    let inside = Command::new("unshare")
        .args(around)
        .arg(std::env::current_exe().unwrap())
        .args(["inside", "--exact", "--nocapture"])
        .env(INSIDE, "yes")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&inside.stdout);
    assert!(said.contains("POWERLESS"), "{said}{}", String::from_utf8_lossy(&inside.stderr));
}
