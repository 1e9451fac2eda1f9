//! The order of system calls: nothing is acknowledged before its bytes are on the disk.

use std::process::{Command, Stdio};

use crate::crash::{CHILD, COUNT, DIR};
use crate::house::folder;

/// No acknowledgement while the database has bytes that are not synced (threats F4). One caller at a time, since with
/// several another commit's bytes would look like a failure.
#[test]
fn nothing_is_acknowledged_before_it_is_synced() {
    let dir = folder();
    let trace = dir.join("trace");
    let ran = Command::new("strace")
        .args(["-f", "-y", "-s", "8", "-e", "trace=pwrite64,pwritev,write,writev,fsync,fdatasync", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(CHILD)
        .env(DIR, &dir)
        .env(COUNT, "20")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let text = std::fs::read_to_string(&trace).unwrap_or_default();
    std::fs::remove_dir_all(dir).unwrap();
    if !ran.is_ok_and(|status| status.success()) {
        println!("NOT RUN no_answer_before_its_bytes_are_synced: strace is not here or may not trace");
        return;
    }
    let (acknowledged, early) = judge(&text);
    assert_eq!((acknowledged, early), (20, 0), "acknowledged, and of these too early");
    let unsynced: String = text.lines().filter(|l| !l.contains("sync")).map(|l| format!("{l}\n")).collect();
    assert_eq!(judge(&unsynced), (20, 20), "the oracle sees a missing sync");
}

/// Counts acknowledgements in a trace, and those made while a database file had unsynced bytes.
fn judge(trace: &str) -> (u32, u32) {
    let (mut dirty, mut acknowledged, mut early) = (false, 0, 0);
    for line in trace.lines() {
        let database = line.contains("registry.db>") || line.contains("registry.db-wal>");
        if line.contains("\"ack ") {
            acknowledged += 1;
            early += u32::from(dirty);
        } else if line.contains("sync resumed") || (line.contains("sync(") && database && !line.contains("unfinished"))
        {
            dirty = false;
        } else if line.contains("write") && database {
            dirty = true;
        }
    }
    (acknowledged, early)
}
