//! Ten thousand open connections with mixed load: 500 requests a second, one in five a signed write.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use schemas::{Code, R, Refusal};
use tokio::sync::Mutex;

use super::{Plan, signature};
use crate::house::House;
use crate::http::{Connection, render};
use crate::load::{once_each, runtime};
use crate::peers::Peers;
use crate::rows::{Better, Row};

/// Requests per second.
const RATE: u64 = 500;

/// Server errors, slowest hundredth of signed writes, memory.
pub fn measure(plan: &Plan, _: &Peers) -> R<Vec<Row>> {
    let wanted = plan.connections as u64 + 200;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?;
    if setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard).is_err() || hard < wanted {
        eprintln!("NOT RUN connections: {wanted} open files are needed, the limit is {hard}");
        return Ok(Vec::new());
    }
    let house = House::open()?;
    let seconds = plan.seconds * 2;
    let count = (RATE * seconds) as usize;
    let contracts = signature::contracts(&house, count / 20 + 4)?;
    let minutes = Duration::from_secs(600);
    once_each(house.port, signature::proposals(&house, &contracts)?, 16, minutes, 201)?.clean("propose")?;
    let mut writes = signature::signatures(&house, &contracts)?.into_iter();
    let bearer = format!("Bearer {}", house.token(&house.tdc)?);
    let mut requests = Vec::new();
    for n in 0..count {
        let contract = &contracts[n % contracts.len()];
        let path = format!("/v1/contracts/{}", contract.read_unverified()?.contract_id);
        let read = || render("GET", &path, &house.host, &[("authorization", &bearer)], b"");
        let write = if n % 5 == 0 { writes.next() } else { None };
        requests.push((write.is_some(), write.unwrap_or_else(read)));
    }
    let mut all = runtime()?.block_on(mixed(house.port, plan.connections, requests))?;
    all.writes.sort_unstable();
    let p99 = all.writes.get(all.writes.len() * 99 / 100).copied().unwrap_or(u128::MAX) as f64;
    let rss = house.service.peak_mib().unwrap_or(f64::NAN);
    let what = format!("{} open connections", plan.connections);
    Ok(vec![
        Row::new(format!("{what}, mixed load: answers 5xx or broken"), all.failures as f64, 0.0, Better::Less),
        Row::new(format!("{what}, signed writes, p99 ms"), p99, 1000.0, Better::Less),
        Row::new(format!("{what}, resident memory, MiB"), rss, 512.0, Better::Less),
    ])
}

#[derive(Default)]
struct Mixed {
    failures: u64,
    writes: Vec<u128>,
}

/// Opens all connections, then sends the requests at a fixed rate over them in turn.
async fn mixed(port: u16, connections: usize, requests: Vec<(bool, Vec<u8>)>) -> R<Mixed> {
    let mut open = Vec::with_capacity(connections);
    for n in 0..connections {
        open.push(Arc::new(Mutex::new(Connection::open(port, 2 + (n % 4) as u8).await?)));
    }
    eprintln!("bench: {} connections are open", open.len());
    let began = Instant::now();
    let mut tasks = Vec::new();
    for (n, (write, request)) in requests.into_iter().enumerate() {
        let due = began + Duration::from_micros(1_000_000 * n as u64 / RATE);
        tokio::time::sleep_until(due.into()).await;
        let connection = Arc::clone(&open[n % open.len()]);
        tasks.push(tokio::spawn(async move {
            let sent = Instant::now();
            let answer = connection.lock().await.send(&request).await;
            (write, sent.elapsed().as_millis(), answer.map_or(0, |a| a.status))
        }));
    }
    let mut all = Mixed::default();
    for task in tasks {
        let (write, millis, status) = task.await.map_err(|e| Refusal::new(Code::Internal, e.to_string()))?;
        if status == 0 || status >= 500 {
            all.failures += 1;
        }
        if write {
            all.writes.push(millis);
        }
    }
    Ok(all)
}
