//! Deliveries under kill -9: the service is a process of its own, killed at random moments while events are entered and
//! delivered; its receiver is down for a day of the test's clock and loses answers. Nothing is lost, each id has one
//! effect, and what concerns one contract takes effect in the order of the log.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use contract_client::wish;
use contract_service::{Config, Service};
use schemas::contract::{Cause, ContractRef, ContractResume, ContractSuspend};
use schemas::event::Body;
use schemas::{Code, Timestamp};

use crate::house::House;

const DIR: &str = "DEPA_WEBHOOK_CRASH_DIR";

/// The child: serves for ever, with the clock that lies in a file.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let dir = PathBuf::from(dir);
    let config = Config::load(&dir.join("child.toml"), std::iter::empty()).unwrap();
    let clock = dir.join("clock");
    let now = move || Timestamp::from_micros(std::fs::read_to_string(&clock).unwrap().parse().unwrap());
    let mut running = Service::start(config, Arc::new(now)).unwrap();
    running.wait();
}

/// What takes effect at the receiver: the first arrival of each id, as contract and index of the entry.
#[derive(Default)]
struct Receiver {
    down: AtomicBool,
    arrivals: AtomicUsize,
    seen: Mutex<BTreeSet<String>>,
    effects: Mutex<Vec<(String, u64)>>,
}

impl Receiver {
    fn start() -> (Arc<Receiver>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        let receiver = Arc::new(Receiver::default());
        let serving = Arc::clone(&receiver);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = Arc::clone(&serving);
                std::thread::spawn(move || serving.serve(stream));
            }
        });
        (receiver, url)
    }

    fn effects(&self) -> usize {
        self.effects.lock().unwrap().len()
    }

    /// Requests of one connection until it ends. Every seventeenth answer is lost with its connection.
    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        loop {
            let (mut id, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).ok()? == 0 {
                    return None;
                }
                match line.trim_end().split_once(": ") {
                    Some(("webhook-id", value)) => id = value.to_owned(),
                    Some(("content-length", value)) => length = value.parse().ok()?,
                    _ if line == "\r\n" => break,
                    _ => {}
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            let status = if self.down.load(Ordering::SeqCst) { 503 } else { 204 };
            if status == 204 {
                self.take(&id, &body);
                if self.arrivals.fetch_add(1, Ordering::SeqCst) % 17 == 16 {
                    return None;
                }
            }
            stream.write_all(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n").as_bytes()).ok()?;
        }
    }

    fn take(&self, id: &str, body: &[u8]) {
        let (mut seen, mut effects) = (self.seen.lock().unwrap(), self.effects.lock().unwrap());
        if seen.insert(id.to_owned()) {
            let body: serde_json::Value = serde_json::from_slice(body).unwrap();
            let data = &body["data"];
            effects.push((data["contract"]["id"].as_str().unwrap().to_owned(), data["index"].as_u64().unwrap()));
        }
    }
}

/// A serving process; it does not outlive its test.
struct Process(Child);

