//! Deliveries of webhooks to a receiver on the same machine: how many a second, how soon, and what a hundred receivers that
//! hang do to one that does not.

mod fanout;
mod sink;
mod slow;

use std::sync::Arc;
use std::time::{Duration, Instant};

use contract_client::{EndpointAct, wish};
use schemas::desk::EndpointCreated;
use schemas::{Code, R, Refusal};
use signing::FileKey;
use tokio::sync::Mutex;

use crate::house::House;
use crate::http::Connection;
use crate::load::{once_each, runtime};
use crate::rows::Row;
use crate::scenes::signature;

/// How much is measured.
pub struct Plan {
    /// Seconds of load for each figure.
    pub seconds: u64,
}

type Scene = fn(&Plan) -> R<Vec<Row>>;

/// Every scene by its name.
pub const ALL: &[(&str, Scene)] = &[("fanout", fanout::measure), ("slow", slow::measure)];

/// Connections of the load.
const CONNECTIONS: usize = 16;
/// What the measured endpoints listen to: each signature of a contract is one such message to each of its parties.
const EVENT: &str = "contract.signed";

/// The parties of every contract that may have endpoints.
fn parties(house: &House) -> Vec<Arc<FileKey>> {
    house.tdps.iter().chain([&house.tdc]).cloned().collect()
}

/// So many endpoints of each party.
fn endpoints(house: &House, url: &str, each: usize) -> R<Vec<(Arc<FileKey>, EndpointCreated)>> {
    let mut all = Vec::new();
    for party in parties(house) {
        let client = house.client.acting_for(party.clone());
        for _ in 0..each {
            all.push((party.clone(), client.create_endpoint_of(&wish(url, &[EVENT], false))?));
        }
    }
    Ok(all)
}

fn switch(house: &House, all: &[(Arc<FileKey>, EndpointCreated)], act: EndpointAct) -> R<()> {
    for (party, endpoint) in all {
        house.client.acting_for(party.clone()).switch_endpoint(&endpoint.endpoint_id, act)?;
    }
    Ok(())
}

/// Requests that sign so many proposed contracts: four each.
fn signatures(house: &House, count: usize) -> R<Vec<Vec<u8>>> {
    let contracts = signature::contracts(house, count.div_ceil(4))?;
    let minutes = Duration::from_secs(600);
    once_each(house.port, signature::proposals(house, &contracts)?, CONNECTIONS, minutes, 201)?.clean("propose")?;
    let mut requests = signature::signatures(house, &contracts)?;
    requests.truncate(count);
    Ok(requests)
}

/// Sends requests at a fixed rate, whatever the answers take.
fn paced(port: u16, requests: Vec<Vec<u8>>, rate: u64) -> R<()> {
    runtime()?.block_on(async {
        let mut open = Vec::new();
        for _ in 0..CONNECTIONS {
            open.push(Arc::new(Mutex::new(Connection::open(port, 1).await?)));
        }
        let began = Instant::now();
        let mut tasks = Vec::new();
        for (n, request) in requests.into_iter().enumerate() {
            let due = began + Duration::from_micros(1_000_000 * n as u64 / rate);
            tokio::time::sleep_until(due.into()).await;
            let connection = Arc::clone(&open[n % CONNECTIONS]);
            tasks.push(tokio::spawn(async move { connection.lock().await.send(&request).await.map(|a| a.status) }));
        }
        for task in tasks {
            let status = task.await.map_err(|e| Refusal::new(Code::Internal, e.to_string()))??;
            if status != 201 {
                return Err(Refusal::new(Code::PeerFault, format!("a signature was answered with {status}")));
            }
        }
        Ok(())
    })
}
