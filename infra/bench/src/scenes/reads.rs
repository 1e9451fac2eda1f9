//! Reads: a contract by one of its parties, and a full tile of the log.

use schemas::R;

use super::{Plan, append, signature};
use crate::house::House;
use crate::http::render;
use crate::load::{once_each, round_robin};
use crate::peers::Peers;
use crate::rows::{Better, Row};

/// Connections of the load.
const CONNECTIONS: usize = 64;

/// Reads per second.
pub fn measure(plan: &Plan, _: &Peers) -> R<Vec<Row>> {
    let house = House::open()?;
    let contracts = signature::contracts(&house, 500)?;
    let minutes = std::time::Duration::from_secs(600);
    once_each(house.port, signature::proposals(&house, &contracts)?, 16, minutes, 201)?.clean("propose")?;
    once_each(house.port, signature::signatures(&house, &contracts)?, 16, minutes, 201)?.clean("sign")?;
    let token = house.token(&house.tdc)?;
    once_each(house.port, append::requests(&house, &token, 600)?, 16, minutes, 201)?.clean("append")?;
    let bearer = format!("Bearer {token}");
    let get = |path: &str| render("GET", path, &house.host, &[("authorization", &bearer)], b"");
    let mut requests = Vec::new();
    for contract in &contracts {
        requests.push(get(&format!("/v1/contracts/{}", contract.read_unverified()?.contract_id)));
    }
    let load = round_robin(house.port, requests, CONNECTIONS, plan.time(), 200)?.clean("contract reads")?;
    let tile = round_robin(house.port, vec![get("/log/tile/0/000")], CONNECTIONS, plan.time(), 200)?.clean("tiles")?;
    Ok(vec![
        Row::new("contract reads, per second", load.rate(), 15_000.0, Better::More),
        Row::new("contract read, 64 connections, p99 ms", load.percentile(990), 20.0, Better::Less),
        Row::new("full tile reads, per second", tile.rate(), 30_000.0, Better::More),
    ])
}
