//! Bodies that are no documents: refused by their form before anything in them is believed.

use contract_client::Client;
use demo::house::wire::send;
use schemas::{Code, R, Refusal};
use serde_json::{Value, json};

use super::scene::{Scene, calm, refuses};
use super::{probe, wire};

/// A route that takes a body, with one that it would understand.
struct Route {
    base: String,
    path: &'static str,
    good: Value,
    limit: usize,
}

/// Representative routes of the contract service and of a key service.
fn routes(scene: &Scene) -> Vec<Route> {
    let desk = |path, good| Route { base: scene.house.url.clone(), path, good, limit: 1 << 20 };
    let kms = |path, good, limit| Route { base: scene.house.tdps[0].kms.clone(), path, good, limit };
    let deal = scene.deal();
    let probe = probe::Probe::arrives(scene, &deal.bundle).unwrap();
    let check_in = serde_json::to_value(probe.check_in(|_| {})).unwrap();
    let mut admitted = probe::Probe::unseen(scene, &deal.bundle);
    admitted.forges_admission();
    let reserve = serde_json::to_value(admitted.reserve_words(&scene.house.tdps[0].kms)).unwrap();
    let contract = json!({"payload": deal.bundle.contracts[0].envelope.payload, "signatures": []});
    let challenge = json!({"run_id": null, "job_sha256": deal.bundle.job.digest(), "contracts": []});
    vec![
        desk("/v1/contracts", contract.clone()),
        desk("/v1/run-orders", json!({"bundle": deal.bundle})),
        desk("/v1/runs/challenges", challenge.clone()),
        desk("/v1/runs", check_in),
        desk("/v1/participants", contract.clone()),
        kms("/v1/challenges", challenge, 512 << 10),
        kms("/v1/reservations", reserve, 2 << 20),
        kms("/v1/keys", contract, 512 << 10),
    ]
}

fn sent(route: &Route, body: &[u8]) -> R<Value> {
    wire::post(&format!("{}{}", route.base, route.path), body.to_vec(), "application/json")
}

/// The last members of an object, written by hand.
fn with(good: &Value, more: &str) -> Vec<u8> {
    let text = good.to_string();
    let open = text.strip_suffix('}').unwrap();
    format!("{open},{more}}}").into_bytes()
}

