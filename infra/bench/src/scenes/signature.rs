//! Contract signatures by the full path: schema, canonical bytes, strict Ed25519, rules, state, receipt.

use std::sync::Arc;

use schemas::canonical;
use schemas::contract::Contract;
use schemas::desk::ContractSignature;
use schemas::text::Bytes;
use schemas::{Envelope, R};
use signing::FileKey;

use super::Plan;
use crate::house::{House, now};
use crate::http::render;
use crate::load::once_each;
use crate::papers;
use crate::peers::Peers;
use crate::rows::{Better, Row};

/// Connections of the load.
const CONNECTIONS: usize = 96;
/// Signatures that a contract still needs once its consumer has proposed it.
const FURTHER: usize = 4;

fn headers(key: &str) -> [(&str, &str); 1] {
    [("idempotency-key", key)]
}

fn fresh_key() -> R<String> {
    Ok(Bytes(signing::signer::random::<24>()?.to_vec()).text())
}

/// Contracts signed by their consumer.
pub fn contracts(house: &House, count: usize) -> R<Vec<Envelope<Contract>>> {
    (0..count).map(|_| signing::sign(&papers::contract(&house.ground, now()), &*house.tdc, now())).collect()
}

/// Requests that propose contracts.
pub fn proposals(house: &House, contracts: &[Envelope<Contract>]) -> R<Vec<Vec<u8>>> {
    let one = |contract: &Envelope<Contract>| {
        let body = canonical::to_bytes(contract)?;
        Ok(render("POST", "/v1/contracts", &house.host, &headers(&fresh_key()?), &body))
    };
    contracts.iter().map(one).collect()
}

/// Requests that bring every further signature, the same party's of many contracts before the next party's: no two
/// requests at a time are about one contract.
pub fn signatures(house: &House, contracts: &[Envelope<Contract>]) -> R<Vec<Vec<u8>>> {
    let signers: Vec<&Arc<FileKey>> = house.tdps.iter().chain([&house.ccrp]).collect();
    let mut all = Vec::with_capacity(contracts.len() * FURTHER);
    for signer in signers {
        for contract in contracts {
            let signature = signing::countersign(contract, &**signer, now())?;
            let id = contract.read_unverified()?.contract_id;
            let body = canonical::to_bytes(&ContractSignature { contract_sha256: contract.digest(), signature })?;
            let path = format!("/v1/contracts/{id}/signatures");
            all.push(render("POST", &path, &house.host, &headers(&fresh_key()?), &body));
        }
    }
    Ok(all)
}

/// Signatures per second and their slowest hundredth; the last of a contract enters the executed contract too.
pub fn measure(plan: &Plan, peers: &Peers) -> R<Vec<Row>> {
    let house = House::open()?;
    let contracts = contracts(&house, plan.seconds as usize * 1_500)?;
    eprintln!("bench: {} contracts are proposed", contracts.len());
    let minutes = std::time::Duration::from_secs(600);
    once_each(house.port, proposals(&house, &contracts)?, CONNECTIONS, minutes, 201)?.clean("propose")?;
    let (requests, before) = (signatures(&house, &contracts)?, house.service.cpu_seconds());
    let load = once_each(house.port, requests, CONNECTIONS, plan.time(), 201)?.clean("signature")?;
    let used = house.service.cpu_seconds().zip(before).map(|(after, before)| (after - before) * 1e6 / load.good as f64);
    let mut rows = vec![
        Row::new("contract signatures, fully verified, per second", load.rate(), 5_000.0, Better::More)
            .against(peers.postgres),
        Row::new(
            format!("contract signature, {CONNECTIONS} connections, p99 ms"),
            load.percentile(990),
            100.0,
            Better::Less,
        ),
    ];
    rows.extend(
        used.map(|micros| Row::beside("contract signature, processor time of the service, microseconds", micros)),
    );
    Ok(rows)
}
