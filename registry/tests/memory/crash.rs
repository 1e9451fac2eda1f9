//! kill -9: what was acknowledged is there afterwards. A missing fsync is not seen this way, since the page cache
//! survives the process; so the order of system calls is watched too, and `conn` pins `synchronous=FULL`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use registry::{Begun, Registry};
use schemas::Digest;
use schemas::event::Body;
use schemas::party::Kind;
use signing::FileKey;

use crate::database::{URL, url};
use crate::house::{folder, options, start};
use crate::papers;

pub const DIR: &str = "DEPA_REGISTRY_CRASH_DIR";
pub const COUNT: &str = "DEPA_REGISTRY_CRASH_COUNT";
pub const CHILD: [&str; 4] = ["crash::child", "--exact", "--nocapture", "--test-threads=1"];

/// The child: appends, from sixteen threads for ever or from one as often as told, each under an idempotency key of its
/// own, and prints each entry after it was acknowledged and its answer kept.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else {
        return;
    };
    let opening = Instant::now();
    let registry = Registry::open(options(&PathBuf::from(dir)), start()).unwrap();
    // The harness has begun a line of its own.
    let (ms, size) = (opening.elapsed().as_millis(), registry.head().unwrap().size);
    say(&format!("\nopened {ms} {} {size}\n", registry.replayed()));
    let count: Option<u32> = std::env::var(COUNT).ok().map(|n| n.parse().unwrap());
    std::thread::scope(|scope| {
        for _ in 0..count.map_or(16, |_| 1) {
            scope.spawn(|| (0..count.unwrap_or(u32::MAX)).for_each(|_| once(&registry)));
        }
    });
}

/// One request as the service makes it.
fn once(registry: &Registry) {
    let who = FileKey::generate().unwrap();
    let key = who.did().unwrap().to_string();
    let request = Digest::of(key.as_bytes());
    assert_eq!(registry.begin_request("client", "route", &key, &request, start()).unwrap(), Begun::Fresh);
    let application = signing::sign(&papers::participant(&who, Kind::Tdp), &who, start()).unwrap();
    let body = registry.verify(Body::ParticipantApplied { application, resolution: None }).unwrap();
    let receipt = registry.append(body, start()).unwrap().receipt;
    let leaf = receipt.record.leaf().unwrap().to_string();
    registry.finish_request("client", "route", &key, 201, leaf.as_bytes()).unwrap();
    say(&format!("ack {} {leaf} {key}\n", receipt.index));
}

fn say(line: &str) {
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
}

#[test]
fn what_was_acknowledged_survives_twenty_kills() {
    survives(20);
}

#[test]
#[ignore = "long: `sh infra/test.sh full`; DEPA_KILLS says how often"]
fn what_was_acknowledged_survives_a_thousand_kills() {
    survives(std::env::var("DEPA_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(1000));
}

fn survives(kills: u64) {
    let dir = folder();
    // Made before the first kill, so that a child always has somewhere to write.
    drop(Registry::open(options(&dir), start()).unwrap());
    let (mut acknowledged, mut openings) = (Vec::new(), Vec::new());
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
        // One of four is killed at any moment from its start on, one when it has just opened, the others while they write.
        let sign = [None, Some("opened "), Some("ack "), Some("ack ")][(round % 4) as usize];
        let (reached, reaching) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            let tell = |line: &String| {
                if sign.is_some_and(|sign| line.starts_with(sign)) {
                    let _ = reached.send(());
                }
            };
            lines.map_while(Result::ok).inspect(tell).collect::<Vec<_>>()
        });
        if sign.is_some() {
            reaching.recv_timeout(Duration::from_secs(60)).unwrap();
        }
        let random = u64::from(signing::signer::random::<1>().unwrap()[0]);
        // A moment short enough that a thousand of them leave a log that still opens at once.
        std::thread::sleep(Duration::from_millis(random / 4 + round % 20));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in reader.join().unwrap() {
            // A line cut off by the kill is no acknowledgement.
            acknowledged.extend(acknowledgement(&line));
            openings.extend(opened_as(&line));
        }
    }
    assert!(acknowledged.len() as u64 > kills, "the children acknowledged only {} entries", acknowledged.len());
    let opening = Instant::now();
    let registry = Registry::open(options(&dir), start()).unwrap();
    let last = opening.elapsed().as_millis() as u64;
    let (mut entered, mut doubled) = (BTreeMap::new(), 0);
    let size = registry.head().unwrap().size;
    openings.push(Opened { ms: last, replayed: registry.replayed(), size });
    let mut from = 0;
    while from < size {
        for entry in registry.entries(from, registry::MAX_EXPORT).unwrap() {
            from = entry.index + 1;
            if matches!(entry.body, Body::ParticipantApplied { .. }) {
                doubled += usize::from(entered.insert(entry.subject, entry.index).is_some());
            }
        }
    }
    let kept = |(index, leaf, key): &&(u64, String, String)| {
        let same = registry.receipt(*index).is_ok_and(|r| r.record.leaf().is_ok_and(|own| own.to_string() == *leaf));
        let again = registry.begin_request("client", "route", key, &Digest::of(key.as_bytes()), start()).unwrap();
        let answered = again == Begun::Answered { status: 201, answer: leaf.as_bytes().to_vec() };
        same && answered && entered.get(key) == Some(index)
    };
    let lost = acknowledged.len() - acknowledged.iter().filter(kept).count();
    let slowest = openings.iter().map(|o| o.ms).max().unwrap_or_default();
    let replayed = openings.iter().map(|o| o.replayed).max().unwrap_or_default();
    println!(
        "{} acknowledged, {} entered, {lost} lost, {doubled} doubled by {kills} kills under 16 writers; opening took at \
         most {slowest} ms, at last {last} ms with {size} entries, of which at most {replayed} were replayed",
        acknowledged.len(),
        entered.len(),
    );
    assert_eq!((lost, doubled), (0, 0));
    assert_eq!(registry.scrub().unwrap().first_difference, None);
    // However young the processes die, a start replays no more than a thousand entries and what the last one made.
    for (one, next) in openings.iter().zip(openings.iter().skip(1)) {
        assert!(next.replayed < 1_000 + (next.size - one.size), "{} of {} entries replayed", next.replayed, next.size);
    }
    drop(registry);
    std::fs::remove_dir_all(dir).unwrap();
}

/// An opening as a child tells it: how long it took, how much it replayed, how long the log was.
struct Opened {
    ms: u64,
    replayed: u64,
    size: u64,
}

fn opened_as(line: &str) -> Option<Opened> {
    let mut numbers = line.strip_prefix("opened ")?.split(' ').map(|n| n.parse().ok());
    Some(Opened { ms: numbers.next()??, replayed: numbers.next()??, size: numbers.next()?? })
}

fn acknowledgement(line: &str) -> Option<(u64, String, String)> {
    let mut parts = line.strip_prefix("ack ")?.splitn(3, ' ');
    let (index, leaf, key) = (parts.next()?.parse().ok()?, parts.next()?.to_owned(), parts.next()?.to_owned());
    (leaf.len() == 64 && key.len() == "did:key:".len() + 48).then_some((index, leaf, key))
}
