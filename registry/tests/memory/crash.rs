//! kill -9: what was acknowledged is there afterwards. (A missing fsync is not seen this way, since the page cache
//! survives the process; `conn` pins `synchronous=FULL` in a test of its own.)

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use registry::Registry;
use schemas::event::Body;
use schemas::party::Kind;
use signing::FileKey;

use crate::house::{folder, options, start};
use crate::papers;

const DIR: &str = "DEPA_REGISTRY_CRASH_DIR";

/// The child: appends from four threads for ever, and prints each entry after it was acknowledged.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else {
        return;
    };
    let registry = Registry::open(options(&PathBuf::from(dir)), start()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let who = FileKey::generate().unwrap();
                    let application = signing::sign(&papers::participant(&who, Kind::Tdp), &who, start()).unwrap();
                    let body = registry.verify(Body::ParticipantApplied { application, did_document: None }).unwrap();
                    let receipt = registry.append(body, start()).unwrap().receipt;
                    let line = format!("ack {} {}\n", receipt.index, receipt.record.leaf().unwrap());
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                    std::io::stdout().flush().unwrap();
                }
            });
        }
    });
}

#[test]
fn what_was_acknowledged_survives_twenty_kills() {
    let dir = folder();
    let mut acknowledged: Vec<(u64, String)> = Vec::new();
    for round in 0..20u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["crash::child", "--exact", "--nocapture", "--test-threads=1"])
            .env(DIR, &dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let reader = std::thread::spawn(move || {
            let ack = |line: String| {
                let (index, leaf) = line.strip_prefix("ack ")?.split_once(' ')?;
                // A line cut off by the kill is no acknowledgement.
                (leaf.len() == 64).then(|| Some((index.parse().ok()?, leaf.to_owned())))?
            };
            lines.map_while(Result::ok).filter_map(ack).collect::<Vec<_>>()
        });
        let random = u64::from(signing::signer::random::<1>().unwrap()[0]);
        std::thread::sleep(Duration::from_millis(150 + random + round));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(reader.join().unwrap());
    }
    assert!(acknowledged.len() > 20, "the children acknowledged only {} entries", acknowledged.len());
    let registry = Registry::open(options(&dir), start()).unwrap();
    for (index, leaf) in &acknowledged {
        let receipt = registry.receipt(*index).unwrap();
        assert_eq!(receipt.record.leaf().unwrap().to_string(), *leaf, "entry {index}");
    }
    println!("{} acknowledged entries survived 20 kills", acknowledged.len());
    drop(registry);
    std::fs::remove_dir_all(dir).unwrap();
}
