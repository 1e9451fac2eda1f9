//! Several processes of the service on one database: whichever writes is killed again and again, another one takes over,
//! and what was acknowledged stands in the log, once.

use std::collections::HashMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::blocking::Client;
use schemas::desk::Receipted;
use schemas::event::Body;
use schemas::party::{Kind, Participant};
use signing::FileKey;

use crate::house::House;
use crate::papers;

/// A serving process; it does not outlive its test.
struct Process {
    child: Child,
    url: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn process(house: &House, database: &str) -> Process {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_contract-service"))
        .args(["serve", "--config"])
        .arg(house.dir.join("sro/config.toml"))
        .env("DEPA_CONTRACT_SERVICE__DATABASE", database)
        .env("DEPA_CONTRACT_SERVICE__BIND", free.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Process { child, url: format!("http://{free}") }
}

fn calls() -> Client {
    Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap()
}

/// Whether this process says that it is the one that writes.
fn writes(calls: &Client, url: &str) -> bool {
    let ready = calls.get(format!("{url}/readyz")).send().and_then(|answer| answer.text());
    ready.is_ok_and(|text| text.starts_with("ready\nwriter lag"))
}

/// What callers know: the entry of each applicant who was answered, and how many were.
#[derive(Default)]
struct Known {
    acknowledged: Mutex<HashMap<String, u64>>,
    answers: AtomicU64,
    urls: Mutex<Vec<String>>,
    done: AtomicBool,
}

/// One application after the other, each at whichever process takes it, under the same idempotency key until then.
fn applies(house: &House, known: &Known) {
    let calls = calls();
    while !known.done.load(Ordering::Relaxed) {
        let who = FileKey::generate().unwrap();
        let document = Participant { applied_at: house.now(), ..papers::participant(house, &who, Kind::Tdp) };
        let application = house.sign(&document, &who);
        let key = uuid::Uuid::now_v7().to_string();
        'taken: loop {
            let urls = known.urls.lock().unwrap().clone();
            for url in urls {
                let post = calls.post(format!("{url}/v1/participants")).header("idempotency-key", &key);
                let Ok(answer) = post.json(&application).send() else { continue };
                match answer.status().as_u16() {
                    201 => {
                        let Ok(answer) = answer.json::<Receipted>() else { continue };
                        let index = answer.receipt.index;
                        known.acknowledged.lock().unwrap().insert(who.did().unwrap().to_string(), index);
                        known.answers.fetch_add(1, Ordering::Relaxed);
                        break 'taken;
                    }
                    // Entered, and its answer was lost with the process.
                    409 => break 'taken,
                    429 | 503 => std::thread::sleep(Duration::from_millis(5)),
                    other => panic!("answered with {other}"),
                }
            }
            if known.done.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

fn killed(kills: usize) {
    let mut house = House::empty();
    drop(house.running.take());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    house.skip(now - house.now().micros() / 1_000_000);
    let database = crate::database::url().unwrap();
    house.config.database = Some(database.clone());
    let mut processes: Vec<Process> = (0..3).map(|_| process(&house, &database)).collect();
    let known = Known::default();
    let told = |processes: &[Process]| {
        *known.urls.lock().unwrap() = processes.iter().map(|p| p.url.clone()).collect();
    };
    told(&processes);
    let (asking, mut longest) = (calls(), Duration::ZERO);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| applies(&house, &known));
        }
        for _ in 0..kills {
            let began = Instant::now();
            let writer = loop {
                let found = processes.iter().position(|p| writes(&asking, &p.url));
                match found {
                    Some(writer) => break writer,
                    None if began.elapsed() > Duration::from_secs(60) => break 0,
                    None => std::thread::sleep(Duration::from_millis(20)),
                }
            };
            std::thread::sleep(Duration::from_millis(100));
            let before = known.answers.load(Ordering::Relaxed);
            let killed = Instant::now();
            drop(std::mem::replace(&mut processes[writer], process(&house, &database)));
            told(&processes);
            // One answer may have been under way.
            while known.answers.load(Ordering::Relaxed) < before + 5 && killed.elapsed() < Duration::from_secs(60) {
                std::thread::sleep(Duration::from_millis(5));
            }
            longest = longest.max(killed.elapsed());
        }
        known.done.store(true, Ordering::Relaxed);
    });
    drop(processes);
    let options = contract_service::keep::options(&house.config).unwrap();
    let registry = registry::Registry::open(options, house.now()).unwrap();
    let (mut seen, mut from) = (HashMap::new(), 0);
    loop {
        let page = registry.entries(from, registry::MAX_EXPORT).unwrap();
        let Some(last) = page.last() else { break };
        from = last.index + 1;
        for entry in page {
            if matches!(entry.body, Body::ParticipantApplied { .. }) {
                assert_eq!(seen.insert(entry.subject.clone(), entry.index), None, "{} is entered twice", entry.subject);
            }
        }
    }
    let acknowledged = known.acknowledged.into_inner().unwrap();
    let lost = acknowledged.iter().filter(|(did, index)| seen.get(*did) != Some(index)).count();
    println!(
        "{} acknowledged, {} entered, {lost} lost, 0 doubled, {kills} writing processes killed, longest until five more \
         answers {longest:?}",
        acknowledged.len(),
        seen.len()
    );
    assert_eq!(lost, 0);
    assert!(acknowledged.len() >= 5 * kills, "only {} were answered", acknowledged.len());
    assert!(longest < Duration::from_secs(10), "the writer moved only after {longest:?}");
    assert_eq!(registry.scrub().unwrap().first_difference, None);
}

#[test]
fn killing_the_writing_service_moves_it_and_loses_and_doubles_nothing() {
    killed(3);
}

#[test]
#[ignore = "long: `sh infra/test.sh full`"]
fn killing_the_writing_service_fifty_times_loses_and_doubles_nothing() {
    killed(50);
}
