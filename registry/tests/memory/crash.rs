//! kill -9: what was acknowledged is there afterwards. A missing fsync is not seen this way, since the page cache
//! survives the process; so the order of system calls is watched too, and `conn` pins `synchronous=FULL`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use registry::Registry;
use schemas::event::Body;
use schemas::party::Kind;
use signing::FileKey;

use crate::database::{URL, url};
use crate::house::{folder, options, start};
use crate::papers;

pub const DIR: &str = "DEPA_REGISTRY_CRASH_DIR";
pub const COUNT: &str = "DEPA_REGISTRY_CRASH_COUNT";
pub const CHILD: [&str; 4] = ["crash::child", "--exact", "--nocapture", "--test-threads=1"];

/// The child: appends, from four threads for ever or from one as often as told, and prints each entry after it was
/// acknowledged.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else {
        return;
    };
    let registry = Registry::open(options(&PathBuf::from(dir)), start()).unwrap();
    let count: Option<u32> = std::env::var(COUNT).ok().map(|n| n.parse().unwrap());
    std::thread::scope(|scope| {
        for _ in 0..count.map_or(4, |_| 1) {
            scope.spawn(|| {
                for _ in 0..count.unwrap_or(u32::MAX) {
                    let who = FileKey::generate().unwrap();
                    let application = signing::sign(&papers::participant(&who, Kind::Tdp), &who, start()).unwrap();
                    let body = registry.verify(Body::ParticipantApplied { application, resolution: None }).unwrap();
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
    survives(20);
}

#[test]
#[ignore = "long: `sh infra/test.sh full`"]
fn what_was_acknowledged_survives_three_hundred_kills() {
    survives(300);
}

fn survives(kills: u64) {
    let dir = folder();
    let mut acknowledged: Vec<(u64, String)> = Vec::new();
    for round in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(CHILD)
            .env(DIR, &dir)
            .env(URL, url(&dir))
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
        std::thread::sleep(Duration::from_millis(150 + random + round % 20));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(reader.join().unwrap());
    }
    assert!(acknowledged.len() as u64 > kills, "the children acknowledged only {} entries", acknowledged.len());
    let registry = Registry::open(options(&dir), start()).unwrap();
    for (index, leaf) in &acknowledged {
        let receipt = registry.receipt(*index).unwrap();
        assert_eq!(receipt.record.leaf().unwrap().to_string(), *leaf, "entry {index}");
    }
    println!("{} acknowledged entries survived {kills} kills", acknowledged.len());
    drop(registry);
    std::fs::remove_dir_all(dir).unwrap();
}