impl Process {
    fn start(dir: &Path) -> Process {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["webhook_crash::child", "--exact", "--nocapture", "--test-threads=1"])
            .env(DIR, dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Process(child.unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The n-th act on a contract: it is stopped and resumed in turn. No two are the same, a second lies between them.
fn acts(house: &House, contract: &ContractRef, n: usize) {
    let (registry, contract, at) = (house.registry(), contract.clone(), house.now());
    let (cause, reason, stop) = (Cause::SecurityIncident, format!("Rehearsal {n}"), n.is_multiple_of(2));
    let id = contract.id.clone();
    loop {
        let outcome = if stop {
            let (schema, contract) = ("contract-suspend.v1".into(), contract.clone());
            let act =
                ContractSuspend { schema, registry: registry.clone(), contract, cause, reason: reason.clone(), at };
            house.client.contract_act(&id, "suspend", &house.by_sro(&act)).map(drop)
        } else {
            let (schema, contract) = ("contract-resume.v1".into(), contract.clone());
            let act =
                ContractResume { schema, registry: registry.clone(), contract, cause, reason: reason.clone(), at };
            house.client.contract_act(&id, "resume", &house.by_sro(&act)).map(drop)
        };
        match outcome {
            Ok(()) => return,
            // Entered, and its answer was lost with the process.
            Err(refusal) if refusal.code == Code::StateTransition => return,
            // The last one: the client gave the call before up, and the process still works at it.
            Err(refusal)
                if matches!(
                    refusal.code,
                    Code::PeerUnreachable | Code::Unavailable | Code::Timeout | Code::RequestReplayed
                ) =>
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(refusal) => panic!("{refusal}"),
        }
    }
}

fn survives(contracts: usize, acts_each: usize, kills: usize) {
    let began = Instant::now();
    let mut house = House::furnished();
    let contracts: Vec<ContractRef> = (0..contracts).map(|_| house.executed()).collect();
    let (receiver, url) = Receiver::start();
    let events = ["contract.suspended", "contract.resumed"];
    house.as_(&house.tdc).create_endpoint_of(&wish(&url, &events, true)).unwrap();
    drop(house.running.take());
    house.config.save(&house.dir.join("child.toml")).unwrap();
    let ticking = Mutex::new(());
    let tick = |house: &House| {
        let _turn = ticking.lock().unwrap();
        // Whole, in place: the child reads it at any moment.
        let next = house.dir.join("clock.next");
        std::fs::write(&next, house.now().micros().to_string()).unwrap();
        std::fs::rename(&next, house.dir.join("clock")).unwrap();
    };
    tick(&house);
    let total = contracts.len() * acts_each;
    let (done, killed) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let (house, receiver, tick) = (&house, &receiver, &tick);
        scope.spawn(|| {
            let mut process = Process::start(&house.dir);
            while !done.load(Ordering::SeqCst) {
                if killed.load(Ordering::SeqCst) < kills {
                    // Until it serves, and then a random moment.
                    let began = Instant::now();
                    while house.client.trust().is_err() && began.elapsed() < Duration::from_secs(60) {
                        std::thread::sleep(Duration::from_millis(10));
                    }
                    let random = u64::from(signing::signer::random::<1>().unwrap()[0]);
                    std::thread::sleep(Duration::from_millis(random * 4));
                    drop(process);
                    process = Process::start(&house.dir);
                    killed.fetch_add(1, Ordering::SeqCst);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            drop(process);
        });
        // A third is entered while the receiver takes what comes, the rest while it is down.
        let entered = AtomicUsize::new(0);
        std::thread::scope(|entering| {
            for part in contracts.chunks(contracts.len().div_ceil(4)) {
                let entered = &entered;
                entering.spawn(move || {
                    for n in 0..acts_each {
                        house.skip(1);
                        tick(house);
                        for contract in part {
                            acts(house, contract, n);
                            if entered.fetch_add(1, Ordering::SeqCst) == total / 3 {
                                receiver.down.store(true, Ordering::SeqCst);
                            }
                        }
                    }
                });
            }
        });
        let before = receiver.effects();
        for _ in 0..24 {
            house.skip(3600);
            tick(house);
            std::thread::sleep(Duration::from_millis(100));
        }
        println!("{before} of {total} had taken effect when the receiver went down for a day");
        assert!(before < total);
        receiver.down.store(false, Ordering::SeqCst);
        let until = Instant::now() + Duration::from_secs(120 + total as u64 / 10);
        while (receiver.effects() < total || killed.load(Ordering::SeqCst) < kills) && Instant::now() < until {
            house.skip(600);
            tick(house);
            std::thread::sleep(Duration::from_millis(200));
        }
        done.store(true, Ordering::SeqCst);
    });
    let options = contract_service::keep::options(&house.config).unwrap();
    let registry = registry::Registry::open(options, house.now()).unwrap();
    let (mut expected, mut from): (BTreeMap<String, Vec<u64>>, u64) = (BTreeMap::new(), 0);
    loop {
        let page = registry.entries(from, registry::MAX_EXPORT).unwrap();
        let Some(last) = page.last() else { break };
        from = last.index + 1;
        for entry in page {
            let contract = match &entry.body {
                Body::ContractSuspended { suspend } => suspend.read_unverified().unwrap().contract,
                Body::ContractResumed { resume } => resume.read_unverified().unwrap().contract,
                _ => continue,
            };
            expected.entry(contract.id.to_string()).or_default().push(entry.index);
        }
    }
    let mut effects: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (contract, index) in receiver.effects.lock().unwrap().iter() {
        effects.entry(contract.clone()).or_default().push(*index);
    }
    let arrivals = receiver.arrivals.load(Ordering::SeqCst);
    println!(
        "{total} events, {} effects, {arrivals} deliveries taken, {} kills, receiver down for a simulated day, {:?}",
        receiver.effects(),
        killed.load(Ordering::SeqCst),
        began.elapsed()
    );
    assert_eq!(effects, expected, "none lost, each once, in the order of the log");
    assert_eq!(expected.values().map(Vec::len).sum::<usize>(), total);
    assert!(arrivals > total, "some came twice");
    assert_eq!(killed.load(Ordering::SeqCst), kills);
}

#[test]
fn events_survive_kills_and_a_day_without_their_receiver() {
    survives(6, 20, 5);
}

#[test]
#[ignore = "long: `sh infra/test.sh full`"]
fn ten_thousand_events_survive_fifty_kills_and_a_day_without_their_receiver() {
    survives(50, 200, 50);
}