#[test]
fn bodies_that_are_no_documents() {
    let scene = calm();
    for route in routes(&scene) {
        println!("{}{}", route.base, route.path);
        let text = route.good.to_string();
        let first = route.good.as_object().unwrap().iter().next().unwrap();
        let again = format!("{}:{}", Value::from(first.0.as_str()), first.1);
        refuses(Code::MalformedJson, sent(&route, b""));
        refuses(Code::MalformedJson, sent(&route, b"{"));
        refuses(Code::MalformedJson, sent(&route, &text.as_bytes()[..text.len() - 1]));
        refuses(Code::MalformedJson, sent(&route, format!("{text}{text}").as_bytes()));
        refuses(Code::MalformedJson, sent(&route, b"\xff\xfe{}"));
        refuses(Code::DuplicateMember, sent(&route, &with(&route.good, &again)));
        refuses(Code::DuplicateMember, sent(&route, &with(&route.good, r#""x":{"a":1,"a":1}"#)));
        refuses(Code::SchemaMismatch, sent(&route, &with(&route.good, r#""surprise":1"#)));
        refuses(Code::SchemaMismatch, sent(&route, b"{}"));
        refuses(Code::SchemaMismatch, sent(&route, b"[]"));
        refuses(Code::MalformedJson, sent(&route, "[".repeat(100_000).as_bytes()));
        let url = format!("{}{}", route.base, route.path);
        refuses(Code::MediaType, wire::post::<Value>(&url, text.clone().into_bytes(), "text/plain"));
        refuses(Code::BodyTooLarge, oversize(&route));
        refuses(Code::MethodNotAllowed, raw(&route.base, "DELETE", route.path, b""));
        refuses(Code::NotFound, raw(&route.base, "POST", &format!("{}/x/y/z", route.path), b"{}"));
    }
}

/// One byte more than the limit; the service may stop reading before the end.
fn oversize(route: &Route) -> R<()> {
    let mut body = br#"{"x":""#.to_vec();
    body.resize(route.limit - 1, b'x');
    body.extend_from_slice(b"\"}");
    raw(&route.base, "POST", route.path, &body)
}

/// A call by hand; anything but a problem document is a fault of its own.
fn raw(base: &str, method: &str, path: &str, body: &[u8]) -> R<()> {
    let headers = [("content-type", "application/json"), ("idempotency-key", "by-hand")];
    let answer = send(base, method, path, &headers, body)?;
    let code = answer.code().ok_or_else(|| Refusal::new(Code::PeerFault, format!("status {}", answer.status)))?;
    assert_eq!(answer.status, code.status(), "{code}");
    Err(Refusal::new(code, ""))
}

#[test]
fn every_act_at_the_desk_needs_an_idempotency_key_that_is_its_own() {
    let scene = calm();
    let url = &scene.house.url;
    let json = ("content-type", "application/json");
    let code = |path: &str, headers: &[(&str, &str)], body: &[u8]| {
        send(url, "POST", path, headers, body).unwrap().code().unwrap()
    };
    assert_eq!(code("/v1/contracts", &[json], b"{}"), Code::IdempotencyKeyMissing);
    assert_eq!(code("/v1/contracts", &[json, ("idempotency-key", "a b")], b"{}"), Code::IdempotencyKeyMissing);
    // The answer to an act is kept; the same key with another body is not an excuse for another act.
    let deal = scene.deal();
    let contracts = deal.bundle.job.read_unverified().unwrap().contracts;
    scene.house.tdc.orders(&deal.bundle).unwrap();
    let ask = json!({"run_id": null, "job_sha256": deal.bundle.job.digest(), "contracts": contracts});
    let key = uuid::Uuid::new_v4().to_string();
    let headers = [json, ("idempotency-key", key.as_str())];
    let first = send(url, "POST", "/v1/runs/challenges", &headers, ask.to_string().as_bytes()).unwrap();
    assert_eq!(first.status, 200);
    let second = send(url, "POST", "/v1/runs/challenges", &headers, ask.to_string().as_bytes()).unwrap();
    assert_eq!(first.body, second.body);
    let other = ask.to_string().replace("null", "null ");
    assert_eq!(code("/v1/runs/challenges", &headers, other.as_bytes()), Code::IdempotencyKeyReused);
    scene.nothing_came_of(&deal);
}

#[test]
fn signed_bytes_have_one_spelling_and_one_registry() {
    let scene = calm();
    let deal = scene.deal();
    let mut spaced = deal.bundle.clone();
    spaced.job.payload.0.push(b' ');
    refuses(Code::NotCanonical, scene.desk().order_run(&spaced));
    let mut foreign = deal.bundle.job.read_unverified().unwrap();
    foreign.registry = scene.house.tdc.person.did.clone();
    let person = &scene.house.tdc.person;
    let mut elsewhere = deal.bundle.clone();
    elsewhere.job = signing::sign(&foreign, &*person.key, person.now()).unwrap();
    refuses(Code::WrongRegistry, scene.desk().order_run(&elsewhere));
    // One kind of document never counts as another, even under a good signature.
    let url = format!("{}/v1/datasets", scene.house.url);
    let job = serde_json::to_vec(&deal.bundle.job).unwrap();
    refuses(Code::SchemaMismatch, wire::post::<Value>(&url, job, "application/json"));
    scene.nothing_came_of(&deal);
}

#[test]
fn strangers_read_nothing() {
    let scene = calm();
    let deal = scene.deal();
    let house = &scene.house;
    let as_psp: &Client = house.psp.person.desk().unwrap();
    refuses(Code::ContractUnknown, as_psp.contract(&deal.contract.id));
    refuses(Code::ContractUnknown, as_psp.contract_bundle(&deal.contract.id));
    refuses(Code::Forbidden, as_psp.export(0, 10));
    refuses(Code::Forbidden, as_psp.lease_order(0));
    refuses(Code::Unauthenticated, wire::get::<Value>(&format!("{}/v1/contracts", house.url), None));
    // A key that the register does not know gets no token.
    let nobody = std::sync::Arc::new(signing::FileKey::generate().unwrap());
    refuses(Code::Unauthenticated, house.desk.acting_for(nobody).with_clock(house.clock.clone()).contracts());
    // The ledger of a key service is for its provider alone.
    let kms = &house.tdps[0].kms;
    refuses(Code::Unauthenticated, wire::get::<Value>(&format!("{kms}/v1/budget"), None));
    let token =
        signing::token::assertion(&*house.tdps[1].person.key, kms, "0123456789abcdef".into(), scene.clock.now());
    refuses(Code::Unauthenticated, wire::get::<Value>(&format!("{kms}/v1/budget"), Some(&token.unwrap())));
    let jti = uuid::Uuid::new_v4().to_string();
    let own = signing::token::assertion(&*house.tdps[0].person.key, kms, jti, scene.clock.now()).unwrap();
    wire::get::<Value>(&format!("{kms}/v1/budget"), Some(&own)).unwrap();
    refuses(Code::TokenReplayed, wire::get::<Value>(&format!("{kms}/v1/budget"), Some(&own)));
}
