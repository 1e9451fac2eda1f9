//! Log appends: digests anchored by a token's holder; an append counts when its receipt has arrived.

use schemas::desk::Receipted;
use schemas::event::Body;
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Refusal, canonical};
use serde_json::json;

use super::Plan;
use crate::house::House;
use crate::http::render;
use crate::load::once_each;
use crate::peers::Peers;
use crate::rows::{Better, Row};

/// Connections of the load.
const CONNECTIONS: usize = 512;

/// Requests that anchor fresh digests.
pub fn requests(house: &House, token: &str, count: usize) -> R<Vec<Vec<u8>>> {
    let bearer = format!("Bearer {token}");
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let random = signing::signer::random::<24>()?;
        let key = Bytes(random.to_vec()).text();
        let body = json!({ "sha256": Digest::of(&random) }).to_string();
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", key.as_str())];
        all.push(render("POST", "/v1/log/anchors", &house.host, &headers, body.as_bytes()));
    }
    Ok(all)
}

/// Appends per second and their slowest hundredth.
pub fn measure(plan: &Plan, peers: &Peers) -> R<Vec<Row>> {
    let house = House::open()?;
    let token = house.token(&house.tdc)?;
    let requests = requests(&house, &token, plan.seconds as usize * 60_000)?;
    let digests: Vec<Digest> = requests.iter().map(|r| digest(r)).collect::<R<_>>()?;
    let load = once_each(house.port, requests, CONNECTIONS, plan.time(), 201)?.clean("append")?;
    for (index, body) in &load.samples {
        let receipt = canonical::parse::<Receipted>(body)?.receipt;
        let sha256 = *digests.get(*index).ok_or_else(|| Refusal::new(Code::Internal, "a sample without request"))?;
        let body = Body::DigestAnchored { by: house.tdc.did()?, sha256 };
        signing::verify_receipt(&receipt, &body, &house.trust.origin, &house.trust)?;
    }
    eprintln!("bench: {} receipts verified offline", load.samples.len());
    Ok(vec![
        Row::new("appends with receipt, 512 connections, per second", load.rate(), 20_000.0, Better::More)
            .against(peers.siglog),
        Row::new("append with receipt, 512 connections, p99 ms", load.percentile(990), 60.0, Better::Less),
    ])
}

/// The digest in a rendered request.
fn digest(request: &[u8]) -> R<Digest> {
    let text = String::from_utf8_lossy(request);
    let value = text.rsplit('"').nth(1).unwrap_or_default();
    Digest::parse(value)
}
