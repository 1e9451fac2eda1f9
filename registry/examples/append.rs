//! How fast entries are made: `cargo run --release -p registry --example append [ENTRIES]`.
//!
//! Anchored digests and contract signatures, each counted when its receipt under a signed checkpoint has arrived, on
//! SQLite with full synchronisation (or on the database that DEPA_REGISTRY_TEST_URL names); then a restart. Prints.

// Helpers of tests are tests to us, but not to clippy's `allow-unwrap-in-tests`.
#![allow(clippy::unwrap_used, clippy::panic, dead_code)]

#[path = "../tests/memory/database.rs"]
mod database;
#[path = "../tests/memory/house.rs"]
mod house;
#[path = "../tests/memory/papers.rs"]
mod papers;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use house::{House, start};
use schemas::Digest;
use schemas::event::Body;

/// Callers, each with so many entries on the way.
const CALLERS: usize = 4;
const WINDOW: usize = 128;

fn main() {
    let entries: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(200_000);
    let mut house = House::furnished();
    one_by_one(&house);
    anchors(&house, entries);
    signatures(&house, 3_000);
    let size = house.registry.head().unwrap().size;
    let closing = Instant::now();
    house.reopen().unwrap();
    let (all, replayed) = (closing.elapsed().as_secs_f64(), house.registry.replayed());
    println!("closing and opening a log of {size} entries: {all:.2} s, {replayed} replayed");
}

fn report(what: &str, count: usize, took: Duration, mut waits: Vec<Duration>) {
    waits.sort();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    println!(
        "{what}: {:.0}/s, {count} in {:.2} s, p50 {:.2} ms, p99 {:.2} ms",
        count as f64 / took.as_secs_f64(),
        took.as_secs_f64(),
        at(0.5),
        at(0.99)
    );
}

fn anchor(house: &House, n: usize) -> schemas::envelope::Verified<Body> {
    let by = house.tdps[0].did().unwrap();
    house.registry.verify(Body::DigestAnchored { by, sha256: Digest::of(&n.to_be_bytes()) }).unwrap()
}

fn one_by_one(house: &House) {
    let (began, mut waits) = (Instant::now(), Vec::new());
    for n in 0..500 {
        let asked = Instant::now();
        house.registry.append(anchor(house, n), start()).unwrap();
        waits.push(asked.elapsed());
    }
    report("anchors, one caller that waits", 500, began.elapsed(), waits);
}

fn anchors(house: &House, entries: usize) {
    let began = Instant::now();
    let waits = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|c| scope.spawn(move || caller(house, c, entries / CALLERS))).collect();
        callers.into_iter().flat_map(|c| c.join().unwrap()).collect::<Vec<_>>()
    });
    let what = format!("anchors with receipt, {CALLERS} callers with {WINDOW} on the way each");
    report(&what, waits.len(), began.elapsed(), waits);
}

fn caller(house: &House, caller: usize, entries: usize) -> Vec<Duration> {
    let (sender, answers) = sync_channel(WINDOW);
    let (mut waits, mut sent) = (Vec::with_capacity(entries), 0);
    while waits.len() < entries {
        while sent < entries && sent - waits.len() < WINDOW {
            let (sender, asked) = (sender.clone(), Instant::now());
            house.registry.append_then(anchor(house, caller * entries + sent), start(), move |entry| {
                sender.send((entry.unwrap().receipt.path.len(), asked.elapsed())).unwrap();
            });
            sent += 1;
        }
        let (path, wait) = answers.recv().unwrap();
        assert!(path > 0);
        waits.push(wait);
    }
    waits
}

fn signatures(house: &House, contracts: usize) {
    let signers = [&house.tdps[0], &house.tdps[1], &house.ccrp];
    let made = Instant::now();
    let bodies: Vec<Vec<Body>> = (0..contracts)
        .map(|_| {
            let contract = house.propose(&house.draft()).unwrap();
            signers.iter().map(|who| house.signature(&contract, who)).collect()
        })
        .collect();
    report("contracts proposed one by one", contracts, made.elapsed(), vec![made.elapsed() / contracts as u32]);
    let (next, began) = (AtomicUsize::new(0), Instant::now());
    let work = || {
        let (sender, answers) = sync_channel(3);
        let mut waits = Vec::new();
        while let Some(bodies) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
            for body in bodies {
                let (sender, asked) = (sender.clone(), Instant::now());
                let body = house.registry.verify(body.clone()).unwrap();
                house.registry.append_then(body, start(), move |entry| {
                    sender.send((entry.unwrap().receipt.path.len(), asked.elapsed())).unwrap();
                });
            }
            waits.extend((0..bodies.len()).map(|_| answers.recv().unwrap().1));
        }
        waits
    };
    let waits = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..48).map(|_| scope.spawn(work)).collect();
        callers.into_iter().flat_map(|c| c.join().unwrap()).collect::<Vec<_>>()
    });
    report("contract signatures verified, entered, with receipt", waits.len(), began.elapsed(), waits);
    assert!(house.registry.state().contracts().filter(|c| c.executed.is_some()).count() >= contracts);
}
